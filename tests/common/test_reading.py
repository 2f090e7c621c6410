"""Read-only transactions: lent from call to call within a workspace, never beyond it, and never for long."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest

from services.common.database import Connection, Database, DatabaseSettings
from services.common.errors import DatabaseUnavailable
from services.common.reading import AGE_SECONDS, IDLE_SECONDS, Reading, Readings
from tests.conftest import Deployment

WIDE = (("hnsw.ef_search", "250"),)
CONNECTIONS = 2


@dataclass
class Clock:
    """A time that stands until it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class Desk:
    """Transactions under a clock, over a pool of two connections."""

    readings: Readings
    clock: Clock
    pool: asyncpg.Pool

    async def all_ended(self) -> None:
        """Wait until every connection is back in the pool."""
        async with asyncio.timeout(60):
            while self.pool.get_idle_size() < self.pool.get_size():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def desk(deployment: Deployment) -> AsyncIterator[Desk]:
    """Transactions of search's role."""
    pool = await asyncpg.create_pool(
        os.environ["WINNOW_DATABASE_URL"],
        min_size=1,
        max_size=CONNECTIONS,
        server_settings={"role": "winnow_search"},
    )
    try:
        yield Desk(Readings(pool, "test", clock := Clock()), clock, pool)
    finally:
        pool.terminate()


async def began(reading: Reading) -> tuple[int, object]:
    """What tells transactions apart: the session and the time at which they began."""
    row = await reading.connection.fetchrow("select pg_backend_pid() as pid, now() as began")
    return row["pid"], row["began"]


async def lose(deployment: Deployment, connection: Connection) -> None:
    """Have the server end a session, and ask it for something then."""
    pid = await connection.fetchval("select pg_backend_pid()")
    await deployment.admin.execute("select pg_terminate_backend($1)", pid)
    await connection.fetchval("select 1")


async def gone(deployment: Deployment, pid: int) -> bool:
    """Whether the server has ended a session."""
    count = await deployment.admin.fetchval(
        "select count(*) from pg_stat_activity where pid = $1", pid
    )
    return not count


async def test_the_next_call_of_a_workspace_goes_on_in_the_transaction(desk: Desk) -> None:
    """What one call gave back the next one of the same workspace must get, and it sees what was committed meanwhile."""
    workspace = uuid4()
    first = await desk.readings.take(workspace, ())
    known = await began(first)
    await desk.readings.give_back(first)
    second = await desk.readings.take(workspace, ())
    assert await began(second) == known
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await second.connection.execute("create temporary table t ()")
    await desk.readings.end(second)


async def test_it_sees_what_is_committed_between_its_calls(
    deployment: Deployment, desk: Desk
) -> None:
    """A transaction that is kept must not show its next call the state of before."""
    counted = "select count(*) from ingest.source"
    for count in range(3):
        reading = await desk.readings.take(deployment.workspace, ())
        assert await reading.connection.fetchval(counted) == count
        await desk.readings.give_back(reading)
        await deployment.admin.execute(
            "insert into ingest.source (workspace_id, id, kind, external_id, title) values ($1, $2, 'api', $3, '')",
            deployment.workspace,
            uuid4(),
            str(count),
        )


async def test_no_other_workspace_and_no_other_settings_get_it(desk: Desk) -> None:
    """Whoever reads must see its own workspace under its own settings, whatever is kept."""
    mine, other = uuid4(), uuid4()
    seen = "select current_setting('winnow.workspace_id'), current_setting('hnsw.ef_search')"
    for workspace, local, breadth in [
        (mine, WIDE, "250"),
        (other, WIDE, "250"),
        (mine, (), "40"),
        (other, (), "40"),
        (mine, WIDE, "250"),
    ]:
        reading = await desk.readings.take(workspace, local)
        await reading.connection.execute("select '[1]'::vector")
        row = await reading.connection.fetchrow(seen)
        assert tuple(row) == (str(workspace), breadth)
        await desk.readings.give_back(reading)


async def test_an_old_or_idle_one_is_ended(desk: Desk) -> None:
    """A transaction must end when it is old, and by itself when nobody wants it again."""
    workspace = uuid4()
    reading = await desk.readings.take(workspace, ())
    desk.clock.now += AGE_SECONDS * 1.1
    await desk.readings.give_back(reading)
    assert desk.pool.get_idle_size() == desk.pool.get_size()
    reading = await desk.readings.take(workspace, ())
    await desk.readings.give_back(reading)
    assert desk.pool.get_idle_size() < desk.pool.get_size()
    desk.clock.now += IDLE_SECONDS * 1.1
    await desk.all_ended()


async def test_what_is_kept_makes_nobody_wait(desk: Desk) -> None:
    """When all connections are kept for others, the one that waits longest must be given up at once."""
    kept = [await desk.readings.take(uuid4(), ()) for _ in range(CONNECTIONS)]
    for reading in kept:
        await desk.readings.give_back(reading)
    async with asyncio.timeout(60):
        reading = await desk.readings.take(uuid4(), ())
        again = await desk.readings.take(kept[1].bound[0], ())
    assert again is kept[1]
    for each in (reading, again):
        await desk.readings.end(each)


async def test_a_lost_connection_is_not_lent(deployment: Deployment, desk: Desk) -> None:
    """A transaction whose session is gone must be replaced by one that works."""
    workspace = uuid4()
    reading = await desk.readings.take(workspace, ())
    pid, _ = await began(reading)
    await desk.readings.give_back(reading)
    await deployment.admin.execute("select pg_terminate_backend($1)", pid)
    async with asyncio.timeout(60):
        while not await gone(deployment, pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    other = await desk.readings.take(workspace, ())
    assert (await began(other))[0] != pid
    await desk.readings.end(other)


async def test_a_call_that_fails_ends_its_transaction(deployment: Deployment) -> None:
    """After an error the next call must get another transaction, and the error stays what it was."""
    settings = DatabaseSettings.read()
    async with Database.open(settings, "winnow_search", size=1, leaves_nothing=True) as database:
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with database.reading(deployment.workspace) as connection:
                await connection.fetchval("select 1 / 0")
        with pytest.raises(DatabaseUnavailable):
            async with database.reading(deployment.workspace) as connection:
                await lose(deployment, connection)
        async with database.reading(deployment.workspace) as connection:
            assert await connection.fetchval("select 1") == 1
