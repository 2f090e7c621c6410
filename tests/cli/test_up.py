"""What `winnow up` says of its parts."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

TOLD_TWICE = """
import sys
from services.cli.embedded.supervisor import Event, State
from services.cli.terminal import open_console
from services.cli.up import announce

tell = announce(open_console(sys.stderr, is_error=True), quiet=False)
tell(Event("search", State.DIED))
tell(Event("search", State.READY))
"""


@pytest.mark.parametrize("channel", [os.pipe, os.openpty])
def test_nobody_need_read_it(channel: Callable[[], tuple[int, int]]) -> None:
    """A reader of the events that ends, and a terminal that is closed, are no reason to stop what runs."""
    reader, writer = channel()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", TOLD_TWICE], stderr=writer)
    os.close(writer)
    assert done.returncode == 0
