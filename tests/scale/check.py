"""Replicas, failover and a rolling restart on one machine: `python -m tests.scale.check` (make scale-check).

Prints what it measured, a JSON object as its last line, and ends with 1 if something was lost. Variables:
SCALE_MESSAGES=400, how many a round; SCALE_FROM, a tag or commit to begin with; SCALE_KEEP=1 keeps the folder.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg
import grpc
import nats
from google.protobuf.timestamp_pb2 import Timestamp
from nats.errors import Error as NatsError

from services.common.auth import SCOPES, mint_key, store_key
from services.common.bootstrap import SHARED_LOGIN, open_logins
from services.common.bus import TASKS_STREAM
from services.common.channels import dial
from tests.scale.cluster import PASSWORD, Nats, Postgres, Release, Services, clean
from winnow.events.v1.events_pb2 import TaskHint
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub
from winnow.search.v1 import search_pb2
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

BATCH = 50
# What the machine keeps up with while it starts and ends processes.
PAUSE_SECONDS = 0.5
# For how long the replicas are watched before they get work.
IDLE_SECONDS = 10.0
ROUND_MESSAGES = int(os.environ.get("SCALE_MESSAGES", "400"))
# A tag or commit to begin with: then every replica is replaced by today's release, and not just restarted.
PREVIOUS = os.environ.get("SCALE_FROM", "")
ROUNDS = (1, 2, 4)
NAMES = ("embedder", "extractor", "ingest", "search")
TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


def say(text: str) -> None:
    """Tell how far the check is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def batch(source: str, first: int, count: int) -> ingest.IngestMessagesRequest:
    """Messages of an own source, of the length that people write, no two alike."""
    began = datetime.now(UTC) - timedelta(days=2)
    messages = []
    for number in range(first, first + count):
        sent_at = Timestamp()
        sent_at.FromDatetime(began + timedelta(seconds=number))
        text = (
            f"The deploy of service {number * 7919 % 997} to region {number % 13} was rolled back after {number} "
            f"errors; {source} says that the migration waits for a lock, who can look at it?"
        )
        messages.append(ingest.MessageInput(external_id=str(number), text=text, sent_at=sent_at))
    key = ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id=source)
    return ingest.IngestMessagesRequest(source=key, messages=messages)


class Client:
    """Calls all replicas in turn, and tries again what may be tried again, as a client of a cluster should."""

    def __init__(self, services: Services, key: str) -> None:
        self._services, self._metadata = services, (("authorization", f"Bearer {key}"),)
        self.retries = 0
        self.failed = 0
        self.acknowledged = 0
        self.searches = 0
        self.searches_failed = 0

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[IngestServiceStub]:
        """Ingest, by all its replicas."""
        async with dial(self._services.target("ingest")) as channel:
            yield IngestServiceStub(channel)

    async def store(self, stub: IngestServiceStub, request: ingest.IngestMessagesRequest) -> None:
        """Store a batch; only what stays undone for half a minute has failed."""
        end = time.monotonic() + 30
        while True:
            try:
                reply = await stub.IngestMessages(request, metadata=self._metadata, timeout=10)
                self.acknowledged += len(reply.results)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT or time.monotonic() > end:
                    self.failed += 1
                    say(f"    failed: {error.code().name} {error.details()}")
                    return
                self.retries += 1
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def searching(self) -> AsyncIterator[None]:
        """Search by words again and again meanwhile; a search that finds nothing or fails for long has failed."""
        done = asyncio.Event()
        task = asyncio.create_task(self._search_until(done))
        try:
            yield
        finally:
            done.set()
            await task

    async def _search_until(self, done: asyncio.Event) -> None:
        request = search_pb2.SearchRequest(query="deploy", mode=search_pb2.SEARCH_MODE_KEYWORD)
        async with dial(self._services.target("search")) as channel:
            stub = SearchServiceStub(channel)
            while not done.is_set():
                self.searches += 1
                self.searches_failed += not await self._finds(stub, request)
                await asyncio.sleep(0.1)

    async def _finds(self, stub: SearchServiceStub, request: search_pb2.SearchRequest) -> bool:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                reply = await stub.Search(request, metadata=self._metadata, timeout=10)
                return len(reply.results) > 0
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    say(f"    a search failed: {error.code().name} {error.details()}")
                    return False
                self.retries += 1
                await asyncio.sleep(0.1)
        return False

    async def status(self) -> pb.GetStatusResponse:
        """The state of the workspace."""
        async with dial(self._services.target("search")) as channel:
            stub = PipelineServiceStub(channel)
            return await stub.GetStatus(pb.GetStatusRequest(), metadata=self._metadata, timeout=20)

    async def settled(self, seconds: float = 120) -> pb.GetStatusResponse:
        """Wait until nothing is left to do, for as long as something gets done within some seconds."""
        done, end = -1, 0.0
        while True:
            state = await self.status()
            if not sum(s.ready + s.leased for s in state.stages) and not state.vectors_missing:
                return state
            if (now_done := sum(s.done for s in state.stages)) != done:
                done, end = now_done, time.monotonic() + seconds
            if time.monotonic() > end:
                raise RuntimeError(f"nothing was done for {seconds:.0f} s: {state}")
            await asyncio.sleep(0.2)


async def throughput(services: Services, client: Client, replicas: int) -> dict[str, float]:
    """The same load with more replicas of every service: messages a second until searchable, and what they cost.

    What the replicas use when they have nothing to do is measured first: it grows with them, not with the messages.
    """
    for name in NAMES:
        for replica in range(len(services.replicas(name)), replicas):
            services.start(name, replica)
    await client.settled()
    idle = services.cpu_seconds()
    await asyncio.sleep(IDLE_SECONDS)
    idle = (services.cpu_seconds() - idle) / IDLE_SECONDS
    cpu, began = services.cpu_seconds(), time.monotonic()
    async with client.stub() as stub:
        for first in range(0, ROUND_MESSAGES, BATCH):
            await client.store(stub, batch(f"round-{replicas}", first, BATCH))
    await client.settled()
    seconds = time.monotonic() - began
    spent = services.cpu_seconds() - cpu
    result = {
        "replicas": replicas,
        "messages_per_second": round(ROUND_MESSAGES / seconds, 1),
        "cpu_ms_per_message": round(1000 * (spent - idle * seconds) / ROUND_MESSAGES, 2),
        "idle_cpu_percent": round(100 * idle, 1),
    }
    rate, cost = result["messages_per_second"], result["cpu_ms_per_message"]
    say(
        f"  {replicas} of each: {rate} messages/s, {cost} ms CPU a message beside {100 * idle:.0f} % of a core that "
        "they use idle"
    )
    return result


async def kill_nats_leader(brokers: Nats, client: Client) -> float:
    """Kill the server that leads the stream while messages come; return after how long a hint is stored again."""
    connection = await nats.connect(
        brokers.urls, max_reconnect_attempts=-1, reconnect_time_wait=0.1
    )
    stream, hint = connection.jetstream(timeout=1), TaskHint().SerializeToString()
    loading = asyncio.create_task(load(client, "nats", 300))
    await asyncio.sleep(0.5)
    leader = brokers.leader_of(TASKS_STREAM)
    brokers.kill(leader)
    began = time.monotonic()
    while True:
        try:
            await stream.publish("winnow.tasks.rescore", hint, timeout=0.5)
            break
        except (NatsError, TimeoutError, OSError):
            await asyncio.sleep(0.05)
    seconds = time.monotonic() - began
    await loading
    await connection.close()
    brokers.start_one(leader)
    return seconds


async def load(client: Client, source: str, messages: int) -> None:
    """Store messages in small batches."""
    async with client.stub() as stub:
        for first in range(0, messages, 10):
            await client.store(stub, batch(source, first, 10))


async def fail_over(database: Postgres, client: Client) -> float:
    """Kill the primary under load and promote the replica; return after how long a message is accepted again."""
    loading = asyncio.create_task(load(client, "failover", 400))
    await asyncio.sleep(1)
    began = time.monotonic()
    await asyncio.to_thread(database.fail_over)
    promoted = time.monotonic()
    async with client.stub() as stub:
        await client.store(stub, batch("after", 0, 1))
    seconds = time.monotonic() - began
    say(f"  promoted after {promoted - began:.1f} s, accepted again after {seconds:.1f} s")
    await loading
    return seconds


async def roll(services: Services, client: Client, replicas: int) -> int:
    """Restart replicas of every service in turn while messages come; return how many calls failed for good."""
    before, done = client.failed, asyncio.Event()

    async def keep_loading() -> None:
        number = 0
        async with client.stub() as stub:
            while not done.is_set():
                await client.store(stub, batch("rolling", number, 10))
                number += 10
                await asyncio.sleep(PAUSE_SECONDS)

    loading = asyncio.create_task(keep_loading())
    for name in NAMES:
        for who in services.replicas(name)[:replicas]:
            await asyncio.to_thread(services.stop, who)
            await asyncio.to_thread(services.start, name, int(who.rpartition("-")[2]))
    done.set()
    await loading
    return client.failed - before


async def roll_out(
    services: Services, client: Client, release: Release, owner: str
) -> dict[str, Any]:
    """Restart two replicas of every service, or bring all of them to a release that is newer than theirs."""
    if services.release == release:
        say("restarting two replicas of every service under load")
        return {"rolling_calls_failed": await roll(services, client, 2)}
    say(f"migrating from {PREVIOUS}, and replacing every replica under load")
    await asyncio.to_thread(release.migrate, owner)
    services.release = release
    failed = await roll(services, client, ROUNDS[-1])
    return {"upgraded_from": PREVIOUS, "rolling_calls_failed": failed}


async def check(folder: Path) -> dict[str, Any]:
    """Run it all; return what was measured."""
    brokers, database = Nats(folder), Postgres(folder)
    services: Services | None = None
    new = Release()
    old = Release.of(PREVIOUS, folder / "previous") if PREVIOUS else new
    try:
        say("starting three NATS servers, and PostgreSQL with a synchronous replica")
        await asyncio.to_thread(brokers.start)
        await asyncio.to_thread(database.start)
        database.sql("create database winnow")
        owner = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{database.ports[0]}/winnow"
        await asyncio.to_thread(old.migrate, owner)
        await open_logins(owner, {SHARED_LOGIN: PASSWORD})
        key, connection = mint_key(), await asyncpg.connect(owner)
        await store_key(connection, "scale", "scale", key, SCOPES)
        await connection.close()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")}
        environment = {
            **kept,
            "WINNOW_DATABASE_URL": database.url(SHARED_LOGIN, "winnow"),
            "WINNOW_NATS_URL": brokers.url, "WINNOW_NATS_REPLICAS": "3",
            "WINNOW_EXTRACTION_ENGINE": "grounded", "WINNOW_WINDOW_SETTLE_SECONDS": "0.5",
            "WINNOW_DATABASE_POOL_SIZE": "4", "WINNOW_EMBEDDING_CONTEXTS": "2", "WINNOW_EMBED_RECONCILE_SECONDS": "5",
        }  # fmt: skip
        if old == new:
            # A release that does not know a setting refuses it.
            environment["WINNOW_SEARCH_REPLICA_URL"] = database.replica_url(SHARED_LOGIN, "winnow")
        services = Services(folder, environment, old)
        client = Client(services, key.text)
        for name in NAMES:
            await asyncio.to_thread(services.start, name, 0)
        result: dict[str, Any] = {"rounds": []}
        say(f"{ROUND_MESSAGES} messages until searchable:")
        for replicas in ROUNDS:
            result["rounds"].append(await throughput(services, client, replicas))
        result["memory_bytes"] = {name: services.memory_bytes(name) for name in NAMES}
        say("killing the NATS server that leads the stream")
        result["nats_publishing_again_seconds"] = round(await kill_nats_leader(brokers, client), 2)
        say(f"  a hint is stored again after {result['nats_publishing_again_seconds']} s")
        say("killing the primary of PostgreSQL and promoting the replica")
        async with client.searching():
            result["database_again_seconds"] = round(await fail_over(database, client), 2)
            result |= await roll_out(services, client, new, database.url("postgres", "winnow"))
        state = await client.settled()
        result |= {
            "acknowledged": client.acknowledged, "stored": state.messages, "retries": client.retries,
            "calls_failed": client.failed, "searches": client.searches, "searches_failed": client.searches_failed,
            "vectors_missing": state.vectors_missing,
            "vectors_stale": state.vectors_stale, "tasks_dead": state.tasks_dead,
            "database_bytes": int(database.sql("select pg_database_size('winnow')", 1)),
        }  # fmt: skip
        return result
    finally:
        if services is not None:
            services.stop()
        brokers.stop()
        database.stop()


def main() -> None:
    """Run it on a folder that is thrown away."""
    argparse.ArgumentParser("python -m tests.scale.check", description=__doc__).parse_args()
    # What gRPC does in a process that forks may break the child, here a program of PostgreSQL.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    folder = Path(mkdtemp(prefix="winnow-scale-"))
    folder.chmod(0o755)
    try:
        result = asyncio.run(check(folder))
    finally:
        if not os.environ.get("SCALE_KEEP"):
            clean(folder)
    lost = result["acknowledged"] - result["stored"]
    say(f"{result['acknowledged']} messages acknowledged, {result['stored']} stored")
    say(json.dumps({**result, "lost": max(0, lost)}))
    wrong = ("calls_failed", "searches_failed", "vectors_missing", "tasks_dead")
    sys.exit(1 if lost > 0 or any(result[name] for name in wrong) else 0)


if __name__ == "__main__":
    main()
