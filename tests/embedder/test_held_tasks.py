"""A text that was another one for a moment, while its task was held, has its vector in the end, by its task alone."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.outbox import TaskStore, complete
from services.common.testing import FakeEncoder
from services.embedder.generation_store import live_generations
from services.embedder.generations import Generations
from services.embedder.outages import Outages
from services.embedder.subscriptions import EmbedStage
from tests.embedder.conftest import Chat, Embedder, sha256

HELD = "select id from spine.task where subject_id = $1 and split_part(spec, ':', 3) = $2"


async def edited(chat: Chat, message: UUID) -> None:
    """The text is another one."""
    await chat.edit(message, "other")


async def shown_no_more(chat: Chat, message: UUID) -> None:
    """There is no such message, as where an atom is retired."""
    await chat.admin.execute("update ingest.message set deleted_at = now() where id = $1", message)


async def embedded_already(chat: Chat, message: UUID) -> None:
    """The text has its vector, which goes with the next edit."""
    await chat.admin.execute(
        """insert into embedder.vector (workspace_id, generation_id, kind, subject_id, text_sha256, embedding,
             source_id, sent_at)
           select m.workspace_id, g.id, 'message', m.id, m.text_sha256,
             array_fill(1 / sqrt(g.dimensions)::real, array[g.dimensions])::vector, m.source_id, m.sent_at
           from ingest.message m, embedder.generation g where m.id = $1""",
        message,
    )


@pytest.mark.parametrize("happens", [edited, shown_no_more, embedded_already])
async def test_what_is_as_it_was_again_is_embedded(
    embedder: Embedder, chat: Chat, happens: Callable[[Chat, UUID], Awaitable[None]]
) -> None:
    """Whoever changes a text back finds its task taken, whose holder saw the other one: it is made ready again."""
    async with embedder.serving():
        pass
    (message,) = await chat.say(["text"])
    task = await chat.admin.fetchval(HELD, message, sha256("text").hex())
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:

        async def read_live() -> object:
            async with database.connection() as connection:
                return await live_generations(connection)

        generations = Generations(read_live, lambda _: FakeEncoder())  # type: ignore[arg-type]
        stage = EmbedStage(database, generations, Outages(), lambda: None)
        held = await TaskStore(database, 60, 5).claim(chat.workspace, "embed", [task], uuid4())
        await happens(chat, message)
        results = await stage.perform(held)
        await chat.admin.execute("delete from embedder.vector")
        await chat.admin.execute("update ingest.message set deleted_at = null")
        await chat.edit(message, "text")
        async with database.transaction(chat.workspace) as connection:
            await complete(connection, held, [0])
            await stage.write(connection, chat.workspace, results)  # type: ignore[arg-type]
    state = await chat.admin.fetchval("select state from spine.task where id = $1", task)
    assert state == "ready"
    async with embedder.serving():
        await chat.settled()
    assert await chat.vectors() == {(message, 0): sha256("text")}
