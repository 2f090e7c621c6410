"""Ctrl-C while the command is still being loaded."""

import subprocess
import sys

import pytest

INTERRUPTED_AT = """
import importlib.abc, os, signal, sys

class Interrupted(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

from services.__main__ import main

sys.meta_path.insert(0, Interrupted())
sys.argv = ["winnow", *{arguments!r}]
{before}
main()
"""


def interrupted(module: str, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command that gets SIGINT when it imports a module."""
    program = INTERRUPTED_AT.format(module=module, arguments=arguments, before=before)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.mark.parametrize("module", ["click", "services.cli.app", "grpc", "services.cli.status"])
def test_an_interruption_before_the_command_begins(module: str) -> None:
    """Whatever is being imported, Ctrl-C ends it quietly, with the code of an interruption."""
    ended = interrupted(module, "status")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "winnow: interrupted\n")


def test_who_has_interruptions_ignored_has_them_ignored() -> None:
    """A shell that starts a command in the background has it ignore Ctrl-C, which is meant for another."""
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    ended = interrupted("services.cli.status", "status", "--help", before=ignoring)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "winnow status" in ended.stdout
