"""While the index of a generation is built, which nothing can be written to, all else goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.errors import LockedTooLong, Postponed
from services.common.ids import uuid7
from services.common.outbox import Task
from services.embedder.erasing import EraseStage
from services.embedder.generation_store import IndexSettings, start_generation
from services.embedder.subscriptions import write_current
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, open_model, until
from tests.embedder.operating import Operator, vector_counts
from tests.embedder.test_indexes import started_beside
from tests.embedder.test_walk import MODEL, circle, made

# An index on what this returns is built for as long as somebody holds the lock.
WAIT = """create function public.wait(int) returns int language plpgsql immutable as
          $$ begin perform pg_advisory_xact_lock_shared(7); return $1; end $$"""


@asynccontextmanager
async def being_indexed(database_url: str, generation: UUID) -> AsyncIterator[None]:
    """Build an index of a generation that has a vector, meanwhile."""
    holder, builder = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    await holder.execute(WAIT)
    await holder.execute("select pg_advisory_lock(7)")
    partition = f"embedder.vector_{generation.hex}"
    building = asyncio.create_task(
        builder.execute(f"create index slow on {partition} (public.wait(part))")
    )

    async def has_begun() -> bool:
        state = "select state from embedder.index_state($1)"
        return bool(await holder.fetchval(state, generation) == "building")

    try:
        await until(has_begun)
        yield
    finally:
        await holder.execute("select pg_advisory_unlock(7)")
        await building
        await builder.close()
        await holder.close()


def of_others(chat: Chat, generation: UUID, subjects: Sequence[UUID]) -> object:
    """A question: whether those subjects and no others have vectors in other generations."""

    async def ask() -> bool:
        rows = await chat.admin.fetch(
            "select subject_id from embedder.vector where generation_id <> $1", generation
        )
        return {row["subject_id"] for row in rows} == set(subjects)

    return ask


async def others_go_on(chat: Chat, second: UUID, said: list[UUID]) -> None:
    """What is said now is embedded in other generations at once, and waits in this one."""
    for n in range(4):
        said += await chat.say([f"more {n}"])
        await until(of_others(chat, second, said), 30)  # type: ignore[arg-type]
    waiting = "select distinct error_class from spine.task where state <> 'done'"
    await until(lambda: _all_wait(chat, waiting))


async def all_are_written(chat: Chat) -> None:
    """What waited is written once it is asked for again."""
    await chat.admin.execute(
        "update spine.task set available_at = now(), hint_at = now() where state = 'ready'"
    )
    await until(lambda: vector_counts(chat, [5, 5]))


async def test_an_index_that_is_built_keeps_up_no_other_generation(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is said and deleted meanwhile is done at once where searches read, and later in the generation itself."""
    second = await started_beside(embedder, deployment, chat, monkeypatch)
    async with embedder.serving(open_model):
        said = await chat.say(["two", "three"])
        await until(lambda: vector_counts(chat, [2, 2]))
        async with being_indexed(database_url, second):
            await chat.delete(said[:1])
            said = said[1:]
            await others_go_on(chat, second, said)
        await all_are_written(chat)


async def test_a_generation_may_be_promoted_while_its_index_is_built(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its texts wait until it can be written to, and those of other generations do not wait with them."""
    second = await started_beside(embedder, deployment, chat, monkeypatch)
    async with embedder.serving(open_model) as channel:
        said = await chat.say(["two"])
        await until(lambda: vector_counts(chat, [1, 1]))
        async with being_indexed(database_url, second):
            await Operator(channel, deployment).promote(str(second), force=True)
            await others_go_on(chat, second, said)
        await all_are_written(chat)


async def _all_wait(chat: Chat, query: str) -> bool:
    return [row[0] for row in await chat.admin.fetch(query)] == ["index_building"]


async def test_an_erasure_waits_for_an_index_that_is_built(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Vectors that cannot be removed yet are left alone, with no lock that others would wait for."""
    second = await started_beside(embedder, deployment, chat, monkeypatch)
    async with embedder.serving(open_model):
        await chat.say(["two"])
        await until(lambda: vector_counts(chat, [1, 1]))
    task = Task(chat.workspace, uuid7(), uuid4(), "messages:0", 1, 1)
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        stage = EraseStage(database, lambda: None)
        async with being_indexed(database_url, second):
            with pytest.raises(Postponed):
                await stage.perform([task])
        assert [result.task for result in await stage.perform([task])] == [task]


async def test_who_cannot_write_gives_up(
    deployment: Deployment, chat: Chat, database_url: str
) -> None:
    """A lock on vectors that lasts ends the transaction, which has others wait for it, instead of being tried again."""
    (message,) = await chat.say(["hello"], tasks=False)
    settings = DatabaseSettings.read().model_copy(update={"statement_timeout_seconds": 0.4})
    other = await asyncpg.connect(database_url)
    async with Database.open(settings, "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = await start_generation(connection, MODEL, IndexSettings(), bulk=True)
        vectors = made(chat, generation.id, [message], circle(0))
        async with other.transaction():
            await other.execute(f"lock table embedder.vector_{generation.id.hex} in share mode")
            with pytest.raises(LockedTooLong):
                async with asyncio.timeout(30), database.transaction(chat.workspace) as connection:
                    await write_current(connection, chat.workspace, generation.id, vectors)
    await other.close()
