"""The ports of the embedded servers and of the services they are for; all on loopback."""

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.cli.embedded.errors import EmbeddedError, PortUnavailable

LOOPBACK = "127.0.0.1"
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
USER_PORTS = range(1024, 65536)
Port = Annotated[int, Field(ge=USER_PORTS.start, lt=USER_PORTS.stop)]


class Ports(BaseModel):
    """Who listens where; the defaults are what is tried first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres: Port = 15432
    nats: Port = 14222
    nats_monitor: Port = 18222
    ingest: Port = 15051
    extractor: Port = 15052
    embedder: Port = 15053
    search: Port = 15054


class Claims:
    """Ports that no other Winnow on this machine chooses meanwhile, though nobody listens on them yet.

    A claim is a datagram socket of the same number: only one can be had, and it is in no server's way.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    @classmethod
    @contextmanager
    def open(cls) -> Iterator["Claims"]:
        """Begin with none, and give all up at the end, as the end of the process does."""
        claims = cls()
        try:
            yield claims
        finally:
            for each in claims._held.values():
                each.close()

    def take(self, port: int) -> bool:
        """Claim a port; false if somebody else has."""
        if port in self._held:
            return True
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((LOOPBACK, port))
        except OSError:
            claim.close()
            return False
        self._held[port] = claim
        return True


def choose_ports(
    requested: Mapping[str, int], remembered: Ports | None, ephemeral: range, claims: Claims
) -> Ports:
    """Return free ports: exactly those requested, else the remembered or default ones, else others outside `ephemeral`.

    Those that were not requested nobody else has claimed. Raises PortUnavailable for a requested port that is in use,
    out of range or given twice.
    """
    for name, port in requested.items():
        _check_requested(name, port, requested)
        claims.take(port)
    chosen = dict(requested)
    for name, port in (remembered or Ports()).model_dump().items():
        if name not in chosen:
            chosen[name] = _free_port(name, port, set(chosen.values()), ephemeral, claims)
    return Ports(**chosen)


def ephemeral_ports() -> range:
    """Return the ports that this machine lends to outgoing connections, which a server must avoid."""
    if not _RANGE_FILE.exists():
        return range(49152, 65536)
    first, last = map(int, _RANGE_FILE.read_text().split())
    return range(first, last + 1)


def is_free(port: int) -> bool:
    """Return whether a server could listen on a loopback port now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        if sys.platform == "linux":  # sockets in TIME_WAIT do not hold a port there
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _check_requested(name: str, port: int, requested: Mapping[str, int]) -> None:
    if name not in Ports.model_fields:
        raise EmbeddedError(f"no port is called {name}: use {', '.join(Ports.model_fields)}")
    if port not in USER_PORTS:
        raise PortUnavailable(name, port, "not a port from 1024 to 65535")
    if sum(other == port for other in requested.values()) > 1:
        raise PortUnavailable(name, port, "asked for twice")
    if not is_free(port):
        raise PortUnavailable(name, port, "already in use")


def _free_port(name: str, wanted: int, taken: set[int], ephemeral: range, claims: Claims) -> int:
    for port in _candidates(wanted):
        is_allowed = port not in taken and (port == wanted or port not in ephemeral)
        if is_allowed and is_free(port) and claims.take(port):
            return port
    raise PortUnavailable(name, wanted, "in use, and no other port is free")


def _candidates(wanted: int) -> Iterator[int]:
    """Yield the wanted port, then those well above it so as not to take a neighbour's default."""
    first = wanted + 100
    yield wanted
    yield from range(first, USER_PORTS.stop)
    yield from range(USER_PORTS.start, min(first, USER_PORTS.stop))
