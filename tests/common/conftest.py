"""A nats-server that tests may kill, freeze and wipe."""

from collections.abc import Iterator

import pytest

from tests.conftest import free_port
from tests.servers import NatsServer


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """A fresh nats-server in the hands of the test."""
    server = NatsServer(free_port())
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
def nats_url(nats: NatsServer) -> str:
    """The same server, for the deployment."""
    return nats.url
