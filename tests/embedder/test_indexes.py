"""Indexes of generations: built once a generation is full, mended, and made denser when they have grown."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import asyncpg
import grpc
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.errors import LockedTooLong, StatementTooSlow
from services.embedder import counting, upkeep
from services.embedder.generation_store import Density
from services.embedder.generations import Generation
from services.embedder.outages import Outages
from services.embedder.shelf import Shelf
from services.embedder.upkeep import Building, Upkeep
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, open_model, until
from tests.embedder.operating import Operator, open_generations, vector_counts
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub

HNSW = """select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid
          join pg_am a on a.oid = c.relam where a.amname = 'hnsw' order by 1"""


async def test_a_large_generation_is_indexed_once_it_is_full(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above a size a new generation has no index while it fills, and a ready, denser one before it can be promoted."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    monkeypatch.setenv("WINNOW_HNSW_AFTER_ROWS_MIN", "100")
    monkeypatch.setenv("WINNOW_HNSW_M", "8")
    monkeypatch.setenv("WINNOW_HNSW_BUILT_M", "12")
    monkeypatch.setenv("WINNOW_HNSW_BUILT_EF_CONSTRUCTION", "25")
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator = Operator(channel, deployment)
        await chat.say([f"text {n}" for n in range(100)])
        await chat.settled()
        started = await operator.start("second")
        assert started.index_state == pb.INDEX_STATE_NONE
        last = await operator.watch(started.id)
        assert last.generation.index_state == pb.INDEX_STATE_READY
        await operator.promote(started.id)
    built = await _density(chat.admin, f"vector_{UUID(started.id).hex}_hnsw")
    assert built == {"m=12", "ef_construction=25"}


async def _density(admin: asyncpg.Connection, index: str) -> set[str]:
    return set(await admin.fetchval("select reloptions from pg_class where relname = $1", index))


def _replaced(admin: asyncpg.Connection, index: str) -> Callable[..., Awaitable[tuple[int, int]]]:
    """A count during which another generation is promoted, and the index of this one dropped."""

    async def debt(*_: object) -> tuple[int, int]:
        await admin.execute("update embedder.generation set state = 'standby'")
        await admin.execute(f"drop index embedder.{index}")
        return 0, 0

    return debt


async def started_beside(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> UUID:
    """Start a large generation beside the one that serves, which lacks a vector; return its id."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    monkeypatch.setenv("WINNOW_HNSW_AFTER_ROWS_MIN", "1")
    async with embedder.serving(open_model) as channel:
        await chat.say(["one"], tasks=False)
        second = await Operator(channel, deployment).start("second")
    return UUID(second.id)


@asynccontextmanager
async def upkept(
    generation: UUID, clock: Callable[[], float]
) -> AsyncIterator[tuple[Upkeep, Generation]]:
    """Open what mends indexes, and a generation as it knows it."""
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        generations = await open_generations(database)
        started = await generations.find(generation)
        assert started
        yield (
            Upkeep(database, generations, Shelf(open_model), Outages(), Building(64), 0, clock),
            started,
        )


async def test_counting_what_a_generation_lacks_leaves_time_for_making_it(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a large generation fills, counting what it lacks takes a tenth of the time, however long a count takes."""
    second = await started_beside(embedder, deployment, chat, monkeypatch)
    now, counted = 0.0, 0

    async def debt(*_: object) -> tuple[int, int]:
        nonlocal now, counted
        now, counted = now + 2, counted + 1
        return 1, 0

    monkeypatch.setattr(counting, "debt", debt)
    async with upkept(second, lambda: now) as (upkeep, started):
        for wait, counts in ((0, 1), (17, 1), (1, 2)):
            now += wait
            assert not await upkeep.mend_index(started)
            assert counted == counts


async def test_a_count_that_fails_is_not_made_again_at_once(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database too busy to count is left alone as long as after a count, and what was to be full stays so."""
    second = await started_beside(embedder, deployment, chat, monkeypatch)
    now, asked = 0.0, list[UUID]()

    async def debt(_: Database, __: UUID, moment: UUID) -> tuple[int, int]:
        nonlocal now
        now += 2
        asked.append(moment)
        raise StatementTooSlow("too slow")

    monkeypatch.setattr(counting, "debt", debt)
    async with upkept(second, lambda: now) as (upkeep, started):
        for wait, counts in ((0, 1), (17, 1), (1, 2)):
            now += wait
            with suppress(StatementTooSlow):
                assert not await upkeep.mend_index(started)
            assert len(asked) == counts
    assert len(set(asked)) == 1


async def test_a_busy_chat_does_not_put_an_index_off_for_ever(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation is indexed once it has what was there at the look before, though something new lacks its vector."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    monkeypatch.setenv("WINNOW_HNSW_AFTER_ROWS_MIN", "1")
    async with embedder.serving(open_model) as channel:
        await chat.say(["one"])
        started = await Operator(channel, deployment).start("second")
        await until(lambda: vector_counts(chat, [1]))
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        second = await (await open_generations(database)).find(UUID(started.id))
        assert second
        upkeep = Upkeep(
            database,
            await open_generations(database),
            Shelf(open_model),
            Outages(),
            Building(64),
            0,
        )
        assert not await upkeep.mend_index(second)
        async with embedder.serving(open_model) as channel:
            await _fill(channel, deployment, started.id)
        await chat.say(["two"])
        await until(lambda: upkeep.mend_index(second))
    assert await vector_counts(chat, [1, 1])


async def _fill(channel: grpc.aio.Channel, deployment: Deployment, generation: str) -> None:
    request = pb.BackfillRequest(generation_id=generation)
    replies = EmbedderServiceStub(channel).Backfill(request, metadata=deployment.metadata)
    *_, last = [reply async for reply in replies]
    assert last.finished


async def test_a_build_that_fails_is_not_begun_again_at_once(
    embedder: Embedder, chat: Chat, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build may fail because it fills the disk: it is left alone for a minute, and ten times as long as it took."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model):
        await chat.say(["one"])
        await chat.settled()
    ((name, _),) = await chat.admin.fetch(HNSW)
    await chat.admin.execute(f"drop index embedder.{name}")
    now = 0.0
    settings = DatabaseSettings.read().model_copy(update={"statement_timeout_seconds": 0.4})
    writer = await asyncpg.connect(database_url)
    async with Database.open(settings, "winnow_embedder") as database:
        generations = await open_generations(database)
        (serving,) = await generations.refresh()
        parts = (generations, Shelf(open_model), Outages(), Building(64), 0, lambda: now)
        upkeep = Upkeep(database, *parts)
        async with writer.transaction():
            await writer.execute("lock table embedder.vector in row exclusive mode")
            with pytest.raises(LockedTooLong):
                await upkeep.mend_index(serving)
            now = 59.0
            assert not await upkeep.mend_index(serving)
            now = 60.0
            with pytest.raises(LockedTooLong):
                await upkeep.mend_index(serving)
        now = 120.0
        assert await upkeep.mend_index(serving)
    await writer.close()
    assert await _is_mended(chat.admin, name)


async def test_broken_indexes_are_mended(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that is invalid, or was dropped, is found at start and built again."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model):
        await chat.say(["one", "two"])
        await chat.settled()
    ((name, _),) = await chat.admin.fetch(HNSW)
    for damage in (
        f"update pg_index set indisvalid = false where indexrelid = 'embedder.{name}'::regclass",
        f"drop index embedder.{name}",
    ):
        await chat.admin.execute(damage)
        async with embedder.serving(open_model, reconciling=True):
            await until(lambda: _is_mended(chat.admin, name))
            await chat.say(["three"])
            await chat.settled()


async def _is_mended(admin: asyncpg.Connection, name: str) -> bool:
    return [tuple(row) for row in await admin.fetch(HNSW)] == [(name, True)]


async def test_an_index_that_grew_is_built_anew_denser(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a size on the serving index is made denser, once little waits, by one process; broken remains go."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model):
        await chat.say([f"text {n}" for n in range(30)])
        await chat.settled()
    ((name, _),) = await chat.admin.fetch(HNSW)
    # As a build that was broken off leaves it.
    made = await chat.admin.fetchval(f"select pg_get_indexdef('embedder.{name}'::regclass)")
    await chat.admin.execute(made.replace(f"INDEX {name} ", f"INDEX {name}_ccnew "))
    await chat.admin.execute(
        f"update pg_index set indisvalid = false where indexrelid = 'embedder.{name}_ccnew'::regclass"
    )
    file = f"select pg_relation_filenode('embedder.{name}')"
    sparse = await chat.admin.fetchval(file)
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        generations = await open_generations(database)
        (serving,) = await generations.refresh()
        never, early, due = (
            Upkeep(
                database,
                generations,
                Shelf(open_model),
                Outages(),
                Building(64, Density(20, 50), rows),
                0,
            )
            for rows in (0, 31, 30)
        )
        await chat.admin.execute("analyze embedder.vector")
        assert not await never.thicken_index(serving)
        assert not await early.thicken_index(serving)
        key = f"hashtextextended('embedder.build_index:{serving.id}', 0)"
        await chat.admin.execute(f"select pg_advisory_lock({key})")
        assert not await due.thicken_index(serving), "another replica builds it"
        await chat.admin.execute(f"select pg_advisory_unlock({key})")
        monkeypatch.setattr(upkeep, "_MISSING_MAX", 2)
        await chat.say(["fresh 1", "fresh 2", "fresh 3"], tasks=False)
        assert not await due.thicken_index(serving), "an import goes on"
        monkeypatch.setattr(upkeep, "_MISSING_MAX", 3)
        assert await chat.admin.fetchval(file) == sparse
        assert await due.thicken_index(serving)
        assert not await due.thicken_index(serving), "it is dense"
        async with database.connection() as connection:
            assert await connection.fetchval("show statement_timeout") != "0"
    assert await chat.admin.fetchval(file) != sparse
    assert [tuple(row) for row in await chat.admin.fetch(HNSW)] == [(name, True)]
    assert await _density(chat.admin, name) == {"m=20", "ef_construction=50"}
    noted = await chat.admin.fetchrow(
        "select hnsw_m, hnsw_ef_construction from embedder.generation"
    )
    assert tuple(noted) == (20, 50)


async def test_an_index_that_goes_while_what_waits_is_counted_is_not_built_anew(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting takes long: another generation may serve by then, and what this one had be dropped. That ends nobody."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model):
        await chat.say([f"text {n}" for n in range(30)])
        await chat.settled()
    ((name, _),) = await chat.admin.fetch(HNSW)
    await chat.admin.execute("analyze embedder.vector")
    monkeypatch.setattr(counting, "debt", _replaced(chat.admin, name))
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        generations = await open_generations(database)
        (serving,) = await generations.refresh()
        building = Building(64, Density(20, 50), 30)
        due = Upkeep(database, generations, Shelf(open_model), Outages(), building, 0)
        assert not await due.thicken_index(serving)
    assert await chat.admin.fetch(HNSW) == []
