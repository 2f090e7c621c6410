"""Erases a whole source through a running ingest service while it is written to, beside a bare DELETE of the same rows.

    python -m benchmarks.erasing [--data PATH] [--messages 20000] [--rounds 3]

Everything is on this machine: PostgreSQL (durable) and nats-server as `winnow up` starts them, the ingest service
with its relay as a process of its own, and this client. Each round fills a source of a workspace of its own, calls
EraseSource, and waits until no content of the messages is stored (`gone`); meanwhile single messages are sent to
the same source one after the other. Nobody works on what extractor and embedder are asked to remove. The DELETE is
one statement on a table with the same indexes, and leaves no keys that would keep the messages from coming back.
PATH is a Telegram export, packed or not, or a folder with the load corpus; without one a chat is made up. The last
line is one JSON object.
"""

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import uvloop

from benchmarks.deployment import quantile
from benchmarks.ingest import (
    Bench,
    Round,
    asked_for,
    deployed,
    frames,
    processor_times,
    stream,
)
from services.common.auth import SCOPES, mint_key, store_key
from services.common.channels import CHANNEL_OPTIONS
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

CALL_SECONDS_MAX = 600.0
LOOK_SECONDS = 0.05
_OPEN = "select count(*) from spine.task where stage = 'erase' and state <> 'done'"
_LEFT = """select count(*) from ingest.message
  where workspace_id = $1 and external_id not like 'probe%' and (text <> '' or author_external_id <> '')"""
_COPIED = "insert into bench.copied ({columns}) select {columns} from ingest.message where workspace_id = $1"
_COLUMNS = """select string_agg(attname, ', ' order by attnum) from pg_attribute
  where attrelid = 'ingest.message'::regclass and attnum > 0 and attgenerated = '' and not attisdropped"""


@dataclass
class Erased:
    """What one round has measured: seconds, and microseconds of processor time a message."""

    call_seconds: float = 0
    gone_seconds: float = 0
    receipt_seconds: float = 0
    delete_seconds: float = 0
    writes: list[float] = field(default_factory=list)
    cpu_us: dict[str, float] = field(default_factory=dict)


@asynccontextmanager
async def writing(
    stub: IngestServiceStub, metadata: Sequence[tuple[str, str]], seconds: list[float]
) -> AsyncIterator[None]:
    """Send single messages to the source one after the other, and note how long each takes."""
    source = pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="bench")

    async def write() -> None:
        for number in range(1 << 30):
            message = pb.MessageInput(external_id=f"probe{number}", text=f"probe {number}")
            message.sent_at.seconds = 1_700_000_000 + number
            request = pb.IngestMessagesRequest(source=source, messages=[message])
            began = time.perf_counter()
            await stub.IngestMessages(request, metadata=metadata, timeout=CALL_SECONDS_MAX)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(LOOK_SECONDS)

    task = asyncio.create_task(write())
    await asyncio.sleep(1)
    seconds.clear()
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def measure(bench: Bench, wire: Sequence[bytes], count: int, number: int) -> Erased:
    """Fill a source, erase it, and delete its rows from a copy."""
    result, key = Erased(), mint_key()
    workspace = await store_key(bench.admin, f"round {number}", "bench", key, SCOPES)
    await stream(bench, key.text, wire, count, Round())
    await bench.quiet()
    await bench.admin.execute("delete from spine.task")
    columns = await bench.admin.fetchval(_COLUMNS)
    await bench.admin.execute(_COPIED.format(columns=columns), workspace)
    await bench.admin.execute("vacuum analyze ingest.message, spine.task, bench.copied")
    metadata = (("authorization", f"Bearer {key.text}"),)
    async with grpc.aio.insecure_channel(bench.address, options=CHANNEL_OPTIONS) as channel:
        stub = IngestServiceStub(channel)
        listed = await stub.ListSources(pb.ListSourcesRequest(), metadata=metadata)
        request = pb.EraseSourceRequest(source_id=listed.sources[0].id)
        async with writing(stub, metadata, result.writes):
            before, began = bench.cpu(), time.perf_counter()
            reply = await stub.EraseSource(request, metadata=metadata, timeout=CALL_SECONDS_MAX)
            result.call_seconds = time.perf_counter() - began
            while await bench.admin.fetchval(_OPEN):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
            result.gone_seconds, after = time.perf_counter() - began, bench.cpu()
        asked = pb.GetOperationRequest(operation_id=reply.operation.id)
        began = time.perf_counter()
        found = await stub.GetOperation(asked, metadata=metadata, timeout=CALL_SECONDS_MAX)
        result.receipt_seconds = time.perf_counter() - began
        assert found.operation.receipt.messages >= count, found
    result.cpu_us = {name: (after[name] - before[name]) / count * 1e6 for name in after}
    left = await bench.admin.fetchval(_LEFT, workspace)
    assert not left, f"{left} messages are still there"
    began = time.perf_counter()
    await bench.admin.execute("delete from bench.copied")
    result.delete_seconds = time.perf_counter() - began
    await bench.admin.execute("truncate bench.copied")
    await bench.admin.execute("delete from spine.task")
    return result


def show(rounds: Sequence[Erased]) -> Iterator[str]:
    """A table of the rounds."""
    yield "round   call s   gone s  receipt s   DELETE s   writes meanwhile: p50 ms   longest ms   count"
    for number, r in enumerate(rounds, start=1):
        yield (
            f"{number:5}  {r.call_seconds:7.2f}  {r.gone_seconds:7.2f}"
            f"  {r.receipt_seconds:9.2f}  {r.delete_seconds:9.2f}"
            f"  {quantile(r.writes, 0.5) * 1e3:24.0f}  {max(r.writes, default=0) * 1e3:11.0f}"
            f"  {len(r.writes):6}"
        )
    yield from processor_times([r.cpu_us for r in rounds])


async def main() -> None:
    """Measure and print."""
    corpus, repeat = asked_for("erasing")
    wire = frames(corpus)
    print(f"{len(corpus):,} messages in one source")
    async with deployed() as bench:
        rounds = [await measure(bench, wire, len(corpus), n) for n in range(repeat)]
    print("\n".join(show(rounds)))
    figures = {
        "messages": len(corpus),
        "call_seconds": round(statistics.median(r.call_seconds for r in rounds), 2),
        "gone_seconds": round(statistics.median(r.gone_seconds for r in rounds), 2),
        "receipt_seconds": round(statistics.median(r.receipt_seconds for r in rounds), 2),
        "delete_seconds": round(statistics.median(r.delete_seconds for r in rounds), 2),
        "longest_write_seconds": round(max(max(r.writes, default=0) for r in rounds), 3),
        "service_cpu_us": round(statistics.median(r.cpu_us["ingest"] for r in rounds), 1),
        "database_cpu_us": round(statistics.median(r.cpu_us["postgres"] for r in rounds), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main())
