"""Real servers for the tests: one PostgreSQL a session with a database a test, one nats-server a test."""

import asyncio
import importlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from uuid import UUID, uuid4

# Servers are started from processes that use gRPC, whose handlers of forks can end a new process before it begins.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# Commands keep what they print, as they do where nobody sets this: it hides what becomes of what cannot be written.
os.environ.pop("PYTHONUNBUFFERED", None)

import asyncpg
import grpc
import pytest
from hypothesis import HealthCheck, settings

from services.common import migrations
from services.common.addresses import NAMES
from services.common.auth import SCOPES, mint_key, store_key
from services.common.channels import CHANNEL_OPTIONS
from services.common.service import Service, serving
from tests.servers import nats_server, postgres

pytest_plugins = ["tests.watchdog"]

PASSWORD, TEMPLATE = "test", "template_winnow"
# Who is allowed more than this is likely to need long; what a model computes takes many times as long beside others.
LONG_SECONDS, MODEL_SECONDS = 120, 600

# A shell in the background ignores Ctrl-C, and so would every command that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast an example is says how busy the machine is, not whether the code is right.
settings.register_profile("winnow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("winnow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose tests are allowed the most time, then the larger: a long one at the end runs alone.

    Tests of models are allowed more than others.
    """
    files = Counter(item.path for item in items)
    more = dict.fromkeys(files, 0.0)
    for item in items:
        mark = item.get_closest_marker("timeout")
        more[item.path] += max(0.0, mark.args[0] - LONG_SECONDS) if mark else 0.0
    items.sort(key=lambda item: (-more[item.path], -files[item.path]))
    for item in items:
        if item.get_closest_marker("models") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(MODEL_SECONDS))


def free_port() -> int:
    """A free port below the ephemeral range, and of no other process that runs tests at the same time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 11000 + worker % 3 * 7000
    for number in itertools.islice(_numbers, 7000):
        port = first + (os.getpid() + number) % 7000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port")


# Each port comes up again only after all others, long after the test that had it.
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for the session, its data thrown away at the end."""
    with postgres(free_port(), PASSWORD) as url:
        asyncio.run(_make_template(url))
        yield url


async def _make_template(url: str) -> None:
    connection = await asyncpg.connect(f"{url}/postgres")
    await connection.execute(f"create database {TEMPLATE}")
    await migrations.migrate(f"{url}/{TEMPLATE}")
    await connection.execute(f"alter role winnow_app login password '{PASSWORD}'")
    await connection.close()


@pytest.fixture
def template() -> str:
    """The database that a test gets a copy of; a file whose tests all need the same rows has one of its own."""
    return TEMPLATE


@pytest.fixture
async def database_url(postgres_url: str, template: str) -> AsyncIterator[str]:
    """The owner's URL of a freshly migrated database."""
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    connection = await asyncpg.connect(f"{postgres_url}/postgres")
    await connection.execute(f"create database {name} template {template} strategy file_copy")
    try:
        yield f"{postgres_url}/{name}"
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


@pytest.fixture
async def empty_url(postgres_url: str) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = f"empty_{uuid4().hex}"
    connection = await asyncpg.connect(f"{postgres_url}/postgres")
    await connection.execute(f"create database {name}")
    yield f"{postgres_url}/{name}"
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
def nats_url() -> Iterator[str]:
    """A fresh nats-server with JetStream."""
    with nats_server(free_port()) as url:
        yield url


@dataclass
class Deployment:
    """A deployment of Winnow in this process: its servers, a workspace and a key."""

    workspace: UUID
    api_key: str
    admin: asyncpg.Connection
    addresses: dict[str, str]

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that every call needs."""
        return (("authorization", f"Bearer {self.api_key}"),)

    def address(self, name: str) -> str:
        """Where a service listens."""
        return self.addresses[name]

    @asynccontextmanager
    async def serving(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        """Run a service as it is and open a channel to it."""
        module = importlib.import_module(f"services.{name}.service")
        opened: AbstractAsyncContextManager[Service] = module.open_service()
        async with (
            opened as service,
            serving(service) as address,
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel,
        ):
            # gRPC remembers for a second that nobody listened at an address before
            await channel.channel_ready()
            yield channel

    async def other_workspace(self, name: str = "other") -> tuple[tuple[str, str], ...]:
        """Make another workspace and return the metadata of its key."""
        key = mint_key()
        await store_key(self.admin, name, "test", key, SCOPES)
        return (("authorization", f"Bearer {key.text}"),)


@pytest.fixture
async def deployment(
    database_url: str, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Deployment]:
    """Servers, settings in the environment, a workspace and a key with every scope."""
    for variable in [name for name in os.environ if name.startswith("WINNOW_")]:
        if variable != "WINNOW_MODELS_DIR":
            monkeypatch.delenv(variable)
    login = database_url.replace("postgres:", "winnow_app:", 1)
    monkeypatch.setenv("WINNOW_DATABASE_URL", login)
    monkeypatch.setenv("WINNOW_NATS_URL", nats_url)
    addresses = {name: f"127.0.0.1:{free_port()}" for name in NAMES}
    for name, address in addresses.items():
        monkeypatch.setenv(f"WINNOW_{name.upper()}_ADDRESS", address)
    admin = await asyncpg.connect(database_url)
    key = mint_key()
    workspace = await store_key(admin, "test", "test", key, SCOPES)
    try:
        yield Deployment(workspace, key.text, admin, addresses)
    finally:
        await admin.close()


@contextmanager
def make_scratch() -> Iterator[Path]:
    """A directory that any user may enter, removed at the end."""
    path = Path(mkdtemp(prefix="winnow-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that any user may enter."""
    with make_scratch() as path:
        yield path


@pytest.fixture
def hangups() -> Iterator[None]:
    """What a test starts is ended by SIGHUP, though whoever runs the tests may have that ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def run_winnow(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the `winnow` command and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "services", *arguments], capture_output=True, text=True, **options
    )  # type: ignore[call-overload, no-any-return]
