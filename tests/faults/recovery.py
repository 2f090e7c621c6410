"""How long it takes until work goes on after a fault: `python -m tests.faults.recovery`."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import click
import grpc

from services.common.channels import CHANNEL_OPTIONS
from tests.conftest import make_scratch
from tests.faults import journal
from tests.faults.plans import BEGAN, LEASE_SECONDS
from tests.faults.stack import Stack
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc

DEADLINE_SECONDS = 2.0
PARTITION_SECONDS = 8.0
# Of a lease of a second and a half, and of a database that takes connections again.
TAKEN_OVER_SECONDS_MAX = DATABASE_BACK_SECONDS_MAX = 2.0
_ALL_DONE = """select not exists (
  select from spine.task where workspace_id = $1 and stage in ('window', 'extract') and state in ('ready', 'leased'))"""
Metadata = tuple[tuple[str, str], ...]


def request(number: int) -> pb.IngestMessagesRequest:
    """One message that becomes an atom."""
    made = pb.IngestMessagesRequest(
        source=pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id=f"chat-{number}")
    )
    text = (
        f"We fixed incident {number}: host-7 retries now, because request {number * 31} timed out."
    )
    message = made.messages.add(external_id=str(number), text=text)
    message.sent_at.FromDatetime(BEGAN)
    return made


class Stopwatch:
    """Calls of one ingest, and what they took."""

    def __init__(self, stack: Stack, metadata: Metadata) -> None:
        self._stack, self._metadata, self._number = stack, metadata, 0

    async def write(self) -> float:
        """Save a message on a connection of its own; return the seconds that it took, or raise AioRpcError."""
        self._number += 1
        began = time.monotonic()
        address = self._stack.ingest_addresses()[0]
        async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            stub = ingest_pb2_grpc.IngestServiceStub(channel)
            await stub.IngestMessages(
                request(self._number), metadata=self._metadata, timeout=DEADLINE_SECONDS
            )
        return time.monotonic() - began

    async def until_success(self) -> float:
        """The seconds until a write succeeds."""
        began = time.monotonic()
        while True:
            try:
                await self.write()
                return time.monotonic() - began
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.02)


async def after_a_worker_died(stack: Stack, workspace: UUID, clock: Stopwatch) -> float:
    """From the claim of a worker that dies of it at once until another replica claims the same window."""
    dying, other = stack.replicas["extractor-a"], stack.replicas["extractor-b"]
    await stack.rearm(dying.name, "worker.claimed:extract=crash@1", keep=True)
    # So that it does not claim the window first.
    other.send(signal.SIGSTOP)
    await clock.write()
    await _until(lambda: _is(dying.has_ended))
    other.send(signal.SIGCONT)
    admin = await stack.admin()
    place = (journal.TAKEN_OVER, workspace, dying.name, "extract")
    await _until(lambda: admin.fetchval(*place))
    took: float = await admin.fetchval(*place)
    await _until(lambda: admin.fetchval(_ALL_DONE, workspace))
    await admin.close()
    stack.release(dying.name)
    return took


async def after_the_database_is_back(stack: Stack, clock: Stopwatch) -> float:
    """From the moment at which the database takes connections again until a write succeeds."""
    await asyncio.to_thread(stack.postgres.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(stack.postgres.start)
    return await clock.until_success()


async def in_a_partition(stack: Stack, clock: Stopwatch) -> tuple[float, float]:
    """The longest call while ingest cannot reach its database, and the seconds until a success once it can."""
    proxy, longest = stack.replicas["ingest-a"].edges["postgres"], 0.0
    proxy.break_down("partition")
    end = time.monotonic() + PARTITION_SECONDS
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            await clock.write()
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.02)
        longest = max(longest, time.monotonic() - began)
    proxy.heal()
    return longest, await clock.until_success()


async def _until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(120):
        while not await holds():  # noqa: ASYNC110 - neither a process nor a row has an event
            await asyncio.sleep(0.02)


async def _is(value: bool) -> bool:
    return value


async def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Measure everything some times."""
    async with Stack.open(folder) as stack:
        workspace, metadata = await stack.new_workspace("recovery")
        clock = Stopwatch(stack, metadata)
        stack.hold("ingest-b")
        await clock.until_success()
        restarts = [await after_the_database_is_back(stack, clock) for _ in range(rounds)]
        partitions = [await in_a_partition(stack, clock) for _ in range(rounds)]
        deaths = [await after_a_worker_died(stack, workspace, clock) for _ in range(rounds)]
    return {
        "rounds": rounds,
        "lease_seconds": LEASE_SECONDS,
        "worker_death_seconds": _spread(deaths),
        "database_back_seconds": _spread(restarts),
        "deadline_seconds": DEADLINE_SECONDS,
        "longest_call_seconds": _spread([longest for longest, _ in partitions]),
        "partition_healed_seconds": _spread([healed for _, healed in partitions]),
    }


def broken(found: dict[str, Any]) -> list[str]:
    """What took longer than one lease and what a hint takes, or than a deadline and a second."""
    most = {
        "worker_death_seconds": TAKEN_OVER_SECONDS_MAX,
        "database_back_seconds": DATABASE_BACK_SECONDS_MAX,
        "longest_call_seconds": DEADLINE_SECONDS + 1,
    }
    return [
        f"{name}: {found[name]['worst']}, at most {bound} promised"
        for name, bound in most.items()
        if found[name]["worst"] > bound
    ]


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"median": round(median(seconds), 2), "worst": round(max(seconds), 2)}


@click.command()
@click.option("--rounds", default=5, type=click.IntRange(1), help="How often each is measured.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(rounds: int, out: Path | None) -> None:
    """Measure how long recovery takes; exit with 1 if it is longer than promised."""
    with make_scratch() as folder:
        found = asyncio.run(measure(folder, rounds))
    click.echo(json.dumps(found))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=2) + "\n")
    promises = broken(found)
    for promise in promises:
        click.echo(promise, err=True)
    raise SystemExit(bool(promises))


if __name__ == "__main__":
    main()
