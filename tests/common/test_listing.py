"""Lists of tasks and of the audit record are asked where the rows are: the rest is not read for what is rare."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7_floor
from services.common.moments import Span
from services.common.pipeline import Tasks, list_tasks
from tests.conftest import Deployment
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

DAY = datetime(2026, 5, 4, tzinfo=UTC)
FEW, MANY = 300, 20_000
STATES = {"": 0, "ready": 1, "leased": 2, "done": 3, "dead": 4}
CLASSES = ("", "usual", "rare", "none")
ACTIONS = ("a.v1.Ingest/Erase", "b.v1.Other/Erase", "b.v1.Other/Replay", "winnow keys create")
ASKED_ACTIONS = ("", *ACTIONS, "Erase", "Replay", "Other/Erase", "Eras", "none/Erase")
OUTCOMES = ("", "OK", "ABORTED", "DATA_LOSS")
SPANS = ((None, None), (40, None), (None, 9), (40, 41), (0, 60))
READ = """select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables
          where schemaname = 'spine' and relname = $1"""


def at(hour: int | None) -> datetime | None:
    """A moment of the span in which rows are made."""
    return None if hour is None else DAY + timedelta(hours=hour)


def identities(moments: Sequence[datetime]) -> list[UUID]:
    """An id made at each of some moments, all different."""
    return [UUID(int=uuid7_floor(made).int + n) for n, made in enumerate(moments, 1)]


def moments(chance: random.Random, count: int) -> list[datetime]:
    """Moments of two days and a half, many of them the same."""
    return [DAY + timedelta(minutes=20 * chance.randrange(180)) for _ in range(count)]


def holds(made: datetime, span: tuple[int | None, int | None]) -> bool:
    """Whether a moment lies in a span, its first moment in and its last out."""
    first, end = map(at, span)
    return (first is None or made >= first) and (end is None or made < end)


async def add_tasks(admin: asyncpg.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Put tasks: workspace, id, stage, state, class of failure, when made."""
    await admin.executemany(
        """insert into spine.task
             (workspace_id, id, stage, subject_id, spec, state, error_class, created_at, hint_at, lease_until)
           values ($1, $2, $3, uuidv7(), '', $4, nullif($5, ''), $6, case when $4 in ('ready', 'leased') then now() end,
             case when $4 = 'leased' then now() end)""",
        rows,
    )


async def add_entries(admin: asyncpg.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Put entries of the record: workspace, id, key, action, outcome, when begun."""
    await admin.executemany(
        """insert into spine.audit (workspace_id, id, key_id, action, outcome, begun_at, ended_at)
           values ($1, $2, $3, $4, nullif($5, ''), $6::timestamptz, case when $5 <> '' then $6::timestamptz end)""",
        rows,
    )


async def add_key(deployment: Deployment, name: str, workspace: str = "test") -> tuple[UUID, str]:
    """Make another key: its id, and its public part."""
    key = mint_key()
    await store_key(deployment.admin, workspace, name, key, SCOPES)
    query = "select id, prefix from spine.api_key where name = $1"
    [row] = await deployment.admin.fetch(query, name)
    return row["id"], row["prefix"]


async def followed(
    call: Callable[..., Any], deployment: Deployment, request: Any, field: str, size: int
) -> list[UUID]:
    """The ids of all pages of a list; each page but the last must be full."""
    found: list[UUID] = []
    request.page_size, request.page_token = size, ""
    while True:
        reply = await call(request, metadata=deployment.metadata)
        page = [UUID(each.id) for each in getattr(reply, field)]
        found += page
        request.page_token = reply.next_page_token
        if not request.page_token:
            return found
        assert len(page) == size


def spanned(request: Any, names: tuple[str, str], span: tuple[int | None, int | None]) -> Any:
    """The request with a span in two of its fields."""
    for name, hour in zip(names, span, strict=True):
        if moment := at(hour):
            getattr(request, name).CopyFrom(Timestamp(seconds=int(moment.timestamp())))
    return request


def sample(chance: random.Random, *choices: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Every choice of one filter alone, and some of all combinations."""
    neutral = tuple(each[0] for each in choices)
    for place, each in enumerate(choices):
        yield from ((*neutral[:place], value, *neutral[place + 1 :]) for value in each)
    yield from chance.sample(list(itertools.product(*choices)), 150)


async def test_tasks_are_those_of_a_plain_filter(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """Whatever is asked for together, in pages of any size, is what a filter leaves of all tasks, in their order."""
    chance = random.Random(71)
    made = moments(chance, FEW)
    rows = [
        (
            identity,
            chance.choice(("embed", "embed", "embed", "window", "merge")),
            chance.choice(("ready", "leased", "done", "dead")),
            chance.choice(("", "usual", "usual", "usual", "rare")),
            moment,
        )
        for identity, moment in zip(identities(made), made, strict=True)
    ]
    others = [(uuid4(), *row) for row in rows[: FEW // 2]]
    await add_tasks(deployment.admin, [(deployment.workspace, *row) for row in rows] + others)
    stages = ("", "embed", "window", "erase")
    for state, stage, failed, span in sample(chance, list(STATES), stages, CLASSES, SPANS):
        request = pb.ListTasksRequest(state=STATES[state], stage=stage, error_class=failed)  # type: ignore[arg-type]
        spanned(request, ("created_after", "created_before"), span)
        wanted = [
            row[0]
            for row in rows
            if state in ("", row[2])
            and stage in ("", row[1])
            and failed in ("", row[3])
            and holds(row[4], span)
        ]
        size = chance.choice((3, 50, 500))
        found = await followed(stub.ListTasks, deployment, request, "tasks", size)
        assert found == sorted(wanted), (state, stage, failed, span)


async def test_entries_are_those_of_a_plain_filter(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """The same of the record, by whole actions and by methods alone, newest first."""
    chance = random.Random(72)
    keys = [await add_key(deployment, name) for name in ("a", "b", "unused")]
    stranger = await add_key(deployment, "c", "other")
    made = moments(chance, FEW)
    rows = [
        (
            identity,
            chance.choice((keys[0], keys[0], keys[0], keys[1], (None, ""))),
            chance.choice(ACTIONS),
            chance.choice(("", "OK", "OK", "ABORTED")),
            moment,
        )
        for identity, moment in zip(identities(made), made, strict=True)
    ]
    workspaces = [(deployment.workspace, row) for row in rows]
    workspaces += [(uuid4(), row) for row in rows[: FEW // 2]]
    await add_entries(
        deployment.admin, [(each, row[0], row[1][0], *row[2:]) for each, row in workspaces]
    )
    prefixes = ["", *(prefix for _, prefix in (*keys, stranger)), "nobody"]
    for prefix, action, outcome, span in sample(chance, prefixes, ASKED_ACTIONS, OUTCOMES, SPANS):
        request = pb.ListAuditEntriesRequest(key_prefix=prefix, action=action, outcome=outcome)
        spanned(request, ("begun_after", "begun_before"), span)
        wanted = [
            row[0]
            for row in rows
            if prefix in ("", row[1][1])
            and action in ("", row[2], row[2].rpartition("/")[2])
            and outcome in ("", row[3])
            and holds(row[4], span)
        ]
        size = chance.choice((3, 50, 500))
        found = await followed(stub.ListAuditEntries, deployment, request, "entries", size)
        assert found == sorted(wanted, reverse=True), (prefix, action, outcome, span)


async def rows_read(deployment: Deployment, table: str, query: str, *asked: object) -> int:
    """How many rows of a table PostgreSQL reads for a query."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        database.transaction(deployment.workspace) as connection,
    ):
        assert len(await connection.fetch(query, deployment.workspace, *asked)) == 3
        read: int = await connection.fetchval(READ, table)
        return read


@pytest.mark.parametrize("state", ["", "dead"])
async def test_a_rare_failure_is_found_among_all_tasks(deployment: Deployment, state: str) -> None:
    """A class of failure that few tasks have is found without reading what is done, or what failed otherwise."""
    await deployment.admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, state, error_class)
           select $1, 'embed', uuidv7(), '', case when n % 2 = 0 or n > $2 - 3 then 'dead' else 'done' end,
             case when n > $2 - 3 then 'rare' when n % 2 = 0 then 'usual' end from generate_series(1, $2) n""",
        deployment.workspace,
        MANY,
    )
    await deployment.admin.execute("analyze spine.task")
    query = "select * from spine.tasks($1, $2, 'embed', $3, null, null, null, null, 50)"
    assert await rows_read(deployment, "task", query, state, "rare") <= 10


async def test_a_span_of_tasks_is_begun_where_it_begins(deployment: Deployment) -> None:
    """The newest tasks are found without reading those that were made before them."""
    made = [DAY + timedelta(minutes=n) for n in range(2_000)]
    rows = zip(identities(made), made, strict=True)
    tasks = [(deployment.workspace, each, "embed", "done", "", moment) for each, moment in rows]
    await add_tasks(deployment.admin, tasks)
    await deployment.admin.execute("analyze spine.task")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        database.transaction(deployment.workspace) as connection,
    ):
        wanted = Tasks("", "", made=Span(made[-3], None))
        found = await list_tasks(connection, deployment.workspace, wanted, None, 50)
        assert [row["created_at"] for row in found] == made[-3:]
        assert await connection.fetchval(READ, "task") <= 20


@pytest.mark.parametrize("rare", ["key", "method", "action", "outcome"])
@pytest.mark.parametrize("beside", [False, True])
async def test_what_is_rare_on_record_is_found(
    deployment: Deployment, rare: str, beside: bool
) -> None:
    """The oldest entries of one key, action or outcome are found without reading the rest, though more is asked for."""
    key, _ = await add_key(deployment, "rare")
    query = "select id from spine.api_key where name = 'test'"
    usual = await deployment.admin.fetchval(query)
    await deployment.admin.execute(
        """insert into spine.audit (workspace_id, key_id, action, outcome, ended_at)
           select $1, case when n <= 3 and $5 = 'key' then $3::uuid else $4 end,
             case when n <= 3 and $5 in ('method', 'action') then 'a/Rare' else 'a/Usual' end,
             case when n <= 3 and $5 = 'outcome' then 'ABORTED' else 'OK' end, now() from generate_series(1, $2) n""",
        deployment.workspace,
        MANY,
        key,
        usual,
        rare,
    )
    await deployment.admin.execute("analyze spine.audit")
    asked: dict[str, object] = {"key": None, "action": "", "outcome": ""}
    if beside:
        asked = {"key": usual, "action": "Usual", "outcome": "OK"}
    named = {"key": key, "method": "Rare", "action": "a/Rare", "outcome": "ABORTED"}
    asked["action" if rare == "method" else rare] = named[rare]
    query = "select * from spine.actions($1, $2, $3, $4, null, null, null, null, 50)"
    assert await rows_read(deployment, "audit", query, *asked.values()) <= 10
