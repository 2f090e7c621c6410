"""Searches that a streaming replica answers, within a bound of staleness."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from services.common import metrics
from services.common.database import Database, DatabaseSettings
from services.common.errors import StatementTooSlow
from services.search import reads
from services.search.reads import Replica, ReplicaSettings
from tests.conftest import PASSWORD, Deployment, free_port
from tests.search.library import Client, Library, unit
from tests.servers import PostgresServer
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types


@pytest.fixture
def standby(postgres_url: str) -> Iterator[PostgresServer]:
    """A replica of the session's server."""
    server = PostgresServer(free_port(), PASSWORD, copy_of=postgres_url)
    server.start()
    yield server
    server.stop()
    server.remove()


@asynccontextmanager
async def copied(
    deployment: Deployment, standby: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[asyncpg.Connection]:
    """Set the replica for search, and lend a connection to it that sees the deployment's database."""
    name = await deployment.admin.fetchval("select current_database()")
    url = f"{standby.url}/{name}"
    monkeypatch.setenv("WINNOW_SEARCH_REPLICA_URL", url.replace("postgres:", "winnow_app:", 1))
    while True:
        try:
            connection = await asyncpg.connect(url)
        except (asyncpg.InvalidCatalogNameError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.05)
            continue
        try:
            yield connection
        finally:
            await connection.close()
        return


def replica_reads() -> float:
    """How many searches the replica has answered."""
    count: float = metrics.SEARCH_READS.labels("replica")._value.get()
    return count


async def test_a_replica_answers_what_need_not_be_of_now(
    deployment: Deployment, standby: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches go to a near replica; who waits for a write, asks for what is new, or finds it dead, has the primary."""
    monkeypatch.setenv("WINNOW_SEARCH_REPLICA_STALENESS_SECONDS_MAX", "600")
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("on both", unit(1))
    async with (
        copied(deployment, standby, monkeypatch) as replica,
        deployment.serving("search") as channel,
    ):
        client, before = Client(channel, deployment.metadata), replica_reads()
        while await client.meaning(unit(1)) != ["on both"] or replica_reads() == before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await replica.execute("select pg_wal_replay_pause()")
        while await replica.fetchval("select pg_get_wal_replay_pause_state()") != "paused":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        new = await library.add_message("on the primary", unit(1, 0.1))
        assert await client.meaning(unit(1)) == ["on both"]
        assert await client.words("primary") == []

        wait = pb.WaitFor(message_id=str(new))
        assert await client.meaning(unit(1), wait_for=wait) == ["on both", "on the primary"]
        request = pb.FindSimilarRequest(kind=types.SUBJECT_KIND_MESSAGE, id=str(new))
        stub = SearchServiceStub(channel)
        similar = await stub.FindSimilar(request, metadata=deployment.metadata, timeout=30)
        assert [each.message.text for each in similar.results] == ["on both"]

        standby.kill()
        assert await client.meaning(unit(1)) == ["on both", "on the primary"]
        assert await client.words("primary") == ["on the primary"]


async def test_a_replica_is_read_only_within_its_bound(
    deployment: Deployment, standby: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the replica shows is at most as old as the newest place of the primary that it has reached."""
    now = [0.0]
    async with (
        copied(deployment, standby, monkeypatch) as connection,
        Database.open(DatabaseSettings.read(), "winnow_search", size=1) as primary,
        Database.open(_replica_settings(), "winnow_search", size=1, is_replica=True) as database,
    ):

        async def opened() -> Database:
            return database

        replica = Replica(opened, primary, 5, lambda: now[0])
        assert replica.database is None
        await _look_until_fit(replica)
        await connection.execute("select pg_wal_replay_pause()")
        await Library(deployment.admin, deployment.workspace).open()
        now[0] = 4.9
        await replica.look()
        assert replica.database is database
        now[0] = 5.1
        await replica.look()
        assert replica.database is None
        await connection.execute("select pg_wal_replay_resume()")
        await _look_until_fit(replica)
        assert replica.staleness_seconds == 0
        replica.leave_alone()
        assert replica.database is None


async def test_a_replica_that_is_far_behind_is_read_if_it_may_be(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it may be behind is told by the setting alone, not by how many places of the primary are noted."""
    monkeypatch.setattr(reads, "_NOTES_MAX", 8)
    now, behind = [0.0], 100

    async def place(_: object, query: str) -> int:
        return int(now[0]) - (behind if "replay" in query else 0)

    monkeypatch.setattr(reads, "_place", place)
    async with Database.open(DatabaseSettings.read(), "winnow_search", size=1) as database:

        async def opened() -> Database:
            return database

        replica = Replica(opened, database, 2 * behind, lambda: now[0])
        for moment in range(1_000, 2_000):
            now[0] = moment
            await replica.look()
            assert replica.staleness_seconds >= behind
        assert replica.database is database


async def test_a_server_that_is_no_replica_is_not_read(
    deployment: Deployment, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL that names the primary, as after a failover, is said to be wrong, and searches go on."""
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("here", unit(1))
    monkeypatch.setenv(
        "WINNOW_SEARCH_REPLICA_URL", DatabaseSettings.read().database_url.get_secret_value()
    )
    before = replica_reads()
    async with deployment.serving("search") as channel:
        assert await Client(channel, deployment.metadata).meaning(unit(1)) == ["here"]
    assert "WINNOW_SEARCH_REPLICA_URL: the server is no replica" in caplog.text
    assert replica_reads() == before


async def test_a_replica_that_is_not_up_holds_nobody_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Search starts and answers without its replica."""
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("here", unit(1))
    url = f"postgresql://winnow_app:x@127.0.0.1:{free_port()}/winnow"
    monkeypatch.setenv("WINNOW_SEARCH_REPLICA_URL", url)
    async with deployment.serving("search") as channel:
        assert await Client(channel, deployment.metadata).meaning(unit(1)) == ["here"]


async def test_what_takes_too_long_is_asked_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that a replica stops must not be run again on the primary, nor keep others from the replica."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "0.2")
    settings, asked = DatabaseSettings.read(), list[str]()
    async with (
        Database.open(settings, "winnow_search", size=1) as primary,
        Database.open(settings, "winnow_search", size=1) as database,
    ):

        async def opened() -> Database:
            return database

        replica = Replica(opened, primary, 5, lambda: 0.0)
        replica._database, replica._shows_all_until = database, 0.0
        reading = reads.Reads(primary, replica)

        async def work() -> None:
            asked.append("again" if asked else "once")
            async with reading.reading(deployment.workspace) as connection:
                await connection.execute("select pg_sleep(60)")

        with pytest.raises(StatementTooSlow):
            await reading.run(work)
        assert asked == ["once"]
        assert replica.database is database


def _replica_settings() -> DatabaseSettings:
    url = ReplicaSettings.read().search_replica_url
    return DatabaseSettings.read().model_copy(update={"database_url": url})


async def _look_until_fit(replica: Replica) -> None:
    await replica.look()
    while replica.database is None:
        await asyncio.sleep(0.05)
        await replica.look()
