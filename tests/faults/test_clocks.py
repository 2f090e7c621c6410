"""A clock that is put forward or back moves the time of day, in a process that runs, and nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import PASSWORD, free_port
from tests.faults.clocks import Clock
from tests.servers import PostgresServer

TELL = """
import sys, time
while sys.stdin.readline():
    print(time.time(), time.monotonic(), flush=True)
"""


def test_a_running_process_sees_the_step_and_goes_on_counting(scratch: Path) -> None:
    """The time of day jumps by as much as it is put; the time that intervals are measured with does not."""
    clock = Clock.make(scratch, "one")
    with subprocess.Popen(
        [sys.executable, "-c", TELL],
        env={**os.environ, **clock.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for seconds in (0, 3600.5, -86400.25, 0):
            clock.put(seconds)
            print(file=process.stdin, flush=True)
            day, counted = map(float, process.stdout.readline().split())
            assert day - time.time() == pytest.approx(seconds, abs=60)
            assert counted == pytest.approx(time.monotonic(), abs=60)
        process.stdin.close()


async def test_the_database_sees_the_step(scratch: Path) -> None:
    """Each connection of the server, too, reads the time that it was put to."""
    clock = Clock.make(scratch, "database")
    server = PostgresServer(free_port(), PASSWORD, environment=clock.environment)
    server.start()
    try:
        connection = await asyncpg.connect(f"{server.url}/postgres")
        clock.put(-500)
        told = await connection.fetchval("select extract(epoch from now())::float8")
        await connection.close()
    finally:
        server.stop()
        server.remove()
    assert told - time.time() == pytest.approx(-500, abs=60)
