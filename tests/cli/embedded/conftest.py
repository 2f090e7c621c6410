"""A data directory, ports and a record of events for tests that run the real servers."""

import asyncio
import json
import os
import pwd
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import Ports, is_free
from services.cli.embedded.process import Account, running
from services.cli.embedded.runtime import EmbeddedRuntime
from services.cli.embedded.supervisor import Event, State

ROOT = Path(__file__).resolve().parents[3]
# What others write while it is copied, too.
UNNEEDED = (
    *(
        "test",
        "idlelib",
        "tkinter",
        "ensurepip",
        "config-*",
        "lib2to3",
        ".git",
        ".*_cache",
        ".venv",
    ),
    *(".hypothesis", "*.pyc.*"),
)
UP = """
import asyncio, contextlib, json, signal, sys
from pathlib import Path
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.runtime import EmbeddedRuntime, cancelled_by

async def main():
    data, ports = DataDirectory(Path(sys.argv[1])), json.loads(sys.argv[2])
    with cancelled_by(signal.SIGTERM):
        async with EmbeddedRuntime.open(data, ports=ports) as runtime:
            print("up", flush=True)
            await runtime.supervise()

with contextlib.suppress(asyncio.CancelledError):
    asyncio.run(main())
"""


class Events:
    """Every event so far, and a way to wait for one more."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self._more = asyncio.Event()

    def __call__(self, event: Event) -> None:
        """Note an event."""
        self.seen.append(event)
        self._more.set()

    def count(self, child: str, state: State) -> int:
        """How often this happened to a child."""
        return sum((event.child, event.state) == (child, state) for event in self.seen)

    async def happened(self, child: str, state: State, times: int) -> None:
        """Wait until this has happened so often."""
        while self.count(child, state) < times:
            self._more.clear()
            await self._more.wait()

    async def is_last(self, child: str, state: State) -> None:
        """Wait until this is the last that has happened to a child."""
        while [event.state for event in self.seen if event.child == child][-1] != state:
            self._more.clear()
            await self._more.wait()


@pytest.fixture
def events() -> Events:
    """An empty record of events."""
    return Events()


@contextmanager
def folder_for_data() -> Iterator[Path]:
    """A directory that any user may enter, in memory where there is room: tests make many clusters."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    path = Path(mkdtemp(prefix="winnow-test-", dir=memory if roomy else None))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def home() -> Iterator[Path]:
    """The directory in which a test's data directory will be."""
    with folder_for_data() as path:
        yield path


@pytest.fixture
def data(home: Path) -> DataDirectory:
    """A data directory that does not exist yet."""
    return DataDirectory(home / "data")


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A data directory after a first start and a clean stop."""
    with folder_for_data() as folder:
        asyncio.run(_start_and_stop(DataDirectory(folder / "data")))
        yield folder / "data"


async def _start_and_stop(data: DataDirectory) -> None:
    async with EmbeddedRuntime.open(data, ports=free_ports()):
        pass


@pytest.fixture
def made(template: Path, home: Path) -> DataDirectory:
    """A data directory that has been used before."""
    subprocess.run(["cp", "-a", template, home / "data"], check=True)
    return DataDirectory(home / "data")


@pytest.fixture
def ports() -> dict[str, int]:
    """A free port for each name."""
    return free_ports()


def free_ports() -> dict[str, int]:
    """Choose a free port for each name."""
    free = filter(is_free, random.sample(range(10_000, 30_000), 1000))
    return dict(zip(Ports.model_fields, free, strict=False))


def servers_of(data: DataDirectory) -> list[int]:
    """The pids of the servers that run on a data directory."""
    home = str(data.path)
    return [
        process.identity.pid
        for program in ("postgres", "nats-server")
        for process in running(program)
        if str(process.directory).startswith(home) or home in " ".join(process.arguments)
    ]


@asynccontextmanager
async def up(
    data: DataDirectory, ports: dict[str, int], python: str = sys.executable, **options: object
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the servers in a process of their own, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(python, "-c", UP, str(data.path), json.dumps(ports)),
        stdout=asyncio.subprocess.PIPE,
        **{"cwd": ROOT, **options},  # type: ignore[arg-type]
    )
    assert process.stdout
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_up(process: asyncio.subprocess.Process) -> bool:
    """Wait for the word of a process that its servers are up."""
    assert process.stdout
    return await process.stdout.readline() == b"up\n"


@pytest.fixture
def ordinary_user() -> Account | None:
    """A user without privileges: another one when we are root, else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    entry = next(entry for entry in pwd.getpwall() if 0 < entry.pw_uid < 1000)
    return Account(entry.pw_uid, entry.pw_gid)


@pytest.fixture
def readable(scratch: Path, ordinary_user: Account | None) -> Callable[[Path], Path]:
    """Return a path of the same tree that the ordinary user can read: itself, or links to its files."""

    def publish(tree: Path) -> Path:
        if _can_read(tree, ordinary_user):
            return tree
        if tree == Path(sys.base_prefix):
            return _publish_interpreter(tree, scratch / "python")
        target = scratch / tree.name
        ignored = shutil.ignore_patterns(*UNNEEDED)
        shutil.copytree(tree, target, symlinks=True, copy_function=_link, ignore=ignored)
        return target

    return publish


def _publish_interpreter(prefix: Path, target: Path) -> Path:
    """Link what an interpreter needs to run: itself, its library and the standard library."""
    library = Path(os.__file__).parent.relative_to(prefix)
    program = Path(os.path.realpath(sys.executable)).relative_to(prefix)
    for file in [program, *(path.relative_to(prefix) for path in prefix.glob("lib/libpython*"))]:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        _link(str(prefix / file), str(target / file))
    ignored = shutil.ignore_patterns("site-packages", *UNNEEDED)
    shutil.copytree(prefix / library, target / library, copy_function=_link, ignore=ignored)
    return target


def _can_read(tree: Path, account: Account | None) -> bool:
    if account is None:
        return True
    listing = ["ls", str(tree)]
    who = {"user": account.uid, "group": account.gid, "extra_groups": []}
    return subprocess.run(listing, capture_output=True, **who).returncode == 0  # type: ignore[call-overload, no-any-return]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
