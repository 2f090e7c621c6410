"""The choice of ports."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from services.cli.embedded.errors import EmbeddedError, PortUnavailable
from services.cli.embedded.ports import Claims, Ports, choose_ports, ephemeral_ports, is_free

NONE = range(0)


@pytest.fixture
def taken(ports: dict[str, int]) -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", ports["search"])):
        yield ports["search"]


@pytest.fixture
def claims() -> Iterator[Claims]:
    """What one start claims."""
    with Claims.open() as claims:
        yield claims


def test_remembered(ports: dict[str, int], claims: Claims) -> None:
    """The ports of the last start are taken again when they are free."""
    assert choose_ports({}, Ports(**ports), NONE, claims) == Ports(**ports)


def test_moved(ports: dict[str, int], taken: int, claims: Claims) -> None:
    """A remembered port that is taken is replaced by another that is free and nobody else's."""
    chosen = choose_ports({}, Ports(**ports), NONE, claims)
    assert chosen.search != taken
    assert is_free(chosen.search)
    assert len(set(chosen.model_dump().values())) == len(ports)


def test_ephemeral_avoided(ports: dict[str, int], taken: int, claims: Claims) -> None:
    """A replacement is never a port that the system lends to outgoing connections."""
    lent = range(taken + 1, 65536)
    assert choose_ports({}, Ports(**ports), lent, claims).search not in lent


def test_requested_wins(ports: dict[str, int], claims: Claims) -> None:
    """A requested port is used whatever is remembered."""
    wish = ports.pop("nats")
    assert choose_ports({"nats": wish}, Ports(**ports), NONE, claims).nats == wish


@pytest.mark.parametrize("port", [0, 80, 65536])
def test_out_of_range(port: int, claims: Claims) -> None:
    """A requested port that no user may have is refused by name."""
    with pytest.raises(PortUnavailable, match=f"port {port} for nats: not a port from 1024"):
        choose_ports({"nats": port}, None, NONE, claims)


def test_asked_for_twice(ports: dict[str, int], claims: Claims) -> None:
    """Two names cannot share a port."""
    with pytest.raises(PortUnavailable, match="asked for twice"):
        choose_ports({"nats": ports["nats"], "search": ports["nats"]}, None, NONE, claims)


def test_unknown_name(claims: Claims) -> None:
    """A name that no port has is refused with those that exist."""
    with pytest.raises(EmbeddedError, match=r"no port is called serach: use postgres, .*search"):
        choose_ports({"serach": 20000}, None, NONE, claims)


def test_starts_at_the_same_moment(ports: dict[str, int]) -> None:
    """However many Winnows choose at once, before any of them listens: no two have a port in common."""
    starts, ready = 4, threading.Barrier(4)

    def start(claims: Claims) -> list[int]:
        ready.wait()
        return list(choose_ports({}, Ports(**ports), NONE, claims).model_dump().values())

    with ExitStack() as stack, ThreadPoolExecutor(starts) as pool:
        claims = [stack.enter_context(Claims.open()) for _ in range(starts)]
        chosen = [port for each in pool.map(start, claims) for port in each]
    assert len(set(chosen)) == len(chosen) == starts * len(ports)


def test_a_claim_ends(ports: dict[str, int]) -> None:
    """A claim is in no server's way, and is given up with the start that made it, for the next to have."""
    for _ in range(2):
        with Claims.open() as claims:
            chosen = choose_ports({}, Ports(**ports), NONE, claims)
            assert chosen == Ports(**ports)
            with socket.create_server(("127.0.0.1", chosen.search)):
                pass


def test_defaults_are_not_ephemeral() -> None:
    """The default ports are none that this machine lends to outgoing connections."""
    assert not set(Ports().model_dump().values()) & set(ephemeral_ports())
