"""How soon a message that was accepted is found by search: at rest, and while everything is embedded anew.

    python -m benchmarks.freshness [--data PATH] [--backfill 20000] [--seconds 30] [--rate 10]

PostgreSQL, nats-server, ingest, embedder and search run as `winnow up` runs them, each a process of its
own, with the default model. First a chat is loaded while no embedder runs; when it starts, all of it is
a backfill. While that runs, and then once more with the backfill held back, messages of new text come at
a steady rate, and each is looked for by its meaning until search finds it. Beside them queries are
embedded that nobody has asked before. Triggers of this benchmark note when a task is made, leased and
completed. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import grpc
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.deployment import Deployed, deployed, quantile
from benchmarks.ingest import FRAME
from benchmarks.load_corpus import make_corpus, read_corpus
from winnow.embedder.v1 import embedder_pb2
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.events.v1.events_pb2 import TaskHint
from winnow.ingest.v1 import ingest_pb2
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.search.v1 import search_pb2
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2

POLL_SECONDS = 0.005
GIVE_UP_SECONDS = 60.0
QUERIES_PER_SECOND = 5
PARTS = ("commit", "hint", "claim", "encode", "write", "search")
WORDS = "deploy queue backup index lock migration vector latency batch release user login mail report".split()

VISIBLE = (
    "select subject_id from embedder.vector where workspace_id = $1 and generation_id = $2 and kind = 'message' "
    "and subject_id = any($3) and part = 0"
)
HINTED = "select count(*) from spine.task where lane = 1 and hint_count > 0 and hint_at is not null"
MARKS = """
create schema bench;
create table bench.mark (task_id uuid, subject_id uuid, state text, at timestamptz default clock_timestamp());
create index on bench.mark (subject_id);
create function bench.note() returns trigger language plpgsql security definer as $$
begin
  insert into bench.mark (task_id, subject_id, state) values (new.id, new.subject_id, new.state);
  return null;
end $$;
create trigger note_made after insert on spine.task for each row
  when (new.stage = 'embed' and new.lane = 0) execute function bench.note();
create trigger note_change after update of state on spine.task for each row
  when (new.stage = 'embed' and new.lane = 0 and old.state <> new.state) execute function bench.note();
"""


@dataclass
class Phase:
    """What was measured: seconds from accepted to found, the parts, and seconds that queries took to embed."""

    found: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=lambda: {part: [] for part in PARTS})
    queries: list[float] = field(default_factory=list)
    lost: int = 0


class Prober:
    """Sends messages and looks for them."""

    def __init__(self, bench: Deployed) -> None:
        self._bench, self._dice = bench, random.Random(11)
        self._hinted: dict[UUID, float] = {}
        self._awaited: dict[UUID, asyncio.Future[float]] = {}
        self._number = 0
        self._pool: asyncpg.Pool
        self._generation: UUID

    async def listen(self, client: Client) -> None:
        """Note when the hint of each task passes."""

        async def note(message: Msg) -> None:
            at = time.time()
            for task in TaskHint.FromString(message.data).task_ids:
                self._hinted.setdefault(UUID(bytes=task), at)

        await client.subscribe("winnow.tasks.embed", cb=note)

    def _text(self) -> str:
        self._number += 1
        words = " ".join(self._dice.choices(WORDS, k=self._dice.randint(4, 14)))
        return f"{words} case {self._dice.getrandbits(40):x} number {self._number}"

    async def run(self, seconds: float, rate: float) -> Phase:
        """Send for some seconds; return once everything was found or given up."""
        phase, sending = Phase(), []
        async with (
            self._bench.channel("ingest") as ingest,
            self._bench.channel("search") as search,
            self._bench.channel("embedder") as embedder,
        ):
            await asyncio.gather(*(c.channel_ready() for c in (ingest, search, embedder)))
            asking = asyncio.create_task(self._ask(EmbedderServiceStub(embedder), phase, seconds))
            stubs = IngestServiceStub(ingest), SearchServiceStub(search)
            begun = time.monotonic()
            for number in range(int(seconds * rate)):
                await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
                sending.append(asyncio.create_task(self._one(*stubs, phase)))
            await asyncio.gather(asking, *sending)
        return phase

    async def _ask(self, stub: EmbedderServiceStub, phase: Phase, seconds: float) -> None:
        """Embed queries that nobody has asked before."""
        for _ in range(int(seconds * QUERIES_PER_SECOND)):
            request = embedder_pb2.EmbedRequest(text=self._text())
            begun = time.perf_counter()
            await stub.Embed(request, metadata=self._bench.metadata, timeout=30)
            phase.queries.append(time.perf_counter() - begun)
            await asyncio.sleep(max(0.0, 1 / QUERIES_PER_SECOND - (time.perf_counter() - begun)))

    async def _one(
        self, ingest: IngestServiceStub, search: SearchServiceStub, phase: Phase
    ) -> None:
        text, sent = self._text(), time.time()
        message = ingest_pb2.MessageInput(external_id=f"probe {self._number}", text=text)
        message.author.external_id = "prober"
        message.sent_at.FromDatetime(datetime.now(UTC))
        source = ingest_pb2.SourceRef(kind=ingest_pb2.SOURCE_KIND_API, external_id="probe")
        reply = await ingest.IngestMessages(
            ingest_pb2.IngestMessagesRequest(source=source, messages=[message]),
            metadata=self._bench.metadata,
            timeout=30,
        )
        accepted, subject = time.time(), UUID(reply.results[0].message_id)
        if (visible := await self._visible(subject)) is None:
            phase.lost += 1
            return
        while not await self._finds(search, text, subject):
            if time.time() - accepted > GIVE_UP_SECONDS:
                phase.lost += 1
                return
        found = time.time()
        phase.found.append(found - accepted)
        await self._take_apart(phase, subject, sent, accepted, visible, found)

    async def _visible(self, subject: UUID) -> float | None:
        """Wait until the vector can be read; return when it was seen, None if it never was."""
        seen = self._awaited[subject] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(seen, GIVE_UP_SECONDS)
        except TimeoutError:
            return None
        finally:
            del self._awaited[subject]

    async def watch(self) -> None:
        """Ask by key, in one statement, for the vectors of all that are awaited.

        A search for each would be the load that is measured, and so would a statement for each: the more wait,
        the slower it would get.
        """
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not (waiting := [key for key, seen in self._awaited.items() if not seen.done()]):
                continue
            rows = await self._pool.fetch(VISIBLE, self._bench.workspace, self._generation, waiting)
            at = time.time()
            for (subject,) in rows:
                if (seen := self._awaited.get(subject)) and not seen.done():
                    seen.set_result(at)

    async def prepare(self) -> None:
        """Open the connections that watch."""
        self._pool = await asyncpg.create_pool(
            self._bench.runtime.admin_database_url, min_size=8, max_size=40
        )
        self._generation = await self._bench.admin.fetchval(
            "select id from embedder.generation where state = 'serving'"
        )

    async def close(self) -> None:
        """Close them."""
        await self._pool.close()

    async def _finds(self, search: SearchServiceStub, text: str, subject: UUID) -> bool:
        request = search_pb2.SearchRequest(
            query=text,
            mode=search_pb2.SEARCH_MODE_SEMANTIC,
            kinds=[types_pb2.SUBJECT_KIND_MESSAGE],
            page_size=5,
        )
        response = await search.Search(request, metadata=self._bench.metadata, timeout=30)
        return str(subject) in [result.message.id for result in response.results]

    async def _take_apart(
        self,
        phase: Phase,
        subject: UUID,
        sent: float,
        accepted: float,
        visible: float,
        found: float,
    ) -> None:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "select task_id, state, min(at) as at from bench.mark where subject_id = $1 group by 1, 2",
                subject,
            )
        at = {row["state"]: row["at"].timestamp() for row in rows}
        hinted = self._hinted.get(rows[0]["task_id"]) if rows else None
        if hinted is None or not {"ready", "leased", "done"} <= at.keys():
            return
        values = {
            "commit": accepted - sent,
            "hint": hinted - accepted,
            "claim": at["leased"] - hinted,
            "encode": at["done"] - at["leased"],
            "write": visible - at["done"],
            "search": found - visible,
        }
        for part, value in values.items():
            phase.parts[part].append(value)


async def load(bench: Deployed, corpus: list[ingest_pb2.MessageInput]) -> None:
    """Ingest the corpus; there is no embedder yet, so nothing asks for vectors."""
    source = ingest_pb2.SourceRef(kind=ingest_pb2.SOURCE_KIND_IMPORT, external_id="bench")

    def frames() -> list[ingest_pb2.StreamMessagesRequest]:
        return [
            ingest_pb2.StreamMessagesRequest(
                sequence=start, source=source, messages=corpus[start : start + FRAME]
            )
            for start in range(0, len(corpus), FRAME)
        ]

    async with bench.channel("ingest") as channel:
        await channel.channel_ready()
        call = IngestServiceStub(channel).StreamMessages(iter(frames()), metadata=bench.metadata)
        async for _ in call:
            pass


async def backlog(bench: Deployed) -> int:
    """How many tasks of the backfill are open."""
    count: int = await bench.admin.fetchval(
        "select count(*) from spine.task where lane = 1 and state in ('ready', 'leased')"
    )
    return count


async def measure(bench: Deployed, options: argparse.Namespace) -> tuple[Phase, Phase]:
    """Measure while a backfill runs, and while it is held back."""
    corpus = (
        read_corpus(options.data, options.backfill)
        if options.data
        else make_corpus(options.backfill)
    )
    await bench.start("ingest")
    await load(bench, corpus)
    await bench.admin.execute(MARKS)
    await bench.start("embedder")
    await bench.start("search")
    prober = Prober(bench)
    client = await nats.connect(bench.runtime.nats_url)
    await prober.listen(client)
    await prober.prepare()
    watching = asyncio.create_task(prober.watch())
    while await backlog(bench) < len(corpus) // 4:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    print(f"{await backlog(bench):,} texts wait in the backfill")
    await prober.run(3, options.rate)
    busy = await prober.run(options.seconds, options.rate)
    left = await backlog(bench)
    print(f"{left:,} still wait after {options.seconds:g} s at {options.rate:g} messages/s")
    if not left:
        raise SystemExit("the backfill ended before the measurement: choose a larger --backfill")
    async with bench.channel("embedder") as channel:
        await EmbedderServiceStub(channel).PauseBackfill(
            embedder_pb2.PauseBackfillRequest(paused=True), metadata=bench.metadata
        )
    while await bench.admin.fetchval(HINTED):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    quiet = await prober.run(options.seconds, options.rate)
    watching.cancel()
    await prober.close()
    await client.close()
    return quiet, busy


def show(name: str, phase: Phase) -> None:
    """Print what a phase has measured, in milliseconds."""
    found = phase.found
    print(
        f"{name}: {len(found)} messages found, {phase.lost} not; accepted to found "
        f"p50 {quantile(found, 0.5) * 1e3:.0f} ms, p99 {quantile(found, 0.99) * 1e3:.0f} ms; "
        f"query embedded p50 {quantile(phase.queries, 0.5) * 1e3:.1f} ms, "
        f"p99 {quantile(phase.queries, 0.99) * 1e3:.1f} ms"
    )
    for part, values in phase.parts.items():
        print(
            f"  {part:8} p50 {quantile(values, 0.5) * 1e3:7.1f} ms   p99 {quantile(values, 0.99) * 1e3:7.1f} ms"
        )


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.freshness")
    parser.add_argument(
        "--data", type=Path, help="a Telegram export, or a folder with the load corpus"
    )
    parser.add_argument("--backfill", type=int, default=20_000, help="messages embedded meanwhile")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=10, help="messages a second")
    options = parser.parse_args()
    grpc.aio.init_grpc_aio()
    async with deployed() as bench:
        quiet, busy = await measure(bench, options)
    show("at rest", quiet)
    show("during a backfill", busy)
    milliseconds = {
        "p50_ms": quantile(quiet.found, 0.5),
        "p99_ms": quantile(quiet.found, 0.99),
        "backfill_p50_ms": quantile(busy.found, 0.5),
        "backfill_p99_ms": quantile(busy.found, 0.99),
        "query_p50_ms_during_backfill": quantile(busy.queries, 0.5),
        "query_p99_ms_during_backfill": quantile(busy.queries, 0.99),
    }
    figures = {name: round(value * 1e3, 1) for name, value in milliseconds.items()}
    for part, values in quiet.parts.items():
        figures[f"{part}_p50_ms"] = round(quantile(values, 0.5) * 1e3, 1)
    print(json.dumps(figures | {"lost": quiet.lost + busy.lost}))


if __name__ == "__main__":
    uvloop.run(main())
