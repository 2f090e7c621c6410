"""Graphs of vectors are built beside searches and writes, mended, joined, and made denser when it is quiet."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from services.common.database import Database
from services.common.errors import UnfitGeneration
from services.embedder import counting, generation_store, indexing, store
from services.embedder.indexing import Indexing
from services.embedder.recall import Recall, measure_recall
from services.embedder.store import QUERIES
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, open_model, until
from tests.embedder.operating import Operator
from tests.embedder.vectors import Filling, filling, hnsw_indexes, read_segments
from winnow.embedder.v1 import embedder_pb2 as pb

WAITS = """select exists (select from pg_stat_progress_create_index p join pg_stat_activity a using (pid)
           where p.datname = current_database() and a.wait_event_type = 'Lock')"""


async def test_a_large_generation_is_indexed_once_it_is_full(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation that is started and watched to the end has one dense graph of all, and can be promoted at once."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    for name, value in {
        "SEGMENT_ROWS": 20,
        "M": 8,
        "DENSE_M": 12,
        "DENSE_EF_CONSTRUCTION": 25,
        "DENSE_ROWS_MIN": 100,
    }.items():
        monkeypatch.setenv(f"WINNOW_HNSW_{name}", str(value))
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator = Operator(channel, deployment)
        await chat.say([f"text {n}" for n in range(100)])
        await chat.settled()
        started = await operator.start("second")
        last = await operator.watch(started.id)
        assert last.generation.index_state == pb.INDEX_STATE_READY
        (graph,) = await read_segments(chat.admin, UUID(started.id))
        await operator.promote(started.id)
    assert (graph.rows, graph.m) == (100, 12)
    assert "m='12', ef_construction='25'" in graph.made


async def test_a_generation_that_fills_has_no_graph(deployment: Deployment, chat: Chat) -> None:
    """What would be built anew is not built while much is missing; with much in no graph it is not promoted."""
    async with filling(chat, serves=False) as beside:
        built = beside.indexing()
        late = await chat.say(["hello"], tasks=False)
        await beside.add(40)
        assert not await built.index(beside.generation)
        assert await beside.state() == "ready"
        await beside.write(late)
        assert await beside.state() == "none"
        async with beside.database.connection() as connection:
            with pytest.raises(UnfitGeneration, match=r"index .* is not ready \(none\)"):
                await generation_store.promote(connection, beside.id, force=False)
        await until(lambda: built.index(beside.generation))
        assert (await beside.state(), await beside.rows()) == ("ready", [41])
        async with beside.database.connection() as connection:
            promoted = await generation_store.promote(connection, beside.id, force=False)
        assert promoted.state == "serving"


@asynccontextmanager
async def held_up(
    filled: Filling, built: Indexing, database_url: str
) -> AsyncIterator[asyncio.Task[bool]]:
    """Build a graph that is not done before the end: somebody who has begun to write before goes on until then."""
    writer = await asyncpg.connect(database_url)
    writing = writer.transaction()
    await writing.start()
    await writer.execute(f"lock table embedder.vector_{filled.id.hex} in row exclusive mode")
    building = asyncio.create_task(built.index(filled.generation))
    try:
        await until(lambda: filled.chat.admin.fetchval(WAITS))
        yield building
    finally:
        await writing.rollback()
        await asyncio.gather(building, return_exceptions=True)
        await writer.close()


async def test_a_graph_is_built_beside_writes_and_searches(
    deployment: Deployment, chat: Chat, database_url: str
) -> None:
    """From a size on what is in no graph gets one; what is written, searched and erased meanwhile waits for nobody."""
    async with filling(chat) as serving:
        built = serving.indexing()
        (first, *_) = await serving.add(9)
        assert not await built.index(serving.generation)
        await serving.add(1, missing=2)
        async with held_up(serving, built, database_url) as building:
            await serving.add(3)
            recall = await measure_recall(serving.database, chat.workspace, serving.generation)
            assert recall == Recall(1.0, 13)
            await _erase(serving, first)
            assert not building.done()
        assert await building
        (graph,) = await serving.segments()
        assert graph.rows == 9
        assert f"WHERE ((written >= '0'::xid8) AND (written < '{graph.until}'::xid8))" in graph.made
        assert "m='12', ef_construction='24'" in graph.made
        assert await chat.admin.fetchval("select embedder.count_outside($1, 99)", serving.id) == 3
        assert not await built.index(serving.generation)
        recall = await measure_recall(serving.database, chat.workspace, serving.generation)
        assert recall == Recall(1.0, 12)


async def _erase(serving: Filling, message: UUID) -> None:
    """Remove a message's vector as an erasure does."""
    workspace = serving.chat.workspace
    async with serving.database.transaction(workspace) as connection:
        await store.lock_for_removing(connection, workspace)
        gone = await connection.fetchval(
            QUERIES["remove_vectors"], workspace, ["message"], [message]
        )
    assert gone == 1


async def test_graphs_of_a_size_become_one(deployment: Deployment, chat: Chat) -> None:
    """Graphs that together are as much as the one before become one with it, and their indexes go."""
    async with filling(chat) as serving:
        built, sizes = serving.indexing(), []
        for _ in range(7):
            await serving.add(10)
            assert await built.index(serving.generation)
            sizes.append(await serving.rows())
            names = {each.index_name for each in await serving.segments()}
            assert await hnsw_indexes(chat.admin) == dict.fromkeys(names, True)
        assert sizes == [
            [10],
            [10, 10],
            [10, 10, 10],
            [40],
            [40, 10],
            [40, 10, 10],
            [40, 10, 10, 10],
        ]
        await serving.add(100)
        assert await built.index(serving.generation)
        assert await serving.rows() == [170]


async def test_a_large_graph_is_dense_once_it_is_quiet(
    deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a size on sparse graphs become a dense one, but not while an import goes on, and never where that is set."""
    async with filling(chat) as serving:
        never = serving.indexing()
        for count in (40, 10, 10):
            await serving.add(count)
            assert await never.index(serving.generation)
        assert await serving.rows() == [40, 10, 10]
        await serving.add(5, missing=3)
        assert not await never.index(serving.generation)
        assert not await serving.indexing(dense_rows_min=66).index(serving.generation)
        due = serving.indexing(dense_rows_min=65)
        monkeypatch.setattr(indexing, "_MISSING_MAX", 2)
        assert not await due.index(serving.generation), "an import goes on"
        monkeypatch.setattr(indexing, "_MISSING_MAX", 3)
        assert not await due.index(serving.generation), "it was looked at just now"
        serving.now = 60.0
        assert await due.index(serving.generation)
        (graph,) = await serving.segments()
        assert (graph.rows, graph.m) == (65, 24)
        assert "m='24', ef_construction='48'" in graph.made
        serving.now = 120.0
        assert not await due.index(serving.generation), "it is dense"
        for _ in range(4):
            await serving.add(10)
            assert await due.index(serving.generation)
        assert [(each.rows, each.m) for each in await serving.segments()] == [(65, 24), (40, 12)]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "damage",
    [
        "update pg_index set indisvalid = false where indexrelid = 'embedder.{}'::regclass",
        "drop index embedder.{}",
    ],
)
async def test_broken_graphs_are_mended(
    deployment: Deployment, chat: Chat, damage: str, place: int
) -> None:
    """An index that is invalid, or was dropped, is told of and built again, of the same vectors."""
    async with filling(chat) as serving:
        built = serving.indexing()
        for _ in range(3):
            await serving.add(10)
            assert await built.index(serving.generation)
        before = await serving.segments()
        await chat.admin.execute(damage.format(before[place].index_name))
        assert await serving.state() == "invalid"
        await serving.add(10)
        assert await built.index(serving.generation)
        assert await serving.state() == "ready"
        after = await serving.segments()
        assert [_span(each.made) for each in after] == [_span(each.made) for each in before]
        assert [each.rows for each in after] == [10, 10, 10]
        names = {each.index_name for each in after}
        assert before[place].index_name not in names
        assert await hnsw_indexes(chat.admin) == dict.fromkeys(names, True)
        assert await built.index(serving.generation)
        assert await serving.rows() == [40]


def _span(made: str) -> str:
    return made.partition(" WHERE ")[2]


async def test_what_a_broken_off_build_left_is_dropped(
    deployment: Deployment, chat: Chat, database_url: str
) -> None:
    """An index that no search asks for only costs: it goes, and the graph is built another time."""
    async with filling(chat) as serving:
        built = serving.indexing()
        await serving.add(10)
        async with held_up(serving, built, database_url) as building:
            building.cancel()
            await asyncio.wait([building])
        assert building.cancelled()
        (left,) = (await hnsw_indexes(chat.admin)).items()
        assert left[1] is False
        assert await serving.segments() == []
        assert await built.index(serving.generation)
        (graph,) = await serving.segments()
        assert graph.index_name != left[0]
        assert await hnsw_indexes(chat.admin) == {graph.index_name: True}
        await chat.admin.execute(graph.made.replace(graph.index_name, f"{graph.index_name}_stray"))
        assert not await built.index(serving.generation)
        assert await hnsw_indexes(chat.admin) == {graph.index_name: True}


async def test_one_replica_builds_at_a_time(deployment: Deployment, chat: Chat) -> None:
    """What another process builds is left to it."""
    async with filling(chat) as serving:
        await serving.add(10)
        built = serving.indexing()
        key = f"hashtextextended('embedder.build_index:{serving.id}', 0)"
        await chat.admin.execute(f"select pg_advisory_lock({key})")
        assert not await built.index(serving.generation)
        await chat.admin.execute(f"select pg_advisory_unlock({key})")
        assert await serving.segments() == []
        assert await built.index(serving.generation)
        assert await chat.admin.fetchval(f"select pg_try_advisory_lock({key})"), "it is given back"


async def test_a_session_is_as_before_after_a_build(deployment: Deployment, chat: Chat) -> None:
    """Who gets the connection next acts under the embedder's role, and for as long as its statements may."""
    names = ("role", "statement_timeout", "lock_timeout", "maintenance_work_mem")
    shown = [f"show {name}" for name in (*names, "max_parallel_maintenance_workers")]

    async def read(database: Database) -> Sequence[str]:
        async with database.connection() as connection:
            return [await connection.fetchval(statement) for statement in shown]

    async with filling(chat, size=1) as serving:
        before = await read(serving.database)
        assert before[0] == "winnow_embedder"
        await serving.add(10)
        assert await serving.indexing().index(serving.generation)
        assert await read(serving.database) == before
        (graph,) = await serving.segments()
        await chat.admin.execute(f"drop table embedder.vector_{serving.id.hex}")
        await serving.indexing().index(serving.generation)
        assert await read(serving.database) == before
    assert graph.rows == 10


@pytest.mark.parametrize("serves", [True, False])
async def test_a_generation_that_goes_meanwhile_ends_nobody(
    deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch, serves: bool
) -> None:
    """Counting takes long: another generation may serve by then, and the vectors of this one be dropped."""
    async with filling(chat, serves=serves) as filled:
        await filled.add(10)

        async def debt(*_: object) -> tuple[int, int]:
            await chat.admin.execute(
                "update embedder.generation set state = 'retired' where id = $1", filled.id
            )
            await chat.admin.execute("select embedder.drop_generation($1)", filled.id)
            return 0, 0

        monkeypatch.setattr(counting, "debt", debt)
        await filled.indexing(dense_rows_min=10).index(filled.generation)
        assert await filled.segments() == []
    assert await hnsw_indexes(chat.admin) == {}


async def test_a_generation_of_an_early_release_gets_graphs(
    deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its one index of all answers searches until graphs hold its vectors, and goes then."""
    async with filling(chat) as serving:
        partition = f"vector_{serving.id.hex}"
        await chat.admin.execute(
            f"create index {partition}_hnsw on embedder.{partition}"
            " using hnsw ((embedding::halfvec(8)) halfvec_cosine_ops)"
        )
        await serving.add(10)
        seen = list[dict[str, bool]]()
        drop = Indexing._drop_strays

        async def look(self: Indexing, *place: object) -> None:
            seen.append(await hnsw_indexes(chat.admin))
            await drop(self, *place)  # type: ignore[arg-type]

        monkeypatch.setattr(Indexing, "_drop_strays", look)
        assert await serving.indexing().index(serving.generation)
        (graph,) = await serving.segments()
        assert seen == [{f"{partition}_hnsw": True, graph.index_name: True}]
        assert await hnsw_indexes(chat.admin) == {graph.index_name: True}


@pytest.mark.parametrize("had_graph", [True, False])
async def test_what_was_restored_is_as_if_written_here(
    deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch, had_graph: bool
) -> None:
    """What a dump of another server holds, with numbers yet to come here, gets a graph; what is new gets another."""
    monkeypatch.setattr(indexing, "_NUMBERED_MAX", 5)
    async with filling(chat) as serving:
        built, outside = serving.indexing(), "select embedder.count_outside($1, 99)"
        await serving.add(12)
        await chat.admin.execute("update embedder.vector set written = '999999999999'")
        if had_graph:
            await chat.admin.execute(
                f"create index foreign_graph on embedder.vector_{serving.id.hex} using hnsw"
                " ((embedding::halfvec(8)) halfvec_cosine_ops) where written >= '0' and written < '1000000000000'"
            )
            await chat.admin.execute(
                "insert into embedder.segment values ($1, '1000000000000', 'foreign_graph', 12, 12)",
                serving.id,
            )
        assert await built.index(serving.generation)
        assert await serving.rows() == [12]
        assert list(await hnsw_indexes(chat.admin)) == [
            each.index_name for each in await serving.segments()
        ]
        assert not await built.index(serving.generation), "it is in a graph"
        await serving.add(10)
        assert await chat.admin.fetchval(outside, serving.id) == 10
        recall = await measure_recall(serving.database, chat.workspace, serving.generation)
        assert recall == Recall(1.0, 22)
        assert await built.index(serving.generation)
        assert await serving.rows() == [12, 10]
