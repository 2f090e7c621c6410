"""A database that is short of something, or that its administrator has set otherwise."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.common import migrations
from services.common.database import Connection, Database, DatabaseSettings
from services.common.errors import DatabaseUnavailable
from services.common.keys import create_key
from tests.common.own_server import fresh_database, own_server
from tests.common.stages import Recorder, make, running, until
from tests.conftest import PASSWORD, Deployment, free_port
from tests.servers import PostgresServer

MAKE_SOURCE = (
    "insert into ingest.source (workspace_id, kind, external_id, id) values ($1, 'api', $2, $3)"
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this module's own, whose settings its tests change."""
    with own_server(max_connections=30) as server:
        yield server


@pytest.fixture
async def database_url(server: PostgresServer) -> str:
    """The owner's URL of a fresh database on it."""
    return await fresh_database(server)


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Database]:
    """The database of the deployment under the role of ingest."""
    async with Database.open(DatabaseSettings(**settings), "winnow_ingest") as database:
        yield database


@asynccontextmanager
async def defaulting(deployment: Deployment, setting: str) -> AsyncIterator[None]:
    """Have every new session of the services' login begin with a setting."""
    await deployment.admin.execute(f"alter role winnow_app set {setting}")
    try:
        yield
    finally:
        await deployment.admin.execute("alter role winnow_app reset all")


async def write(database: Database, deployment: Deployment) -> None:
    """Save something."""
    async with database.transaction(deployment.workspace) as connection:
        await connection.execute(MAKE_SOURCE, deployment.workspace, uuid4().hex, uuid4())


async def test_of_several_servers_the_one_that_writes_is_taken(
    deployment: Deployment, server: PostgresServer
) -> None:
    """A replica that is named first, or that a primary has become, is passed over; alone it is told for what it is."""
    standby = PostgresServer(free_port(), PASSWORD, copy_of=f"{server.url}/postgres")
    standby.start()
    try:
        name = await deployment.admin.fetchval("select current_database()")
        both = f"127.0.0.1:{standby.port},127.0.0.1:{server.port}"
        login = f"postgresql://winnow_app:{PASSWORD}"
        async with opened(database_url=f"{login}@{both}/{name}") as database:
            await write(database, deployment)
        owner = f"{server.url.rpartition('@')[0]}@{both}/{name}"
        assert await migrations.migrate(owner) == []
        assert await create_key(owner, "made where it can be")
        alone = f"{login}@127.0.0.1:{standby.port}/{name}"
        with pytest.raises(DatabaseUnavailable, match=r"URL: .*only a replica answers"):
            async with opened(database_url=alone):
                pass
        async with opened(database_url=f"{alone}?target_session_attrs=any") as database:
            with pytest.raises(DatabaseUnavailable, match="only reads"):
                await write(database, deployment)
    finally:
        standby.stop()
        standby.remove()


async def test_sessions_that_only_read_are_given_up(deployment: Deployment) -> None:
    """What was told to read only when it began is not lent again, so that who may write by then writes."""
    async with AsyncExitStack() as stack:
        async with defaulting(deployment, "default_transaction_read_only = on"):
            database = await stack.enter_async_context(opened())
            with pytest.raises(DatabaseUnavailable, match="only reads"):
                await write(database, deployment)
        await write(database, deployment)


async def test_another_default_of_isolation_changes_nothing(deployment: Deployment) -> None:
    """Two writers do not get in each other's way where an administrator makes transactions serializable by default."""

    async def count_and_write(connection: Connection) -> None:
        await connection.fetchval("select count(*) from ingest.source")
        await connection.execute(MAKE_SOURCE, deployment.workspace, uuid4().hex, uuid4())

    async with (
        defaulting(deployment, "default_transaction_isolation = 'serializable'"),
        opened() as database,
        database.transaction(deployment.workspace) as one,
    ):
        await count_and_write(one)
        async with database.transaction(deployment.workspace) as other:
            await count_and_write(other)
    assert await deployment.admin.fetchval("select count(*) from ingest.source") == 2


async def test_a_limit_for_other_transactions_holds_for_none_of_ours(
    deployment: Deployment,
) -> None:
    """Where an administrator has long transactions ended, the limits that we set count for ours, as for statements."""
    async with (
        defaulting(deployment, "transaction_timeout = '200ms'"),
        opened() as database,
        database.transaction(deployment.workspace) as connection,
    ):
        await connection.execute("select pg_sleep(0.5)")


async def test_connections_that_others_take_are_told_and_waited_for(
    deployment: Deployment, server: PostgresServer
) -> None:
    """While others hold every connection, who needs a new one is told so; the old ones serve, and then all is well."""
    async with opened(database_pool_size=4) as database, AsyncExitStack() as stack:
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                taken = await asyncpg.connect(DatabaseSettings().database_url.get_secret_value())
                stack.push_async_callback(taken.close)
        await write(database, deployment)
        async with database.connection():
            with pytest.raises(DatabaseUnavailable, match="takes no further connection"):
                await write(database, deployment)
        await stack.aclose()
        # A server lets go of a session a moment after its client has.
        held = "select count(*) from pg_stat_activity where usename = 'winnow_app'"
        while await deployment.admin.fetchval(held) > 5:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        async with database.connection():
            await write(database, deployment)


async def test_a_login_that_is_let_in_no_more_costs_no_task_anything(
    deployment: Deployment,
) -> None:
    """Without the right to connect, work waits and no part gives up; given back, it goes on."""
    name = await deployment.admin.fetchval("select current_database()")
    stage = Recorder(seconds=0.2)
    async with running(stage, task_attempts_max=1, task_lease_seconds=60) as parts:
        await make(deployment, "a")
        await stage.started.wait()
        await deployment.admin.execute(f"revoke connect on database {name} from public")
        await deployment.admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'winnow_app'"
        )
        await asyncio.sleep(2)
        assert not parts.working.done()
        assert not parts.relaying.done()
        await deployment.admin.execute(f"grant connect on database {name} to public")
        await until(deployment.admin, done=1)
