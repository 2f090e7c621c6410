"""What `winnow up` says of its parts."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from services.cli.failures import FAILED, USAGE

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


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        (["search=80"], "80 is not in the range 1024<=x<=65535"),
        (["search=20000", "search=20001"], "search is given twice"),
        (["search=20000", "ingest=20000"], "20000 is given twice"),
    ],
)
def test_ports_that_cannot_be_are_told_before_anything_is_fetched(
    tmp_path: Path, ports: list[str], told: str
) -> None:
    """Whoever types a wrong port must not wait for the models first, and finds no directory made."""
    wishes = [word for port in ports for word in ("--port", port)]
    models = {"WINNOW_MODELS_DIR": str(tmp_path / "models")}
    command = ["up", "--data-dir", str(tmp_path / "data"), *wishes]
    ended = CliRunner().invoke(winnow, command, env=models)
    assert ended.exit_code == USAGE
    assert told in ended.stderr
    assert os.listdir(tmp_path) == []


_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights that it can do without")
def test_root_without_its_rights_is_told_which(tmp_path: Path) -> None:
    """Root of a container that cannot use what is the servers' account's is told so in one line, with the way out."""

    def go_without() -> None:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)

    data = tmp_path / "data"
    done = subprocess.run(
        [sys.executable, "-m", "services", "up", "--data-dir", str(data)],
        preexec_fn=go_without,
        capture_output=True,
        text=True,
    )
    assert done.returncode == FAILED
    (told,) = done.stderr.splitlines()
    assert told.startswith("winnow: root lacks CAP_DAC_OVERRIDE, ")
    assert told.endswith("or run Winnow as an ordinary user")
    assert not data.exists()
