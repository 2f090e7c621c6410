"""A service is a value; running it is one function: open, serve, drain, close."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc
import protovalidate
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common import metrics
from services.common.addresses import AddressSettings
from services.common.audit import AuditLog
from services.common.auth import Authenticator
from services.common.database import Database
from services.common.errors import InvalidSetting
from services.common.public import Health, Public
from services.common.rates import QuotaSettings, Rate
from services.common.reflecting import reflect
from services.common.rpc import OPTIONS, Edge, RpcSettings
from services.common.signals import stop_signals
from services.common.tls import Callers, TlsSettings, server_credentials
from services.common.waiting import end
from services.common.worker import STOP_SECONDS

log = logging.getLogger(__name__)

_HEALTH = "grpc.health.v1.Health"


@dataclass(frozen=True)
class Servicer:
    """One gRPC service: its full name, how it is added to a server, and the scope that each method needs."""

    full_name: str
    add: Callable[[Any, grpc.aio.Server], None]
    implementation: Any
    scopes: Mapping[str, str]


class Drainable(Protocol):
    """Work that ends by itself once it is told to, such as a Worker."""

    def drain(self) -> None:
        """Take no more work."""

    async def run(self) -> None:
        """Work until drained."""


@dataclass(frozen=True)
class Service:
    """What a process runs under one name; the validator is that of its edge, and of methods that check further."""

    name: str
    database: Database
    servicers: Sequence[Servicer]
    workers: Sequence[Drainable] = ()
    loops: Sequence[Callable[[], Coroutine[Any, Any, None]]] = field(default=())
    validator: protovalidate.Validator = field(default_factory=protovalidate.Validator)


Opener = Callable[[], AbstractAsyncContextManager[Service]]


async def run(openers: Mapping[str, Opener]) -> None:
    """Open every named service, serve until told to stop, then drain and close in reverse."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, *stop_signals()):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        opened = await _open(openers, stack, stopping)
        for service in opened:
            await stack.enter_async_context(serving(service))
        if opened:
            stack.enter_context(_announced(RpcSettings.read().rpc_ready_file))
            # What has been loaded by now stays: the collector need not walk it again and again while calls wait. What
            # calls leave behind is rarely cyclic: looking for it as often as Python does took 7 % of ingest's time.
            gc.collect()
            gc.freeze()
            gc.set_threshold(10_000, 20, 20)
            await stopping.wait()
        log.info("stopping")


@contextmanager
def _announced(file: Path | None) -> Iterator[None]:
    """Have the process's id in a file: at an address another process might answer."""
    if file is None:
        yield
        return
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise InvalidSetting(f"WINNOW_RPC_READY_FILE: cannot write it: {error.strerror}") from None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


async def _open(
    openers: Mapping[str, Opener], stack: AsyncExitStack, stopping: asyncio.Event
) -> list[Service]:
    """Open every service; none if the process is told to stop while one waits for its servers."""
    try:
        async with asyncio.timeout(None) as opening:
            watcher = asyncio.create_task(_expire(opening, stopping))
            try:
                return [await stack.enter_async_context(each()) for each in openers.values()]
            finally:
                watcher.cancel()
    except TimeoutError:
        if not opening.expired():
            raise
        return []


async def _expire(opening: asyncio.Timeout, stopping: asyncio.Event) -> None:
    await stopping.wait()
    opening.reschedule(0)


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[str]:
    """Serve a service and run its workers; yields its address. A part that fails stops the rest."""
    settings = RpcSettings.read()
    server, edge, status, address = await _listen(service, settings)
    try:
        async with _probed(status, settings.rpc_health_address), asyncio.TaskGroup() as group:
            workers = [group.create_task(worker.run()) for worker in service.workers]
            loops = [group.create_task(loop()) for loop in service.loops]
            log.info("%s serves on %s", service.name, address)
            serves = metrics.SERVING.labels(service.name)
            serves.set(1)
            try:
                yield address
            finally:
                serves.set(0)
                await status.enter_graceful_shutdown()
                for worker in service.workers:
                    worker.drain()
                edge.drain()
                await server.stop(settings.rpc_drain_seconds)
                await _finish(workers, loops, settings.rpc_drain_seconds)
    finally:
        await server.stop(None)


@asynccontextmanager
async def _probed(status: Health, address: str) -> AsyncIterator[None]:
    """Tell the health at an address of its own as well, which needs no certificate: a prober has none."""
    if not address:
        yield
        return
    server = grpc.aio.server(interceptors=[Public()], options=OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise InvalidSetting(f"WINNOW_RPC_HEALTH_ADDRESS: cannot listen on {address}") from None
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def _finish(
    workers: Sequence[asyncio.Task[None]],
    loops: Sequence[asyncio.Task[None]],
    grace_seconds: float,
) -> None:
    """Let workers end what they took; after the grace they hand it back."""
    if workers:
        _, late = await asyncio.wait(workers, timeout=grace_seconds)
        await end(late, again_seconds=2 * STOP_SECONDS)
    await end(loops)


async def _listen(
    service: Service, settings: RpcSettings
) -> tuple[grpc.aio.Server, Edge, Health, str]:
    address = AddressSettings.read().of(service.name)
    scopes = {
        f"/{servicer.full_name}/{method}": scope
        for servicer in service.servicers
        for method, scope in servicer.scopes.items()
    }
    tls, quotas = TlsSettings.read(), QuotaSettings.read()
    edge = Edge(
        Authenticator(service.database),
        scopes,
        settings.rpc_concurrency_max,
        Callers.parse(tls.tls_callers),
        Rate("calls", quotas.rate_calls_per_second, quotas.rate_burst_seconds),
        AuditLog(service.database),
        service.validator,
    )
    options = list(OPTIONS)
    if settings.rpc_connection_age_seconds:
        age = int(settings.rpc_connection_age_seconds * 1000)
        options.append(("grpc.max_connection_age_ms", age))
    server = grpc.aio.server(interceptors=[edge], options=options)
    status = Health()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    names = [servicer.full_name for servicer in service.servicers]
    for servicer in service.servicers:
        _check_scopes(servicer)
        servicer.add(servicer.implementation, server)
    if settings.rpc_reflection:
        reflect(server, [*names, _HEALTH])
    try:
        credentials = server_credentials(tls)
        port = (
            server.add_insecure_port(address)
            if credentials is None
            else server.add_secure_port(address, credentials)
        )
    except RuntimeError:
        port = 0
    if not port:
        raise InvalidSetting(
            f"WINNOW_{service.name.upper()}_ADDRESS: cannot listen on {address}: "
            "the port is in use, or the address is not of this machine"
        )
    await server.start()
    for name in ("", *names):
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    return server, edge, status, f"{address.rpartition(':')[0]}:{port}"


def _check_scopes(servicer: Servicer) -> None:
    """Raise ValueError unless every method has its scope, which otherwise the first caller would find out."""
    methods = descriptor_pool.Default().FindServiceByName(servicer.full_name).methods_by_name
    if wrong := set(methods) ^ set(servicer.scopes):
        raise ValueError(f"{servicer.full_name}: scopes and methods differ in {sorted(wrong)}")
