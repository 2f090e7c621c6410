"""Processes and their identities."""

import asyncio
import signal
import sys

import pytest

from services.cli.embedded.process import (
    ProcessIdentity,
    RunningProcess,
    end,
    running,
    spawn,
    until,
)

PARENT = """
import asyncio, signal, sys
from services.cli.embedded.process import spawn

async def main():
    child = await spawn(["/bin/sleep", "60"], {}, account=None, death_signal=signal.SIGKILL, output=2)
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def sleeping() -> asyncio.subprocess.Process:
    """A process that waits to be ended."""
    return await spawn(
        ["/bin/sleep", "60"], {}, account=None, death_signal=signal.SIGKILL, output=2
    )


async def test_identity_outlives_no_process() -> None:
    """An identity is alive with its process only, not with a later one of the same pid."""
    process = await sleeping()
    identity = ProcessIdentity.of(process.pid)
    assert identity
    assert identity.is_alive()
    assert not ProcessIdentity(process.pid, "another time").is_alive()
    process.kill()
    await process.wait()
    assert not identity.is_alive()


async def test_strangers_are_not_signalled() -> None:
    """Ending a process that has long gone leaves the present owner of its pid alone."""
    process = await sleeping()
    assert await end([ProcessIdentity(process.pid, "another time")], signal.SIGKILL, 5) == []
    assert process.returncode is None
    identity = ProcessIdentity.of(process.pid)
    assert identity
    assert await end([identity], signal.SIGTERM, 5) == []
    assert await process.wait() == -signal.SIGTERM


async def test_found_by_name() -> None:
    """A running program is found by its file name, with its arguments."""
    process = await sleeping()
    shown: list[RunningProcess] = []

    async def found() -> bool:
        shown[:] = [other for other in running("sleep") if other.identity.pid == process.pid]
        # For a moment after it has been started, the system shows a program without its arguments.
        return bool(shown) and len(shown[0].arguments) > 1

    await until(found)
    assert shown[0].arguments[:2] == ("/bin/sleep", "60")
    process.kill()
    await process.wait()


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
async def test_children_die_with_their_parent() -> None:
    """When the parent is killed, the kernel ends its children."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    child = ProcessIdentity.of(int(await parent.stdout.readline()))
    assert child
    parent.kill()
    await parent.wait()
    assert await end([child], signal.SIGCONT, 30) == []
