"""The whole of Winnow as processes: real servers, two replicas a service behind proxies, and who restarts them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc

from services.cli.health import is_serving
from services.common import migrations
from services.common.addresses import NAMES
from services.common.auth import SCOPES, mint_key, store_key
from tests.conftest import PASSWORD, free_port
from tests.extractor.provider import provider
from tests.faults import journal
from tests.faults.clocks import Clock
from tests.faults.disks import Disk
from tests.faults.model import RandomProvider
from tests.faults.plans import LEASE_SECONDS, REPLICAS
from tests.faults.process import SILENT
from tests.faults.proxies import Proxy
from tests.faults.replicas import Replica
from tests.servers import NatsServer, PostgresServer


async def _until_serving(address: str) -> None:
    """Return when a service says that it serves."""
    async with asyncio.timeout(START_SECONDS), grpc.aio.insecure_channel(address) as channel:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                if await is_serving(channel):
                    return
            await asyncio.sleep(0.1)


AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""How a database says that it is away, besides OSError and TimeoutError."""

# A crowded machine may need a minute to start seven processes.
START_SECONDS = 180.0

SETTINGS = {
    "TASK_LEASE_SECONDS": LEASE_SECONDS,
    # An innocent task may be cut off by several faults of one schedule.
    "TASK_ATTEMPTS_MAX": 8,
    "TASK_RETRY_SECONDS": 0.02,
    "RELAY_IDLE_SECONDS": 0.1,
    "RELAY_AGAIN_SECONDS": 1,
    "RELAY_AGAIN_SECONDS_MAX": 4,
    "NATS_ACK_WAIT_SECONDS": 2,
    "NATS_TASKS_BYTES_MAX": 1 << 20,
    "STATEMENT_TIMEOUT_SECONDS": 3,
    "DATABASE_POOL_SIZE": 4,
    "WINDOW_MESSAGES_MAX": 8,
    "WINDOW_SETTLE_SECONDS": 0.4,
    # The tasks alone must make rows and vectors equal here.
    "EMBED_RECONCILE_SECONDS": 3600,
    "EXTRACTION_ENGINE": "generative",
    "GENERATION_MODEL": "double",
    "GENERATION_TIMEOUT_SECONDS": LEASE_SECONDS + 1,
}


class Stack:
    """Everything that runs, and the ways to reach it."""

    def __init__(
        self,
        folder: Path,
        model: RandomProvider,
        settings: Mapping[str, object],
        disks: Mapping[str, Disk],
        fsync: bool,
    ) -> None:
        self.folder, self.model, self._settings = folder, model, {**SETTINGS, **settings}
        self.disks = disks
        places = {name: disk.path for name, disk in disks.items()}
        self.clocks = {name: Clock.make(folder, name) for name in (*REPLICAS, "postgres")}
        self.postgres = PostgresServer(
            free_port(),
            PASSWORD,
            places.get("postgres"),
            environment=self.clocks["postgres"].environment,
            max_connections=300,
            fsync="on" if fsync else "off",
        )
        store = places["nats"] / "store" if "nats" in places else None
        self.nats = NatsServer(free_port(), store)
        self.replicas: dict[str, Replica] = {}
        self.search_address = ""
        self.database_url = f"{self.postgres.url}/winnow"
        self._is_restarting = True
        self._held: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        disks: Mapping[str, Disk] | None = None,
        *,
        fsync: bool = False,
    ) -> AsyncIterator["Stack"]:
        """Start everything, watch over it, and stop it at the end; a server may have a disk of its own."""
        with provider(RandomProvider()) as model:
            assert isinstance(model, RandomProvider)
            stack = cls(folder, model, settings or {}, disks or {}, fsync)
            try:
                await stack._start()
                watching = asyncio.create_task(stack._watch())
                yield stack
                watching.cancel()
            finally:
                await stack._stop()

    async def _start(self) -> None:
        await asyncio.to_thread(self.postgres.start)
        self.nats.start()
        admin = await asyncpg.connect(f"{self.postgres.url}/postgres")
        await admin.execute("create database winnow")
        await migrations.migrate(self.database_url)
        await admin.execute(f"alter role winnow_app login password '{PASSWORD}'")
        await admin.close()
        owner = await self.admin()
        await journal.install(owner)
        await owner.close()
        ports = {name: free_port() for name in (*REPLICAS, "search-a")}
        for name in ports:
            self.replicas[name] = await self._replica(name, ports)
        for replica in self.replicas.values():
            replica.start()
        self.search_address = f"127.0.0.1:{ports['search-a']}"
        for port in ports.values():
            await _until_serving(f"127.0.0.1:{port}")

    async def _replica(self, name: str, ports: Mapping[str, int]) -> Replica:
        servers = {"postgres": self.postgres.port, "nats": self.nats.port, "client": ports[name]}
        edges = {edge: Proxy(free_port(), port) for edge, port in servers.items()}
        for proxy in edges.values():
            await proxy.open()
        letter = name.rpartition("-")[2]
        beside = {each: ports.get(f"{each}-{letter}", ports[f"{each}-a"]) for each in NAMES}
        own = {
            "DATABASE_URL": f"postgresql://winnow_app:{PASSWORD}@127.0.0.1:{edges['postgres'].port}/winnow"
            f"?{journal.SETTING}={name}",
            "NATS_URL": f"nats://127.0.0.1:{edges['nats'].port}",
            "GENERATION_URL": self.model.url,
            **{f"{each.upper()}_ADDRESS": f"127.0.0.1:{port}" for each, port in beside.items()},
        }
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("WINNOW_")}
        named = {f"WINNOW_{k}": str(v) for k, v in {**self._settings, **own}.items()}
        clock = self.clocks[name].environment if name in self.clocks else {}
        environment = {**inherited, **clock, SILENT: "0.02", **named}
        return Replica(name, environment, self.folder / f"{name}.log", edges)

    async def _stop(self) -> None:
        self._is_restarting = False
        for replica in self.replicas.values():
            replica.end()
            for proxy in replica.edges.values():
                await proxy.close()
        for server in (self.nats, self.postgres):
            with contextlib.suppress(ProcessLookupError):
                await asyncio.to_thread(server.stop)
            server.remove()

    async def _watch(self) -> None:
        """Start again what has ended, as an orchestrator does."""
        while True:
            for name, replica in self.replicas.items():
                if self._is_restarting and name not in self._held and replica.has_ended:
                    replica.deaths += 1
                    replica.start()
            await asyncio.sleep(0.05)

    def ingest_addresses(self) -> list[str]:
        """Where clients reach the replicas of ingest."""
        return [
            f"127.0.0.1:{replica.edges['client'].port}"
            for replica in self.replicas.values()
            if replica.service == "ingest"
        ]

    async def rearm(self, name: str, failpoints: str, *, keep: bool = False) -> None:
        """Start a replica anew with failpoints; it may be kept from being started again until it is released."""
        self._held.add(name)
        replica = self.replicas[name]
        replica.end()
        replica.start(failpoints)
        if not keep:
            self._held.discard(name)
        await _until_serving(f"127.0.0.1:{replica.edges['client'].target_port}")

    def hold(self, name: str) -> None:
        """End a replica and let nobody start it again until it is released."""
        self._held.add(name)
        self.replicas[name].end()

    def release(self, name: str) -> None:
        """Let a replica that was held, or is armed, be started again whenever it has ended."""
        self._held.discard(name)

    async def heal(self) -> None:
        """Undo everything that still is broken; failpoints end with the process that has them."""
        for replica in self.replicas.values():
            replica.send(signal.SIGCONT)
            for proxy in replica.edges.values():
                proxy.heal()
        for clock in self.clocks.values():
            clock.put(0)
        self.model.always, self.model.plan = "", []

    async def admin(self) -> asyncpg.Connection:
        """A connection that may do everything."""
        return await asyncpg.connect(self.database_url, timeout=5, command_timeout=20)

    async def new_workspace(self, name: str) -> tuple[UUID, tuple[tuple[str, str], ...]]:
        """A workspace of its own, and the metadata of a key that may do everything in it."""
        key, admin = mint_key(), await self.admin()
        try:
            workspace = await store_key(admin, name, "faults", key, SCOPES)
        finally:
            await admin.close()
        return workspace, (("authorization", f"Bearer {key.text}"),)

    def logs(self) -> list[Path]:
        """What the replicas and the servers have written, one file each, all named differently."""
        return [*(replica.log for replica in self.replicas.values()), self.postgres.log]

    def figures(self) -> dict[str, Any]:
        """How often processes were started again."""
        return {name: replica.deaths for name, replica in self.replicas.items() if replica.deaths}
