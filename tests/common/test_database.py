"""The database goes away and comes back, refuses, and is used under the right role; errors say whose fault it is."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import asyncpg
import pytest
from asyncpg.exceptions import OutdatedSchemaCacheError

from services.common import pools
from services.common.database import Database, DatabaseSettings, translated
from services.common.errors import DatabaseUnavailable
from services.common.telemetry import LogSettings, start_logging
from tests.common.own_server import fresh_database, own_server
from tests.common.stages import Recorder, make, running, until
from tests.conftest import PASSWORD, Deployment
from tests.servers import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module's own, which its tests may kill."""
    with own_server() as server:
        yield server


@pytest.fixture
async def database_url(server: PostgresServer) -> str:
    """The owner's URL of a fresh database on it."""
    return await fresh_database(server)


@asynccontextmanager
async def opened(**settings: float) -> AsyncIterator[Database]:
    """The database of the deployment under the embedder's role."""
    async with Database.open(DatabaseSettings(**settings), "winnow_embedder") as database:
        yield database


async def answer(database: Database) -> int:
    """Ask the database for 1."""
    async with database.connection() as connection:
        one: int = await connection.fetchval("select 1")
        return one


async def cause(database: Database) -> BaseException | None:
    """Why there is no answer; None if there is one."""
    try:
        await answer(database)
    except DatabaseUnavailable as error:
        return error.__cause__
    return None


async def tries_until_answer(database: Database) -> list[DatabaseUnavailable]:
    """Ask until there is an answer; only DatabaseUnavailable may come before it."""
    errors = []
    async with asyncio.timeout(60):
        while True:
            try:
                await answer(database)
            except DatabaseUnavailable as error:
                errors.append(error)
                await asyncio.sleep(0.02)
            else:
                return errors


async def test_a_restart_is_survived_at_once(
    deployment: Deployment, server: PostgresServer
) -> None:
    """While the server is away every call says so, and the first calls after its return succeed."""
    async with opened(database_pool_size=8) as database:
        await asyncio.gather(*(answer(database) for _ in range(8)))
        server.stop()
        with pytest.raises(DatabaseUnavailable):
            await answer(database)
        server.start()
        assert len(await tries_until_answer(database)) <= 8
        assert await asyncio.gather(*(answer(database) for _ in range(16))) == [1] * 16


async def test_a_lost_connection_is_told_in_a_line(
    deployment: Deployment, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pool, which keeps a connection open, says that it cannot have one without a page of traceback."""
    root, told = logging.getLogger(), ""
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    start_logging(LogSettings())
    try:
        async with opened() as database:
            await answer(database)
            server.stop()
            async with asyncio.timeout(60):
                while "asyncpg.pool" not in told:
                    await asyncio.sleep(0.05)
                    told += capsys.readouterr().err
            server.start()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "a connection to the database is lost" in told
    assert "Traceback" not in told


async def test_a_pool_that_is_used_up_is_told_as_one(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gets no connection since others have them all reads that, not that the database is away."""
    monkeypatch.setattr(pools, "ACQUIRE_SECONDS", 0.05)
    async with opened(database_pool_size=1) as database, database.connection():
        with pytest.raises(
            DatabaseUnavailable, match=r"every connection of the pool \(1\) was in use"
        ):
            await answer(database)
        with pytest.raises(
            DatabaseUnavailable, match=r"every connection of the pool \(1\) was in use"
        ):
            async with database.reading(deployment.workspace):
                pass


async def test_a_killed_backend_is_survived(deployment: Deployment, server: PostgresServer) -> None:
    """kill -9 of one backend resets the whole server; calls in that window fail as unavailable and then succeed."""
    async with opened() as database:
        async with database.connection() as connection:
            pid = await connection.fetchval("select pg_backend_pid()")
        os.kill(pid, signal.SIGKILL)
        await tries_until_answer(database)
        assert await answer(database) == 1


async def test_a_password_may_be_changed(deployment: Deployment) -> None:
    """Until a service is restarted with the new one, calls are told to try again, and its tasks wait."""
    change = "alter role winnow_app password '{}'"
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'winnow_app'"
    async with running(Recorder()) as parts, opened() as database:
        await deployment.admin.execute(change.format("another"))
        try:
            await deployment.admin.execute(cut)
            async with asyncio.timeout(60):
                while not isinstance(await cause(database), asyncpg.InvalidPasswordError):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            await deployment.admin.execute(change.format(PASSWORD))
        await tries_until_answer(database)
        await make(deployment, "a")
        await until(deployment.admin, done=1)
        assert not parts.working.done()


@pytest.mark.parametrize("ends", ["restart", "kill"])
async def test_a_worker_outlives_the_database(
    deployment: Deployment, server: PostgresServer, ends: str
) -> None:
    """What a worker has made while the database went away is written when it is back, once, by the same worker."""
    stage = Recorder(seconds=0.5)
    async with running(stage) as parts:
        await make(deployment, "a", "b")
        parts.relay.kick()
        await stage.started.wait()
        if ends == "restart":
            server.stop()
            await asyncio.sleep(1)
            server.start()
        else:
            pid = await deployment.admin.fetchval("select pg_backend_pid()")
            os.kill(pid, signal.SIGKILL)
        rows = await _ended(os.environ["WINNOW_DATABASE_URL"].replace("winnow_app:", "postgres:"))
        assert [tuple(row) for row in rows] == [("done", 1), ("done", 1)]
        assert sorted(stage.written) == ["a", "b"]
        assert stage.calls == [2], "the work was thrown away and done again"


async def _ended(url: str) -> list[asyncpg.Record]:
    """State and attempts of all tasks once none is open, asked until the server answers."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(url)
                rows: list[asyncpg.Record] = await connection.fetch(
                    "select state, attempts from spine.task"
                )
                await connection.close()
                if not {row["state"] for row in rows} & {"ready", "leased"}:
                    return rows
            await asyncio.sleep(0.05)


async def test_a_long_statement_is_stopped(deployment: Deployment) -> None:
    """A statement over the limit ends as unavailable, and its connection can be used again."""
    async with opened(statement_timeout_seconds=2, database_pool_size=1) as database:
        with pytest.raises(DatabaseUnavailable):
            async with database.connection() as connection:
                await connection.execute("select pg_sleep(60)")
        assert await answer(database) == 1


async def test_a_cancelled_call_gives_its_connection_back(deployment: Deployment) -> None:
    """Calls that are cancelled in the middle of a transaction leave no connection and no lock behind."""
    source = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'x')"
    async with Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database:

        async def slow() -> None:
            async with database.transaction(deployment.workspace) as connection:
                await connection.execute(source, deployment.workspace)
                await connection.execute("select pg_sleep(60)")

        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slow(), 0.1)
        async with asyncio.timeout(40), database.transaction(deployment.workspace) as connection:
            assert await connection.fetchval("select count(*) from ingest.source") == 0


async def test_a_wrong_argument_is_not_the_databases_fault(deployment: Deployment) -> None:
    """An argument that cannot be sent is an error of ours: waiting for the database would repeat it for ever."""
    async with opened() as database:
        for wrong in ("\ud800", 2**70, b"\xff"):
            with pytest.raises((asyncpg.DataError, ValueError)):
                async with database.connection() as connection:
                    await connection.fetchval("select $1::text", wrong)


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route"),
        TimeoutError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("unexpected message"),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.AdminShutdownError("stopping"),
        asyncpg.CrashShutdownError("reset"),
        asyncpg.QueryCanceledError("took too long"),
        asyncpg.LockNotAvailableError("locked"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DiskFullError("full"),
        asyncpg.ReadOnlySQLTransactionError("standby"),
        asyncpg.PostgresIOError("disk"),
        asyncpg.IdleInTransactionSessionTimeoutError("idle"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.InvalidCachedStatementError("cached plan must not change"),
        OutdatedSchemaCacheError("unexpected type"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_state_of_the_server_is_nobodys_fault(error: Exception) -> None:
    """What a server in trouble or its other users cause is unavailable: work is kept, callers come back."""
    with pytest.raises(DatabaseUnavailable):
        async with translated():
            raise error


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.SerializationError("could not serialize"),
        asyncpg.InvalidCachedStatementError("cached plan must not change"),
        OutdatedSchemaCacheError("unexpected type"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_conflicts_are_tried_again(deployment: Deployment, error: Exception) -> None:
    """A transaction that others got in the way of is run again as a whole, and gives up as unavailable in the end."""
    async with opened() as database:
        left = 2

        async def attempt() -> str:
            nonlocal left
            left -= 1
            async with database.transaction(deployment.workspace):
                if left >= 0:
                    raise error
            return "done"

        assert await database.retrying(attempt) == "done"
        left = 99
        with pytest.raises(DatabaseUnavailable):
            await database.retrying(attempt)
        assert left == 95


async def test_a_changed_schema_is_noticed(deployment: Deployment) -> None:
    """A plan that a migration made stale is made anew, also within a transaction."""
    await deployment.admin.execute(
        "create table public.changing (id int); grant select on public.changing to public"
    )
    async with opened(database_pool_size=1) as database:

        async def attempt() -> int:
            async with database.transaction(deployment.workspace) as connection:
                return len((await connection.fetch("select * from public.changing")) or [()])

        await attempt()
        await deployment.admin.execute("alter table public.changing add column more text")
        assert await database.retrying(attempt) == 1


async def test_a_workspace_ends_with_its_transaction(deployment: Deployment) -> None:
    """A connection that comes back to the pool sees no workspace."""
    now = "select current_setting('winnow.workspace_id', true)"
    async with opened(database_pool_size=1) as database:
        async with database.transaction(deployment.workspace) as connection:
            assert await connection.fetchval(now) == str(deployment.workspace)
        async with database.connection() as connection:
            assert not await connection.fetchval(now)


async def test_an_error_rolls_back(deployment: Deployment) -> None:
    """Nothing of a transaction stays when its body fails."""
    source = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'x')"
    async with Database.open(DatabaseSettings.read(), "winnow_ingest") as database:

        async def failing() -> None:
            async with database.transaction(deployment.workspace) as connection:
                await connection.execute(source, deployment.workspace)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await failing()
    assert await deployment.admin.fetchval("select count(*) from ingest.source") == 0


async def test_rows_of_another_workspace_are_refused(deployment: Deployment) -> None:
    """A transaction can write no row of a workspace that is not its own."""
    source = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'x')"
    async with Database.open(DatabaseSettings.read(), "winnow_ingest") as database:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(uuid4()) as connection:
                await connection.execute(source, deployment.workspace)
