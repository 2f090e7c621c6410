"""The choice of ports."""

import socket
from collections.abc import Iterator

import pytest

from services.cli.embedded.errors import EmbeddedError, PortUnavailable
from services.cli.embedded.ports import Ports, choose_ports, ephemeral_ports, is_free

NONE = range(0)


@pytest.fixture
def taken(ports: dict[str, int]) -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", ports["search"])):
        yield ports["search"]


def test_remembered(ports: dict[str, int]) -> None:
    """The ports of the last start are taken again when they are free."""
    assert choose_ports({}, Ports(**ports), NONE) == Ports(**ports)


def test_moved(ports: dict[str, int], taken: int) -> None:
    """A remembered port that is taken is replaced by another that is free and nobody else's."""
    chosen = choose_ports({}, Ports(**ports), NONE)
    assert chosen.search != taken
    assert is_free(chosen.search)
    assert len(set(chosen.model_dump().values())) == len(ports)


def test_ephemeral_avoided(ports: dict[str, int], taken: int) -> None:
    """A replacement is never a port that the system lends to outgoing connections."""
    lent = range(taken + 1, 65536)
    assert choose_ports({}, Ports(**ports), lent).search not in lent


def test_requested_wins(ports: dict[str, int]) -> None:
    """A requested port is used whatever is remembered."""
    wish = ports.pop("nats")
    assert choose_ports({"nats": wish}, Ports(**ports), NONE).nats == wish


@pytest.mark.parametrize("port", [0, 80, 65536])
def test_out_of_range(port: int) -> None:
    """A requested port that no user may have is refused by name."""
    with pytest.raises(PortUnavailable, match=f"port {port} for nats: not a port from 1024"):
        choose_ports({"nats": port}, None, NONE)


def test_asked_for_twice(ports: dict[str, int]) -> None:
    """Two names cannot share a port."""
    with pytest.raises(PortUnavailable, match="asked for twice"):
        choose_ports({"nats": ports["nats"], "search": ports["nats"]}, None, NONE)


def test_unknown_name() -> None:
    """A name that no port has is refused with those that exist."""
    with pytest.raises(EmbeddedError, match=r"no port is called serach: use postgres, .*search"):
        choose_ports({"serach": 20000}, None, NONE)


def test_defaults_are_not_ephemeral() -> None:
    """The default ports are none that this machine lends to outgoing connections."""
    assert not set(Ports().model_dump().values()) & set(ephemeral_ports())
