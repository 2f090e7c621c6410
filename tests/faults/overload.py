"""More than fits, for a while: memory stays flat, refusals are typed, and whatever was accepted is done.

`python -m tests.faults.overload --seconds 60` first measures what one ingest takes from a few writers, then lets many
more write as fast as they can, at least five times the measured rate.
"""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import grpc

from services.common.channels import CHANNEL_OPTIONS
from tests.conftest import make_scratch
from tests.faults.history import History
from tests.faults.observing import Observer
from tests.faults.plans import BEGAN
from tests.faults.stack import Stack
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc

FACTOR = 5
BATCH_MESSAGES = 50
DEADLINE_SECONDS = 20.0
DRAIN_SECONDS = 1800.0
TYPED = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
SETTINGS = {
    # Few commits at once and little patience, so that five times the capacity is reached by one machine.
    "INGEST_COMMITS_MAX": 2,
    "INGEST_WAIT_SECONDS": 0.5,
    "RPC_CONCURRENCY_MAX": 64,
    "EXTRACTION_ENGINE": "grounded",
    "TASK_LEASE_SECONDS": 30,
    "WINDOW_MESSAGES_MAX": 36,
}


@dataclass
class Load:
    """What writers offered, what was taken, and how the rest was refused."""

    offered: int = 0
    accepted: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def batch(self) -> pb.IngestMessagesRequest:
        """Messages that nobody has sent before."""
        source = pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id=f"chat-{self.number % 20}")
        request = pb.IngestMessagesRequest(source=source)
        for _ in range(BATCH_MESSAGES):
            self.number += 1
            made = request.messages.add(external_id=str(self.number), text=f"ok {self.number}")
            made.sent_at.FromDatetime(BEGAN + timedelta(seconds=self.number))
        return request


async def offer(
    stack: Stack, metadata: tuple[tuple[str, str], ...], load: Load, writers: int, seconds: float
) -> float:
    """Let writers send batches for a while, each as fast as it is answered; return the batches offered a second."""
    began = time.monotonic()
    address = stack.ingest_addresses()[0]
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = ingest_pb2_grpc.IngestServiceStub(channel)

        async def write() -> None:
            while time.monotonic() < began + seconds:
                load.offered += 1
                try:
                    await stub.IngestMessages(
                        load.batch(), metadata=metadata, timeout=DEADLINE_SECONDS
                    )
                    load.accepted += 1
                except grpc.aio.AioRpcError as error:
                    load.refusals[error.code().name] += 1
                    # Unlike a client that minds its manners, which would wait for as long as it is told.
                    await asyncio.sleep(0.01)

        await asyncio.gather(*(write() for _ in range(writers)))
    return load.offered / (time.monotonic() - began)


async def watch(stack: Stack, memory: list[int]) -> None:
    """Note what ingest holds, every second."""
    while True:
        memory.append(stack.replicas["ingest-a"].memory_bytes())
        await asyncio.sleep(1)


async def overload(folder: Path, seconds: float) -> dict[str, Any]:
    """Measure, overload, wait, and count."""
    async with Stack.open(folder, SETTINGS) as stack:
        stack.hold("ingest-b")
        workspace, metadata = await stack.new_workspace("overload")
        warm, load, memory = Load(), Load(), list[int]()
        await offer(stack, metadata, warm, 4, 10)
        capacity = warm.accepted / 10
        load.number = warm.number
        watching = asyncio.create_task(watch(stack, memory))
        writers, rate = 16, 0.0
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            rate = await offer(stack, metadata, load, writers, min(seconds, 5))
            writers = min(512, writers * 2 if rate < FACTOR * capacity else writers)
        watching.cancel()
        stored = (warm.accepted + load.accepted) * BATCH_MESSAGES
        return {
            "seconds": seconds,
            "capacity_batches_per_second": round(capacity, 1),
            "offered_batches_per_second": round(rate, 1),
            "factor": round(rate / capacity, 1),
            "accepted": load.accepted,
            "refused": dict(load.refusals),
            "untyped_refusals": sum(n for c, n in load.refusals.items() if c not in TYPED),
            **_flatness(memory),
            **await _completed(stack, workspace, stored),
        }


def _flatness(memory: list[int]) -> dict[str, Any]:
    """How far memory strays from its middle once the load has been on for a quarter of the time."""
    settled = sorted(memory[len(memory) // 4 :])
    middle = settled[len(settled) // 2]
    spread = max(settled[-1] - middle, middle - settled[0]) / middle
    return {"memory_mib": round(middle / (1 << 20), 1), "memory_spread": round(spread, 3)}


async def _completed(stack: Stack, workspace: UUID, acknowledged: int) -> dict[str, Any]:
    """Whether everything that was accepted is there and done."""
    observer = Observer(stack, workspace, History())
    drain = await observer.until_quiet(DRAIN_SECONDS)
    admin = await stack.admin()
    stored = await admin.fetchval(
        "select count(*) from ingest.message where workspace_id = $1", workspace
    )
    gauges = await admin.fetchrow("select * from spine.gauges($1)", workspace)
    await admin.close()
    return {
        "acknowledged_messages": acknowledged,
        "stored_messages": stored,
        "vectors_missing": gauges["vectors_missing"],
        "drain_seconds": None if drain is None else round(drain, 1),
    }


def broken(found: dict[str, Any]) -> list[str]:
    """The promises that do not hold."""
    holds = {
        f"{FACTOR} times what fits is offered": found["factor"] >= FACTOR,
        "all refusals are typed": found["untyped_refusals"] == 0,
        "memory stays within a tenth": found["memory_spread"] <= 0.1,
        # A refused call may have been stored all the same; an accepted one must have been.
        "what was acknowledged is stored": found["stored_messages"]
        >= found["acknowledged_messages"],
        "no vector is missing": found["vectors_missing"] == 0,
        "the backlog drains": found["drain_seconds"] is not None,
    }
    return [promise for promise, is_kept in holds.items() if not is_kept]


@click.command()
@click.option("--seconds", default=60.0, help="How long the load is on.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(seconds: float, out: Path | None) -> None:
    """Overload one ingest; exit with 1 if a promise does not hold."""
    with make_scratch() as folder:
        found = asyncio.run(overload(folder, seconds))
    click.echo(json.dumps(found))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=2) + "\n")
    promises = broken(found)
    for promise in promises:
        click.echo(f"does not hold: {promise}", err=True)
    raise SystemExit(bool(promises))


if __name__ == "__main__":
    main()
