"""The queries of ingest."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Connection, Database, DatabaseSettings
from services.ingest import places, store
from services.ingest.store import QUERIES, Score
from tests.conftest import Deployment

BEGAN, CHAT_MESSAGES = datetime(2026, 1, 1, tzinfo=UTC), 5000
READ = """select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int from pg_stat_xact_user_tables
          where relid = 'ingest.message'::regclass"""
FILL = """
    insert into ingest.message (workspace_id, source_id, id, external_id, text, sent_at, deleted_at, erased_at,
      content_sha256, text_sha256, importance_score, importance_label, importance_factors, importance_version)
    select $1, $2, uuidv7(), n::text, '', $3::timestamptz + n * interval '1 second', e.erased_at, e.erased_at,
      case when e.erased_at is null then sha256(n::text::bytea) else decode(repeat('00', 32), 'hex') end,
      sha256(''), 0, 'noise', '{}', ''
    from generate_series(1, $4::int) n cross join
      lateral (select case when n <= $5::int then now() end as erased_at) e"""
Place = tuple[Connection, UUID, UUID]


async def _chat(deployment: Deployment) -> UUID:
    """Make a chat of which all but the last messages are erased, as the statistics tell; return its id."""
    admin, workspace = deployment.admin, deployment.workspace
    make = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'room') returning id"
    source: UUID = await admin.fetchval(make, workspace)
    await admin.execute(FILL, workspace, source, BEGAN, CHAT_MESSAGES, CHAT_MESSAGES - 50)
    await admin.execute("analyze ingest.message")
    return source


@pytest.mark.parametrize("name", QUERIES)
async def test_queries_are_valid_for_the_role(deployment: Deployment, name: str) -> None:
    """PostgreSQL prepares every query under the role of the service."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        await connection.prepare(QUERIES[name])
        await connection.execute(f"explain (generic_plan) {QUERIES[name]}")


@pytest.mark.parametrize("name", ["language", "words"])
async def test_what_is_computed_of_a_text_needs_no_call(deployment: Deployment, name: str) -> None:
    """The planner puts the expression in place of the function, which called would be planned again for every row."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        query = f"explain (verbose, costs off) select spine.{name}(m.text) from ingest.message m"
        plan = "\n".join(row[0] for row in await connection.fetch(query))
    assert "Output:" in plan
    assert f"spine.{name}(" not in plan


async def _around(place: Place, last: datetime, key: str) -> int:
    return len(await places.around_places(*place, [("", last, key)], 20))


async def _tail(place: Place, last: datetime, _: str) -> int:
    return len(await store.conversation_tails(*place, [("", last)], [], 20))


@pytest.mark.parametrize("read", [_around, _tail])
async def test_what_stands_around_a_message_is_read_alone(
    deployment: Deployment, read: Callable[[Place, datetime, str], Awaitable[int]]
) -> None:
    """A chat is not read whole and sorted for its last messages, also where there seem to be hardly any."""
    source = await _chat(deployment)
    last = BEGAN + timedelta(seconds=CHAT_MESSAGES)
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        found = await read((connection, deployment.workspace, source), last, str(CHAT_MESSAGES))
        assert found >= 20
        assert await connection.fetchval(READ) < 3 * found
        assert await connection.fetchval("show enable_sort") == "on"


async def _interrupted(place: Place, last: datetime, key: str) -> int:
    times = [(last - timedelta(seconds=3 * n), str(int(key) - 3 * n)) for n in range(20)]
    stand = [("", sent_at, name) for sent_at, name in reversed(times)]
    ends = [(each, None) for each in stand]
    await places.disturbed_threads(*place, ends, [])
    await store.replies_to(*place, [name for _, name in times])
    return len(await places.interrupted_places(*place, stand)) * 4


async def _by_key(place: Place, _: datetime, key: str) -> int:
    return len(await store.messages_by_key(*place, [str(int(key) - n) for n in range(20)]))


async def _kept(place: Place, _: datetime, key: str) -> int:
    return len(await store.kept_messages(*place, [str(int(key) - n) for n in range(20)]))


async def _scored(place: Place, last: datetime, key: str) -> int:
    connection, workspace, _ = place
    rows = await places.around_places(*place, [("", last, key)], 1000)
    score = Score(0.5, "weak", "{}")
    await store.set_scores(connection, workspace, [(row["id"], score) for row in rows], "v")
    stored = await places.around_places(*place, [("", last, key)], 1000)
    assert {row["importance_label"] for row in stored} == {"weak"}
    return len(rows)


@pytest.mark.parametrize("read", [_around, _tail, _interrupted, _by_key, _kept, _scored])
async def test_a_workspace_that_the_statistics_do_not_know(
    deployment: Deployment, read: Callable[[Place, datetime, str], Awaitable[int]]
) -> None:
    """What is imported into a new workspace is not read whole for every batch until the server has looked at it."""
    admin, workspace = deployment.admin, deployment.workspace
    make = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'room') returning id"
    key = mint_key()
    for each in (await store_key(admin, "before", "test", key, SCOPES), workspace):
        source: UUID = await admin.fetchval(make, each)
        await admin.execute(FILL, each, source, BEGAN, CHAT_MESSAGES, 0)
        if each != workspace:
            await admin.execute("analyze ingest.message")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(workspace) as connection,
    ):
        last = BEGAN + timedelta(seconds=CHAT_MESSAGES)
        found = await read((connection, workspace, source), last, str(CHAT_MESSAGES))
        assert found >= 20
        assert await connection.fetchval(READ) < 5 * found


async def test_messages_of_sources_are_counted_without_reading_them(deployment: Deployment) -> None:
    """A list of sources tells how many live messages each has by indexes alone."""
    source = await _chat(deployment)
    # As wide as messages are.
    await deployment.admin.execute("update ingest.message set author_name = repeat('x', 500)")
    for vacuum in ("vacuum full", "vacuum analyze"):
        await deployment.admin.execute(f"{vacuum} ingest.message")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        (row,) = await store.list_sources(connection, deployment.workspace, UUID(int=0), 10)
        assert (row["id"], row["message_count"]) == (source, 50)
        assert await connection.fetchval(READ) == 0
