"""Channels to services: plain unless an authority is set, then TLS, and new ones when certificates change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import grpc

from services.common.addresses import host_of, is_on_this_machine
from services.common.tls import PemFiles, TlsSettings, client_files

RECEIVED_BYTES_MAX = 16 << 20
CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", RECEIVED_BYTES_MAX),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_retries", 1),
    # A name that stands for many replicas is called at all of them in turn.
    ("grpc.lb_policy_name", "round_robin"),
]
# gRPC takes the way through the proxy of the environment to this machine as well.
WITHOUT_PROXY: tuple[str, Any] = ("grpc.enable_http_proxy", 0)

Stub = TypeVar("Stub")

_LAST_CALLS_SECONDS = 60.0


@asynccontextmanager
async def dial(
    address: str,
    settings: TlsSettings | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel with the certificates of the moment, and close it at the end."""
    files = client_files(settings or TlsSettings.read())
    async with _open(address, files, interceptors) as channel:
        yield channel


def _open(
    address: str,
    files: PemFiles | None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    told = CHANNEL_OPTIONS
    if is_on_this_machine(host_of(address)):
        told = [*told, WITHOUT_PROXY]
    options: dict[str, Any] = {"options": told, "interceptors": interceptors}
    if files is None:
        return grpc.aio.insecure_channel(address, **options)
    pem = files.pem
    credentials = grpc.ssl_channel_credentials(pem.authority, pem.key, pem.certificate)
    return grpc.aio.secure_channel(address, credentials, **options)


class Link(Generic[Stub]):
    """A stub of one service that lasts as long as a process: its channel follows the certificate files."""

    def __init__(self, address: str, stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self._address, self._make = address, stub
        self._files = client_files(TlsSettings.read())
        self._channel = _open(address, self._files)
        self._stub = stub(self._channel)
        self._closing: set[asyncio.Task[None]] = set()

    def stub(self) -> Stub:
        """The stub for the next call; what is under way on an earlier channel may end there."""
        if self._files is not None and self._files.refresh():
            self._retire(self._channel)
            self._channel = _open(self._address, self._files)
            self._stub = self._make(self._channel)
        return self._stub

    async def close(self) -> None:
        """Close every channel now."""
        for task in self._closing:
            task.cancel()
        await self._channel.close()

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.create_task(channel.close(_LAST_CALLS_SECONDS))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
