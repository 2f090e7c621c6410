"""What waits for its vector is looked at a part at a time, and told right however much it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.database import Database, DatabaseSettings
from services.search import backlog
from services.search.reads import Reads
from services.search.store import Generation
from tests.conftest import Deployment
from tests.search.asking import KEYWORD
from tests.search.conftest import Desk

WAITING, OTHERS = 3 * backlog.LOOKED_AT_MAX, 500


async def add_tasks(
    admin: asyncpg.Connection,
    workspace: UUID,
    generation: UUID,
    count: int,
    state: str = "ready",
    made: datetime | None = None,
) -> None:
    """Make tasks that ask for vectors of a generation."""
    await admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, state, hint_at, lease_until, created_at)
           select $1, 'embed', gen_random_uuid(), 'message:' || $2::uuid || ':', $4,
             case when $4 in ('ready', 'leased') then now() + interval '1 h' end,
             case when $4 = 'leased' then now() + interval '1 h' end, coalesce($5, now())
           from generate_series(1, $3::int)""",
        workspace,
        generation,
        count,
        state,
        made,
    )


async def generation_of(admin: asyncpg.Connection) -> Generation:
    """A serving generation."""
    found = await admin.fetchval(
        "select (embedder.open_generation('test', $1, 8, 'mean', '', '')).id", "0" * 64
    )
    return Generation(found, "test", 8)


@asynccontextmanager
async def reads() -> AsyncIterator[Reads]:
    """What search reads."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        yield Reads(database)


async def test_a_backlog_is_told_whole(desk: Desk) -> None:
    """A search sees a part of a backlog; soon after, searches tell all of it."""
    library, made = desk.library, datetime(2024, 5, 1, tzinfo=UTC)
    assert library.generation
    place = library.admin, library.workspace
    await add_tasks(*place, library.generation, WAITING)
    await add_tasks(*place, library.generation, 3, "dead", made)
    await add_tasks(*place, library.generation, 2, "leased")
    await add_tasks(*place, uuid4(), OTHERS)
    first = (await desk.client.search("x", mode=KEYWORD)).freshness
    assert backlog.LOOKED_AT_MAX <= first.pending_embeddings <= WAITING + 5
    async with asyncio.timeout(60):
        while (told := first).pending_embeddings != WAITING + 5:
            await asyncio.sleep(0.05)
            first = (await desk.client.search("x", mode=KEYWORD)).freshness
    assert told.dead_embeddings == 3
    assert told.searchable_up_to.ToDatetime(UTC) == made


async def test_parts_add_up(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the parts are, each task is counted once, and those of another generation not at all."""
    monkeypatch.setattr(backlog, "COUNTED_MAX", 7)
    generation = await generation_of(deployment.admin)
    place = deployment.admin, deployment.workspace
    await add_tasks(*place, generation.id, 21)
    await add_tasks(*place, uuid4(), 15)
    await add_tasks(*place, generation.id, 8, "dead")
    await add_tasks(*place, generation.id, 50, "done")
    async with reads() as where:
        found = await backlog.count(where, deployment.workspace, generation)
    assert (found.pending, found.dead) == (29, 8)
    made = await deployment.admin.fetchval(
        "select min(created_at) from spine.task where state <> 'done'"
    )
    assert found.searchable_up_to == made


@pytest.mark.parametrize("mine", [0, WAITING])
async def test_a_look_reads_no_more_than_it_may(deployment: Deployment, mine: int) -> None:
    """However much waits, here or in another workspace, or is done, a search reads a bounded number of tasks."""
    admin, generation = deployment.admin, await generation_of(deployment.admin)
    await deployment.other_workspace()
    other = await admin.fetchval("select workspace_id from spine.workspace where name = 'other'")
    await add_tasks(admin, other, generation.id, 5 * WAITING)
    await add_tasks(admin, deployment.workspace, generation.id, mine)
    await add_tasks(admin, deployment.workspace, generation.id, WAITING, "done")
    await admin.execute("analyze spine.task")
    async with admin.transaction():
        await admin.execute(
            "select set_config('winnow.workspace_id', $1, true)", str(deployment.workspace)
        )
        found, is_all = await backlog.look(admin, deployment.workspace, generation)
        read = await admin.fetchval(
            """select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
               from pg_stat_xact_user_tables where relid = 'spine.task'::regclass"""
        )
    assert (found.pending, is_all) == (min(mine, backlog.LOOKED_AT_MAX), not mine)
    assert read <= backlog.LOOKED_AT_MAX


@pytest.mark.parametrize(
    ("state", "minutes", "expected"),
    [
        ("ready", -1, (True, False)),
        ("leased", -1, (True, False)),
        ("dead", -1, (False, True)),
        ("done", -1, (False, False)),
        ("ready", 1, (False, False)),
        ("dead", 1, (False, False)),
    ],
)
async def test_what_was_asked_for_until_a_time_is_told(
    deployment: Deployment, state: str, minutes: int, expected: tuple[bool, bool]
) -> None:
    """Whoever waits until what was accepted can be found waits for what is being made, and for nothing later."""
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    generation = await generation_of(deployment.admin)
    made = moment + timedelta(minutes=minutes)
    await add_tasks(deployment.admin, deployment.workspace, generation.id, 2, state, made)
    await add_tasks(deployment.admin, deployment.workspace, uuid4(), 2, "ready", made)
    async with reads() as where, where.reading(deployment.workspace) as connection:
        assert await backlog.waits_until(connection, generation, moment) == expected
