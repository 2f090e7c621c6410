"""Lists of runs hold what a plain filter leaves of all runs, and what is rare is found without reading the rest."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7_floor
from services.common.moments import ALWAYS, Span
from services.extractor import library
from tests.conftest import Deployment
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub

DAY = datetime(2026, 5, 4, tzinfo=UTC)
SOURCES = [uuid4(), uuid4(), uuid4()]
OUTCOMES = {"": 0, "ok": pb.RUN_OUTCOME_OK, "empty": pb.RUN_OUTCOME_EMPTY}
MANY = 20_000
WINDOW = """insert into extractor.conversation_window (workspace_id, id, source_id, thread_id, closed_by,
              first_sent_at, last_sent_at, message_count, noise_count)
            select $1, w, s, '', 'idle', now(), now(), 1, 0 from unnest($2::uuid[], $3::uuid[]) as x (w, s)"""
RUN = """insert into extractor.run (workspace_id, id, window_id, task_id, engine, outcome, duration_seconds,
           message_count, noise_count, atom_count, created_at)
         select $1, r, w, r, 'grounded', o, 1, 1, 0, 0, m
         from unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[]) as x (r, w, o, m)"""
READ = """select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) from pg_stat_xact_user_tables
          where schemaname = 'extractor' and relname in ('run', 'conversation_window')"""
Runs = list[tuple[UUID, UUID, UUID, str, datetime]]


async def add(admin: asyncpg.Connection, workspace: UUID, runs: Runs) -> None:
    """Put runs: id, window, the window's source, outcome and when."""
    windows = {window: source for _, window, source, *_ in runs}
    await admin.execute(WINDOW, workspace, list(windows), list(windows.values()))
    ids, read, _, outcomes, moments = map(list, zip(*runs, strict=True))
    await admin.execute(RUN, workspace, ids, read, outcomes, moments)


@pytest.fixture
async def database(deployment: Deployment) -> AsyncIterator[Database]:
    """The database as the extractor sees it."""
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as opened:
        yield opened


async def test_runs_are_those_of_a_plain_filter(deployment: Deployment) -> None:
    """Whatever is asked for together, in pages of any size, is what a filter leaves of all runs, newest first."""
    chance = random.Random(74)
    windows = [(uuid4(), chance.choice(SOURCES[:2])) for _ in range(20)]
    made = [DAY + timedelta(minutes=20 * chance.randrange(180)) for _ in range(150)]
    runs: Runs = [
        (
            UUID(int=uuid7_floor(moment).int + n),
            *chance.choice(windows),
            chance.choice(("ok", "ok", "empty", "invalid")),
            moment,
        )
        for n, moment in enumerate(made, 1)
    ]
    await add(deployment.admin, deployment.workspace, runs)
    await add(deployment.admin, uuid4(), runs[:50])
    spans = ((None, None), (40, None), (None, 9), (20, 21))
    chosen = (None, windows[0][0], windows[1][0], uuid4())
    async with deployment.serving("extractor") as channel:
        list_runs: Any = ExtractorServiceStub(channel).ListRuns
        for source, window, outcome, span in product((None, *SOURCES), chosen, OUTCOMES, spans):
            first, end = (None if h is None else DAY + timedelta(hours=h) for h in span)
            wanted = [
                run[0]
                for run in runs
                if window in (None, run[1])
                and source in (None, run[2])
                and outcome in ("", run[3])
                and (first is None or run[4] >= first)
                and (end is None or run[4] < end)
            ]
            size = chance.choice((3, 50, 500))
            request = pb.ListRunsRequest(page_size=size, outcome=OUTCOMES[outcome])  # type: ignore[arg-type]
            request.source_id, request.window_id = str(source or ""), str(window or "")
            for name, moment in (("created_after", first), ("created_before", end)):
                if moment:
                    getattr(request, name).CopyFrom(Timestamp(seconds=int(moment.timestamp())))
            found: list[UUID] = []
            while True:
                reply = await list_runs(request, metadata=deployment.metadata)
                found += [UUID(run.id) for run in reply.runs]
                request.page_token = reply.next_page_token
                if not request.page_token:
                    break
            assert found == sorted(wanted, reverse=True), (source, window, outcome, span)


@pytest.mark.parametrize("rare", ["outcome", "source", "source of usual outcome", "span"])
async def test_what_is_rare_is_found_among_all_runs(
    deployment: Deployment, database: Database, rare: str
) -> None:
    """The oldest runs, of one outcome, source or span, are found without reading those after them."""
    moments = [DAY + timedelta(minutes=n) for n in range(MANY)]
    runs: Runs = [
        (
            UUID(int=uuid7_floor(moment).int + n),
            uuid4(),
            SOURCES[1 if "source" in rare and n < 3 else 0],
            "invalid" if rare == "outcome" and n < 3 else "ok",
            moment,
        )
        for n, moment in enumerate(moments)
    ]
    await add(deployment.admin, deployment.workspace, runs)
    await deployment.admin.execute("analyze extractor.run, extractor.conversation_window")
    outcome = {"outcome": "invalid", "source of usual outcome": "ok"}.get(rare, "")
    source = SOURCES[1] if "source" in rare else None
    span = Span(DAY, DAY + timedelta(minutes=3)) if rare == "span" else ALWAYS
    async with database.transaction(deployment.workspace) as connection:
        found = await library.runs(
            connection,
            deployment.workspace,
            limit=50,
            outcome=outcome,
            before=None,
            window=None,
            source=source,
            made=span,
        )
        read = await connection.fetchval(READ)
    assert [row["id"] for row in found] == [run[0] for run in runs[2::-1]]
    assert read <= 20
