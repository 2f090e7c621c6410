"""Streams a corpus through a running ingest service, beside a bare COPY and row-at-a-time INSERTs of the same rows.

    python -m benchmarks.ingest [--data PATH] [--messages 100000] [--rounds 3] [--order newest]

Everything is on this machine: PostgreSQL (durable) and nats-server as `winnow up` starts them, the
ingest service with its relay as a process of its own, and this client. A generation of vectors is
open, so every message with text makes its task for embedding. The three ways take turns, each round
in a workspace of its own; figures are medians of the rounds. How fast the last tenth goes is compared
with the first in messages and in bytes: those of the load corpus become a quarter longer on the way.
PATH is a Telegram export, packed or not, or a folder with the load corpus (`ubuntu.result.json.xz`);
without one a chat is made up. The last line is one JSON object.
"""

import argparse
import asyncio
import importlib
import json
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import grpc
import uvloop

from benchmarks.load_corpus import make_corpus, read_corpus
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.runtime import EmbeddedRuntime
from services.cli.running import passwords, service_child, service_environment
from services.common.auth import SCOPES, mint_key, store_key
from services.common.bootstrap import bring_up
from services.common.channels import CHANNEL_OPTIONS
from services.ingest import compiled
from services.ingest.streaming import AHEAD
from winnow.ingest.v1 import ingest_pb2 as pb

T = TypeVar("T")

FRAME = 500
INSERTED_SAMPLE = 2000
WARM_UP_FRAMES = 4
STEADY_FRAMES_MIN = 100
_ORDERS: Mapping[str, Callable[[list[pb.MessageInput]], list[pb.MessageInput]]] = {
    "oldest": lambda corpus: corpus,
    "newest": lambda corpus: corpus[::-1],
    "any": lambda corpus: random.Random(1).sample(corpus, len(corpus)),
}
_SCORING = ("scoring", "wording")
_TICK = os.sysconf("SC_CLK_TCK")
_METHOD = "/winnow.ingest.v1.IngestService/StreamMessages"
_OPEN_GENERATION = "select embedder.open_generation('m', repeat('0', 64), 8, 'mean', '', '')"
_DUE = "select count(*) from spine.task where hint_at <= now()"
_ON_DISK = (
    "select sum(pg_total_relation_size(t)) from unnest('{ingest.message,spine.task}'::regclass[]) t"
)
_BARE = """create schema bench;
  create table bench.copied (like ingest.message including all);
  create table bench.inserted (like ingest.message including all)"""


# --- the machine


def cpu_seconds(pid: int) -> float:
    """The processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def resident_mb(pid: int) -> float:
    """The resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@dataclass
class Bench:
    """A running deployment: its servers' pids, the address of ingest, and the owner's connection."""

    pids: dict[str, int]
    address: str
    admin: asyncpg.Connection

    def cpu(self) -> dict[str, float]:
        """The processor time of every part so far."""
        spent = {"client": time.process_time()}
        for name, pid in self.pids.items():
            spent[name] = sum(map(cpu_seconds, family(pid) if name == "postgres" else [pid]))
        return spent

    async def quiet(self) -> None:
        """Wait until the relay has hinted everything."""
        while await self.admin.fetchval(_DUE):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@asynccontextmanager
async def deployed() -> AsyncIterator[Bench]:
    """Start the servers and ingest in a directory that is thrown away."""
    with TemporaryDirectory(prefix="winnow-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - PostgreSQL runs as another user
        data = DataDirectory(Path(folder) / "data")
        async with EmbeddedRuntime.open(data) as runtime:
            await bring_up(runtime.admin_database_url, passwords(runtime.data), None)
            admin = await asyncpg.connect(runtime.admin_database_url)
            await admin.execute(_OPEN_GENERATION)
            await admin.execute(_BARE)
            address = f"127.0.0.1:{runtime.ports.ingest}"
            environment = service_environment(runtime, "ingest", {"ingest": address})
            pids = {name: _pid(data, name) for name in ("postgres", "nats")}
            child = service_child("ingest", environment, runtime.data.records)

            async def ready(pid: int) -> None:
                pids["ingest"] = pid
                await child.ready(pid)

            await runtime.start(replace(child, ready=ready))
            yield Bench(pids, address, admin)
            await admin.close()


def _pid(data: DataDirectory, name: str) -> int:
    return int((data.resolved().records / f"{name}.pid").read_text().split()[0])


# --- the three ways


@dataclass
class Round:
    """What one round has measured."""

    stream_rate: float = 0
    last_to_first: float | None = None
    last_to_first_bytes: float | None = None
    acknowledged_last_to_first: float = 0
    copy_rate: float = 0
    insert_rate: float = 0
    rss_mb: float = 0
    rss_growth_mb: float = 0
    cpu_us: dict[str, float] = field(default_factory=dict)
    disk_bytes: float = 0


def frames(corpus: Sequence[pb.MessageInput]) -> list[bytes]:
    """The corpus as frames on the wire."""
    source = pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="bench", title="Bench")
    return [
        pb.StreamMessagesRequest(
            sequence=start, source=source, messages=corpus[start : start + FRAME]
        ).SerializeToString()
        for start in range(0, len(corpus), FRAME)
    ]


async def stream(bench: Bench, key: str, wire: Sequence[bytes], count: int, into: Round) -> None:
    """Send every frame and wait for the last acknowledgement."""
    pid, marks, memory = bench.pids["ingest"], [], []
    async with grpc.aio.insecure_channel(bench.address, options=CHANNEL_OPTIONS) as channel:
        await channel.channel_ready()
        method: grpc.aio.StreamStreamMultiCallable[bytes, pb.StreamMessagesResponse] = (
            channel.stream_stream(
                _METHOD, response_deserializer=pb.StreamMessagesResponse.FromString
            )
        )
        before, began = bench.cpu(), time.perf_counter()
        created = 0
        async for reply in method(iter(wire), metadata=(("authorization", f"Bearer {key}"),)):
            created += reply.created
            marks.append(time.perf_counter())
            memory.append(resident_mb(pid))
        seconds, after = marks[-1] - began, bench.cpu()
    assert created == count, f"{created} of {count} were created"
    into.stream_rate = count / seconds
    into.acknowledged_last_to_first = _last_to_first([began, *marks])
    steady = _steadily([began, *marks])
    # Frames are committed in groups: of few, a tenth is no more than one.
    if len(steady) > STEADY_FRAMES_MIN:
        into.last_to_first = _last_to_first(steady)
        into.last_to_first_bytes = into.last_to_first * _growth(_steadily([0, *map(len, wire)]))
    into.rss_mb, into.rss_growth_mb = max(memory), memory[-1] - memory[len(memory) // 10]
    into.cpu_us = {name: (after[name] - before[name]) / count * 1e6 for name in after}


def _steadily(marks: Sequence[T]) -> Sequence[T]:
    """What is between the frames that fill the stream and those that drain it.

    At first work is done on frames that are not acknowledged yet, and at the end none is begun, so that by
    acknowledgements alone the first tenth is slower than it is and the last one faster.
    """
    under_way = min(AHEAD.messages // FRAME, len(marks) // 4)
    return marks[under_way : len(marks) - under_way]


def _last_to_first(marks: Sequence[float]) -> float:
    """The rate of the last tenth over that of the first."""
    tenth = max(1, (len(marks) - 1) // 10)
    return (marks[tenth] - marks[0]) / (marks[-1] - marks[-1 - tenth])


def _growth(sizes: Sequence[int]) -> float:
    """How much larger the frames of the last tenth are than those of the first; what is before the first is none."""
    tenth = max(1, (len(sizes) - 1) // 10)
    return sum(sizes[-tenth:]) / sum(sizes[1 : 1 + tenth])


async def saved_rows(admin: asyncpg.Connection, workspace: UUID) -> tuple[list[str], list[Any]]:
    """The rows that ingest has made, without what PostgreSQL computes."""
    columns = await admin.fetch(
        """select attname from pg_attribute where attrelid = 'ingest.message'::regclass
           and attnum > 0 and attgenerated = '' and not attisdropped order by attnum"""
    )
    names = [row["attname"] for row in columns]
    query = f"select {', '.join(names)} from ingest.message where workspace_id = $1 order by id"
    return names, [tuple(row) for row in await admin.fetch(query, workspace)]


async def copy(admin: asyncpg.Connection, names: list[str], rows: list[Any]) -> float:
    """COPY all rows into a table with the same indexes; return rows a second."""
    began = time.perf_counter()
    await admin.copy_records_to_table("copied", schema_name="bench", records=rows, columns=names)
    return len(rows) / (time.perf_counter() - began)


async def insert(admin: asyncpg.Connection, names: list[str], rows: list[Any]) -> float:
    """INSERT a sample of the rows one by one, each its own transaction; return rows a second."""
    values = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    statement = await admin.prepare(
        f"insert into bench.inserted ({', '.join(names)}) values ({values})"
    )
    sample = rows[:: max(1, len(rows) // INSERTED_SAMPLE)][:INSERTED_SAMPLE]
    began = time.perf_counter()
    for row in sample:
        await statement.fetch(*row)
    return len(sample) / (time.perf_counter() - began)


async def measure(bench: Bench, wire: Sequence[bytes], count: int, number: int) -> Round:
    """One round of all three."""
    result, key = Round(), mint_key()
    workspace = await store_key(bench.admin, f"round {number}", "bench", key, SCOPES)
    before = await bench.admin.fetchval(_ON_DISK)
    await stream(bench, key.text, wire, count, result)
    await bench.quiet()
    result.disk_bytes = (await bench.admin.fetchval(_ON_DISK) - before) / count
    names, rows = await saved_rows(bench.admin, workspace)
    assert len(rows) == count
    result.copy_rate = await copy(bench.admin, names, rows)
    result.insert_rate = await insert(bench.admin, names, rows)
    # Nobody works on the tasks here; the next round shall not wait while their hints are repeated.
    await bench.admin.execute("delete from spine.task where workspace_id = $1", workspace)
    await bench.admin.execute("vacuum spine.task")
    return result


async def warm_up(bench: Bench, wire: Sequence[bytes]) -> None:
    """Let connections open and statements be planned, in a workspace of their own."""
    key = mint_key()
    await store_key(bench.admin, "warm-up", "bench", key, SCOPES)
    count = sum(len(pb.StreamMessagesRequest.FromString(each).messages) for each in wire)
    await stream(bench, key.text, wire, count, Round())
    await bench.quiet()


def score_cpu_us(corpus: Sequence[pb.MessageInput]) -> float:
    """Processor time to score one message in its conversation, in microseconds: the best of three parts.

    No message is scored twice: the scorer remembers words, and what was just read costs it less.
    """
    scoring, wording = (importlib.import_module(f"services.ingest.{n}") for n in _SCORING)
    inputs = [
        wording.ScoredInput(
            m.author.name, m.text, m.author.is_bot, m.external_id, m.reply_to_external_id
        )
        for m in corpus[:60_000]
    ]
    size = max(1, len(inputs) // 3)
    conversation, best = scoring.Conversation(), float("inf")
    for start in range(0, 3 * size, size):
        part = inputs[start : start + size]
        began = time.process_time()
        for each in part:
            conversation.score(each)
        best = min(best, (time.process_time() - began) / max(1, len(part)))
    return best * 1e6


# --- the command


def asked_for(name: str) -> tuple[list[pb.MessageInput], int]:
    """The messages that the command line asks for, and how many rounds."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument(
        "--data", type=Path, help="a Telegram export, or a folder with the load corpus"
    )
    parser.add_argument("--messages", type=int, help="at most this many (made up: 100,000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--order", choices=_ORDERS, default="oldest", help="which come first")
    options = parser.parse_args()
    most = options.messages or (1 << 62 if options.data else 100_000)
    corpus = read_corpus(options.data, most) if options.data else make_corpus(most)
    return _ORDERS[options.order](corpus), options.rounds


def processor_times(rounds: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """A line a process: the median of its processor time, in microseconds a message."""
    for name in rounds[0]:
        spent = statistics.median(each[name] for each in rounds)
        yield f"processor time, {name:8} {spent:6.1f} µs a message"


def show(rounds: Sequence[Round]) -> Iterator[str]:
    """A table of the rounds."""
    yield (
        "round   stream/s  last:first  by bytes  acknowledged     copy/s"
        "  insert/s  stream:copy  stream:insert   rss MB (+)"
    )
    for number, r in enumerate(rounds, start=1):
        steady, by_bytes = map(_shown, (r.last_to_first, r.last_to_first_bytes))
        yield (
            f"{number:5}  {r.stream_rate:9,.0f}  {steady:>10}  {by_bytes:>8}  {r.acknowledged_last_to_first:12.2f}"
            f"  {r.copy_rate:9,.0f}  {r.insert_rate:8,.0f}  {r.stream_rate / r.copy_rate:11.2f}"
            f"  {r.stream_rate / r.insert_rate:13.1f}  {r.rss_mb:7.1f} ({r.rss_growth_mb:+.1f})"
        )
    yield from processor_times([r.cpu_us for r in rounds])
    # Later rounds find room that earlier ones have left.
    spent = rounds[0].disk_bytes
    yield f"on disk, without vectors  {spent:6.0f} bytes a message with its task and all indexes"


def _shown(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def median_ratio(ratios: Iterable[float | None]) -> float | None:
    """The median of the rounds, None if they are too short to tell."""
    known = [ratio for ratio in ratios if ratio is not None]
    return round(statistics.median(known), 3) if known else None


async def main() -> None:
    """Measure and print."""
    corpus, repeat = asked_for("ingest")
    wire = frames(corpus)
    print(f"{len(corpus):,} messages in {len(wire):,} frames, {sum(map(len, wire)) >> 10:,} KiB")
    print(f"scoring is {'compiled' if compiled.use() else 'plain Python'}")
    score_us = score_cpu_us(corpus)
    async with deployed() as bench:
        await warm_up(bench, wire[:WARM_UP_FRAMES])
        rounds = [await measure(bench, wire, len(corpus), n) for n in range(repeat)]
    print("\n".join(show(rounds)))

    def median(name: str) -> float:
        found: float = statistics.median(getattr(each, name) for each in rounds)
        return found

    figures = {
        "messages_per_second": round(median("stream_rate")),
        "last_to_first_ratio": median_ratio(r.last_to_first for r in rounds),
        "last_to_first_bytes_ratio": median_ratio(r.last_to_first_bytes for r in rounds),
        "acknowledged_last_to_first_ratio": round(median("acknowledged_last_to_first"), 3),
        "score_cpu_us": round(score_us, 1),
        "copy_messages_per_second": round(median("copy_rate")),
        "insert_messages_per_second": round(median("insert_rate")),
        "stream_to_copy_ratio": round(median("stream_rate") / median("copy_rate"), 3),
        "stream_to_insert_ratio": round(median("stream_rate") / median("insert_rate"), 1),
        "service_cpu_us": round(statistics.median(r.cpu_us["ingest"] for r in rounds), 1),
        "database_cpu_us": round(statistics.median(r.cpu_us["postgres"] for r in rounds), 1),
        "disk_bytes": round(rounds[0].disk_bytes),
        "rss_mb": round(max(each.rss_mb for each in rounds), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main())
