"""A terminal of its own for a command that draws until Ctrl-C."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROWS, COLUMNS = 30, 120
INTERRUPTED = 130


def watched(
    command: Sequence[str], environment: dict[str, str], until: bytes, folder: Path | None = None
) -> bytes:
    """Run a command on a terminal until it shows something, press Ctrl-C, and return all it drew; it ends with 130."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
        env={**environment, "TERM": "xterm"}, cwd=folder,
    )  # fmt: skip
    os.close(follower)
    drawn = _read_until(leader, until)
    os.killpg(process.pid, signal.SIGINT)
    drawn += _read_until(leader, b"interrupted")
    assert process.wait(60) == INTERRUPTED
    os.close(leader)
    return drawn


def _read_until(leader: int, wanted: bytes, seconds: float = 100) -> bytes:
    shown, end = b"", time.monotonic() + seconds
    while wanted not in shown:
        assert time.monotonic() < end, shown
        if select.select([leader], [], [], 0.2)[0]:
            shown += os.read(leader, 65536)
    return shown


@contextmanager
def own_terminal(
    command: Sequence[str], folder: Path, environment: dict[str, str] | None = None
) -> Iterator[tuple["subprocess.Popen[bytes]", Callable[[], None]]]:
    """Run a command that controls a terminal, with what closes that; killed at the end."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _CONTROLLING, *command], cwd=folder, env=environment,
        stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    with ExitStack() as closing:
        closing.callback(os.close, leader)
        try:
            yield process, closing.close
        finally:
            process.kill()
            process.wait()


_CONTROLLING = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
