"""What it takes to find a few rows in long lists of tasks and of the audit record, and a few changes in a long feed.

    python -m benchmarks.listing [--rows 200000] [--rounds 20]

A real PostgreSQL as `winnow up` starts it, ingest and extractor as processes of their own and this client, with pages
of 50 that are read to the end. Half of the tasks failed for the same reason and three for another; of the entries
three are of one key, three of one method and three of one outcome, all at the end at which a list is read last. Each
line tells what was asked, how many rows it found by how many calls, the median time of these together and
PostgreSQL's processor time for them, a mean of all rounds. Of as many topics three are of a source of their own and
changed last: who follows that source from the beginning waits for the third, in three rounds. The last line is one
JSON object.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks.deployment import Deployed, cpu_seconds, deployed
from services.common.auth import SCOPES, mint_key, store_key
from services.common.ids import uuid7
from winnow.extractor.v1 import extractor_pb2 as extractor
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

# A row every 40 seconds. Tasks are listed from the oldest on, so their rare ones are the newest; entries the other way.
TASKS = """insert into spine.task (workspace_id, id, stage, subject_id, spec, state, error_class, created_at, hint_at)
  select $1, uuidv7(make_interval(secs => -40 * n)), 'embed', uuidv7(), '',
    case when n <= 3 or n % 2 = 0 then 'dead' else 'done' end,
    case when n <= 3 then 'rare' when n % 2 = 0 then 'usual' end, now() - make_interval(secs => 40 * n), null
  from generate_series($2, 1, -1) n"""
ENTRIES = """insert into spine.audit (workspace_id, id, begun_at, key_id, action, ended_at, outcome)
  select $1, uuidv7(make_interval(secs => -40 * n)), now() - make_interval(secs => 40 * n),
    case when $2 - n in (1, 2, 3) then $4::uuid else $3 end,
    case when $2 - n in (4, 5, 6) then 'a.v1.Service/Rare' else 'a.v1.Service/Usual' end, now(),
    case when $2 - n in (7, 8, 9) then 'ABORTED' else 'OK' end
  from generate_series($2, 1, -1) n"""
TOPICS = """insert into extractor.topic (workspace_id, source_id, title, title_key, text_sha256)
  select $1, case when n > $2 - 3 then $4::uuid else $3 end, 'topic ' || n, 'topic ' || n, sha256('topic')
  from generate_series(1, $2) n"""
FEED = """insert into extractor.feed (workspace_id, kind, subject_id, position)
  select t.workspace_id, 'topic', t.id, row_number() over (order by t.id) from extractor.topic t"""
POSITION = "insert into extractor.feed_position (workspace_id, position) values ($1, $2)"
PAGE = 50
FOLLOWED = 3


@dataclass(frozen=True)
class Found:
    """Rows and calls of a list that was read to its end, and milliseconds of all calls."""

    rows: int
    calls: int
    ms: float


async def fill(bench: Deployed, count: int) -> str:
    """Put the rows; return the public part of the rare key."""
    keys = {}
    for name in ("usual", "rare"):
        key = mint_key()
        await store_key(bench.admin, "bench", name, key, SCOPES)
        [keys[name]] = await bench.admin.fetch(
            "select id, prefix from spine.api_key where name = $1", name
        )
    await bench.admin.execute(TASKS, bench.workspace, count)
    ids = [keys[name]["id"] for name in ("usual", "rare")]
    await bench.admin.execute(ENTRIES, bench.workspace, count, *ids)
    for table in ("task", "audit"):
        await bench.admin.execute(f"vacuum analyze spine.{table}")
    prefix: str = keys["rare"]["prefix"]
    return prefix


async def fill_feed(bench: Deployed, count: int) -> str:
    """Put topics and their changes; return the rare source."""
    sources = [uuid7(), uuid7()]
    # The trigger that notes changes would count the position up in one transaction, each time past all its old rows.
    await bench.admin.execute("set session_replication_role = replica")
    await bench.admin.execute(TOPICS, bench.workspace, count, *sources)
    await bench.admin.execute(FEED)
    await bench.admin.execute(POSITION, bench.workspace, count)
    await bench.admin.execute("reset session_replication_role")
    for table in ("topic", "feed"):
        await bench.admin.execute(f"vacuum analyze extractor.{table}")
    return str(sources[1])


async def follow_source(bench: Deployed, call: Any, source: str) -> float:
    """Follow the rare source until its third change; milliseconds."""
    began = time.perf_counter()
    stream = call(extractor.StreamKnowledgeRequest(source_id=source), metadata=bench.metadata)
    for _ in range(3):
        await stream.read()
    stream.cancel()
    return (time.perf_counter() - began) * 1e3


async def read(bench: Deployed, call: Any, field: str, request: Any) -> Found:
    """Read a list to its end, or so far as a page is full."""
    rows = calls = 0
    began = time.perf_counter()
    while True:
        reply = await call(request, metadata=bench.metadata)
        rows, calls = rows + len(getattr(reply, field)), calls + 1
        request.page_token = reply.next_page_token
        if not request.page_token or rows >= PAGE:
            return Found(rows, calls, (time.perf_counter() - began) * 1e3)


async def measure(count: int, rounds: int) -> None:
    """Fill a database, ask, and print."""
    async with deployed() as bench:
        prefix = await fill(bench, count)
        await bench.start("ingest")
        tasks: list[dict[str, Any]] = [
            {},
            {"error_class": "rare"},
            {"error_class": "rare", "state": pb.TASK_STATE_DEAD},
            {"error_class": "none"},
        ]
        entries: list[dict[str, Any]] = [
            {},
            {"key_prefix": prefix},
            {"action": "Rare"},
            {"outcome": "ABORTED"},
            {"outcome": "none"},
        ]
        figures: dict[str, list[float]] = {}
        async with bench.channel("ingest") as channel:
            stub = PipelineServiceStub(channel)
            asked: list[tuple[Any, str, Any, dict[str, Any]]] = [
                *((stub.ListTasks, "tasks", pb.ListTasksRequest, each) for each in tasks),
                *(
                    (stub.ListAuditEntries, "entries", pb.ListAuditEntriesRequest, each)
                    for each in entries
                ),
            ]
            for call, field, kind, filters in asked:
                await read(bench, call, field, kind(page_size=PAGE, **filters))
                spent = cpu_seconds(bench.pids["postgres"])
                found = [
                    await read(bench, call, field, kind(page_size=PAGE, **filters))
                    for _ in range(rounds)
                ]
                postgres = (cpu_seconds(bench.pids["postgres"]) - spent) * 1e3 / rounds
                ms = statistics.median(each.ms for each in found)
                name = f"{field}: {', '.join(filters) or 'all'}"
                if "none" in filters.values():
                    name += " that nothing has"
                print(
                    f"{name}: {found[0].rows} by {found[0].calls} calls, {ms:.1f} ms, PostgreSQL {postgres:.1f} ms"
                )
                figures[name] = [found[0].rows, found[0].calls, round(ms, 1), round(postgres, 1)]
        source = await fill_feed(bench, count)
        await bench.start("extractor", {"WINNOW_EXTRACTION_ENGINE": "grounded"})
        async with bench.channel("extractor") as channel:
            stream = ExtractorServiceStub(channel).StreamKnowledge
            await follow_source(bench, stream, source)
            spent = cpu_seconds(bench.pids["postgres"])
            times = [await follow_source(bench, stream, source) for _ in range(FOLLOWED)]
            postgres = (cpu_seconds(bench.pids["postgres"]) - spent) * 1e3 / FOLLOWED
        ms = statistics.median(times)
        print(f"changes of a source: 3 after {ms:.0f} ms, PostgreSQL {postgres:.0f} ms")
        figures["changes: source"] = [3, 1, round(ms), round(postgres)]
        print(
            json.dumps({"rows": count, "rounds": rounds, "rows, calls, ms, postgres ms": figures})
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    uvloop.run(measure(arguments.rows, arguments.rounds))


if __name__ == "__main__":
    main()
