"""A deployment that is thrown away, with the services that a benchmark needs as processes of their own."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import asyncpg
import grpc

from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.runtime import EmbeddedRuntime
from services.cli.running import passwords, service_child, service_environment
from services.common.addresses import NAMES
from services.common.auth import SCOPES, mint_key, store_key
from services.common.bootstrap import bring_up
from services.common.channels import CHANNEL_OPTIONS

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and of its children."""
    spent = 0.0
    for each in (pid, *map(int, _children(pid))):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        spent += (int(fields[11]) + int(fields[12])) / _TICK
    return spent


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def resident_mb(pid: int) -> float:
    """The resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@dataclass
class Deployed:
    """Running servers, a workspace and its key; services are started when they are wanted."""

    runtime: EmbeddedRuntime
    admin: asyncpg.Connection
    workspace: UUID
    key: str
    pids: dict[str, int]
    addresses: dict[str, str]

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that every call needs."""
        return (("authorization", f"Bearer {self.key}"),)

    def address(self, name: str) -> str:
        """Where a service listens."""
        return self.addresses[name]

    def environment(self, name: str) -> dict[str, str]:
        """The settings of a service."""
        return service_environment(self.runtime, name, self.addresses)

    def channel(self, name: str) -> grpc.aio.Channel:
        """Open a channel to a service."""
        return grpc.aio.insecure_channel(self.address(name), options=CHANNEL_OPTIONS)

    async def start(self, name: str, settings: Mapping[str, str] | None = None) -> int:
        """Start a service, wait until it serves, and return its process."""
        child = service_child(
            name, {**self.environment(name), **(settings or {})}, self.runtime.data.records
        )

        async def ready(pid: int) -> None:
            self.pids[name] = pid
            await child.ready(pid)

        await self.runtime.start(replace(child, ready=ready))
        return self.pids[name]

    async def start_replica(self, name: str, number: int) -> None:
        """Start another process of a service, beside the one that is called."""
        address = f"127.0.0.1:{_free_port()}"
        settings = {**self.environment(name), f"WINNOW_{name.upper()}_ADDRESS": address}
        child = service_child(name, settings, self.runtime.data.records)
        await self.runtime.start(replace(child, name=f"{name}-{number}"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def deployed() -> AsyncIterator[Deployed]:
    """Start PostgreSQL and nats-server in a directory that is thrown away."""
    with TemporaryDirectory(prefix="winnow-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - PostgreSQL runs as another user
        data = DataDirectory(Path(folder) / "data")
        async with EmbeddedRuntime.open(data) as runtime:
            await bring_up(runtime.admin_database_url, passwords(runtime.data), None)
            admin = await asyncpg.connect(runtime.admin_database_url)
            key = mint_key()
            workspace = await store_key(admin, "bench", "bench", key, SCOPES)
            addresses = {name: f"127.0.0.1:{getattr(runtime.ports, name)}" for name in NAMES}
            pids = {name: _pid(data, name) for name in ("postgres", "nats")}
            yield Deployed(runtime, admin, workspace, key.text, pids, addresses)
            await admin.close()


def _pid(data: DataDirectory, name: str) -> int:
    return int((data.resolved().records / f"{name}.pid").read_text().split()[0])


def quantile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies; nan of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
