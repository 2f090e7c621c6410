"""What costs much for nothing, a count or a build that fails, is not begun again at once."""

from contextlib import suppress
from uuid import UUID

import asyncpg
import pytest

from services.common.database import Database
from services.common.errors import StatementTooSlow
from services.embedder import counting
from services.embedder.indexing import Indexing
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, until
from tests.embedder.vectors import Filling, filling, hnsw_indexes
from tests.meanwhile import meanwhile

CANCEL = """select coalesce(bool_or(pg_cancel_backend(pid)), false) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like 'create index%'"""


async def test_counting_what_a_generation_lacks_leaves_time_for_making_it(
    deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a generation fills, counting what it lacks takes a tenth of the time, however long a count takes."""
    counted = 0
    async with filling(chat, serves=False) as beside:
        await beside.add(9)

        async def debt(*_: object) -> tuple[int, int]:
            nonlocal counted
            beside.now, counted = beside.now + 2, counted + 1
            return 1, 0

        monkeypatch.setattr(counting, "debt", debt)
        built = beside.indexing()
        assert not await built.index(beside.generation)
        assert counted == 0, "nothing would be built"
        await beside.add(1)
        for wait, counts in ((0, 1), (17, 1), (1, 2)):
            beside.now += wait
            assert not await built.index(beside.generation)
            assert counted == counts


@pytest.mark.parametrize(("takes", "rests"), [(2, 60), (10, 90)])
async def test_counting_what_waits_for_a_vector_rests_a_minute_at_least(
    deployment: Deployment,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    takes: int,
    rests: int,
) -> None:
    """Whether it is quiet enough for a dense graph is asked once a minute, or more rarely where that takes long."""
    counted = 0
    async with filling(chat) as serving:
        await serving.add(10)

        async def debt(*_: object) -> tuple[int, int]:
            nonlocal counted
            serving.now, counted = serving.now + takes, counted + 1
            return 5000, 0

        monkeypatch.setattr(counting, "debt", debt)
        built = serving.indexing(dense_rows_min=10)
        assert await built.index(serving.generation), "the sparse one does not wait"
        for wait, counts in ((0, 1), (rests - 1, 1), (1, 2)):
            serving.now += wait
            assert not await built.index(serving.generation)
            assert counted == counts


async def test_a_count_that_fails_is_not_made_again_at_once(
    deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database too busy to count is left alone as long as after a count, and what was to be full stays so."""
    asked = list[UUID]()
    async with filling(chat, serves=False) as beside:
        await beside.add(10)

        async def debt(_: Database, __: UUID, moment: UUID) -> tuple[int, int]:
            beside.now += 2
            asked.append(moment)
            raise StatementTooSlow("too slow")

        monkeypatch.setattr(counting, "debt", debt)
        built = beside.indexing()
        for wait, counts in ((0, 1), (17, 1), (1, 2)):
            beside.now += wait
            with suppress(StatementTooSlow):
                assert not await built.index(beside.generation)
            assert len(asked) == counts
    assert len(set(asked)) == 1


async def test_a_busy_chat_does_not_put_a_graph_off_for_ever(
    deployment: Deployment, chat: Chat
) -> None:
    """A generation is indexed once it has what was there at the look before, though something new lacks its vector."""
    async with filling(chat, serves=False) as beside:
        late = await chat.say(["hello"], tasks=False)
        await beside.add(10)
        built = beside.indexing()
        assert not await built.index(beside.generation)
        await beside.write(late)
        await chat.say(["hello"], tasks=False)
        beside.now = 60.0
        assert await built.index(beside.generation)
        assert await beside.rows() == [11]


async def test_a_build_that_fails_is_not_begun_again_at_once(
    deployment: Deployment, chat: Chat, database_url: str
) -> None:
    """A build may fail because it fills the disk: it is left alone for a minute, or nine times as long as it took."""
    writer = await asyncpg.connect(database_url)
    async with filling(chat) as serving:
        built = serving.indexing()
        await serving.add(10)
        async with writer.transaction():
            await writer.execute(
                f"lock table embedder.vector_{serving.id.hex} in row exclusive mode"
            )
            await _fails(serving, built, 2)
            for rest, takes in ((60, 10), (90, 0)):
                serving.now += rest - 1
                assert not await built.index(serving.generation)
                serving.now += 1
                await _fails(serving, built, takes)
            assert len(await hnsw_indexes(chat.admin)) == 3
        serving.now += 60
        assert await built.index(serving.generation)
        (graph,) = await serving.segments()
        assert await hnsw_indexes(chat.admin) == {graph.index_name: True}
    await writer.close()


async def _fails(serving: Filling, built: Indexing, takes: float) -> None:
    """Build a graph, which is ended from outside after some time by the clock."""

    async def cancel() -> bool:
        if await serving.chat.admin.fetchval(CANCEL):
            serving.now += takes
            return True
        return False

    async with meanwhile(until(cancel)):
        with pytest.raises(StatementTooSlow):
            await built.index(serving.generation)
