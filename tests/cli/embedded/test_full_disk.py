"""The embedded servers on a disk of their own that runs full: a file system in memory, which root alone can mount."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import nats
import pytest
from nats.js.errors import ServiceUnavailableError

from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.runtime import EmbeddedRuntime
from services.cli.embedded.supervisor import State
from tests.cli.embedded.conftest import Events

MEGABYTES = 300
REFUSED = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
# Random, so that nothing packs it into less.
NOTE = """insert into note
  select $1, string_agg(gen_random_uuid()::text, '') from generate_series(1, 4000)"""


@pytest.fixture
def disk(home: Path) -> Iterator[Path]:
    """A small disk, mounted."""
    place = home / "disk"
    place.mkdir()
    options = f"size={MEGABYTES}m,mode=755"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "winnow-test", str(place)]
    if subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(ballast: Path, leaving: int = 0) -> None:
    """Take all room that is left but for some megabytes."""
    found = os.statvfs(ballast.parent)
    taken = found.f_bavail * found.f_frsize - (leaving << 20)
    if taken > 0:
        with ballast.open("ab") as file:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, taken)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database, which may die."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def note_until_full(url: str) -> int:
    """Note numbers until nothing more is taken; how many were acknowledged."""
    noted = 0
    async with connected(url) as connection:
        await connection.execute("create table note (n bigint primary key, text text)")
        with suppress(*REFUSED):
            while True:
                await connection.execute(NOTE, noted)
                noted += 1
    return noted


async def publish(url: str) -> int:
    """Publish until nothing more is stored, or a hundred messages; how many were acknowledged."""
    client = await nats.connect(url)
    stored = 0
    with suppress(nats.errors.TimeoutError, ServiceUnavailableError):
        await client.jetstream().add_stream(name="kept", subjects=["kept"])
        while stored < 100:
            await client.jetstream().publish("kept", bytes(100_000), timeout=2)
            stored += 1
    await client.close()
    return stored


@pytest.mark.timeout(200)
async def test_servers_go_on_once_a_full_disk_has_room(disk: Path, events: Events) -> None:
    """PostgreSQL that ends for its full disk is started again without an end, keeps what it said, and NATS stores."""
    data, ballast = DataDirectory(disk / "data", free_bytes_min=0), disk / "ballast"
    async with EmbeddedRuntime.open(data, on_event=events) as runtime:
        assert await publish(runtime.nats_url) == 100
        fill(ballast, leaving=20)
        noted = await note_until_full(runtime.admin_database_url)
        fill(ballast)
        await events.happened("postgres", State.DIED, 1)
        assert await publish(runtime.nats_url) < 100
        await events.happened("disk", State.FULL, 1)
        ballast.unlink()
        await events.happened("disk", State.ROOM, 1)
        await events.happened("nats", State.RENEWED, 1)
        await events.is_last("nats", State.READY)
        await events.is_last("postgres", State.READY)
        async with connected(runtime.admin_database_url) as connection:
            kept = await connection.fetch("select n from note where n < $1", noted)
            assert len(kept) == noted
            await connection.execute("insert into note values (-1)")
        assert await publish(runtime.nats_url) == 100
    died = next(event for event in events.seen if event.state is State.DIED)
    assert "MiB free, 64 MiB are needed; starting again once it has" in died.detail
