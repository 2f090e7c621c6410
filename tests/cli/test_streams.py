"""Commands whose output goes where few would send it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import run_winnow

NAME = "експорт – ÿ 🙂.jsonl"


def closed(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command by a shell that closes streams, or sends them elsewhere, before."""
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "services"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True)


@contextmanager
def unread() -> Iterator[int]:
    """The end of a pipe whose other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


def test_letters_that_the_output_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output takes only ASCII a person sees `?` for what it lacks, and a program reads what was meant."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    models = tmp_path / NAME
    models.mkdir()
    monkeypatch.setenv("WINNOW_MODELS_DIR", str(models))
    told = run_winnow("import", "jsonl", str(tmp_path / NAME / "x"))
    assert (told.returncode, told.stderr) == (
        4,
        f"winnow: {tmp_path}/??????? ? ? ?.jsonl/x: No such file or directory\n",
    )
    command = ("doctor", "--json", "--data-dir", str(tmp_path / NAME))
    findings = json.loads(run_winnow(*command).stdout)
    assert any(NAME in finding["detail"] for finding in findings)
    assert "???????" in run_winnow(*command[:1], *command[2:]).stdout


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_an_output_that_is_closed(streams: str, tmp_path: Path) -> None:
    """Who closes the output gets none, and the exit code all the same."""
    assert closed(streams, "--help").returncode == 0
    ended = closed(streams, "status", "--data-dir", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "Traceback" not in ended.stderr


def test_an_input_that_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is to be read, a connection takes the number of no standard stream: the event loop refused that."""
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_INGEST_ADDRESS", "127.0.0.1:1")
    status = closed("<&-", "status", "--data-dir", str(tmp_path))
    assert (status.returncode, status.stderr.partition(":")[0]) == (3, "winnow")
    read = closed("<&-", "import", "jsonl", "-")
    assert (read.returncode, "the file is empty" in read.stderr) == (4, True)
    asked = closed("<&-", "erase", "source", "01a22a8d-0000-7000-8000-000000000001")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("search", "--help"), ("models", "list"), ("models", "list", "--json")],
)
def test_an_output_that_nobody_reads_any_more(arguments: tuple[str, ...]) -> None:
    """Who reads the first lines alone, as `head` does, is told of no failure; the code is that of `cat`."""
    command = [sys.executable, "-m", "services", *arguments]
    with unread() as writer:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_refusal_that_nobody_reads() -> None:
    """What is wrong with a command may be read by nobody either."""
    with unread() as writer:
        command = [sys.executable, "-m", "services", "serach"]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True)
    assert (ended.returncode, ended.stdout) == (141, "")


def test_a_full_disk_is_told_in_a_line() -> None:
    """What could not be written is told as such, also where no command has begun."""
    for arguments in (("--help",), ("models", "list")):
        ended = closed(">/dev/full", *arguments)
        assert (ended.returncode, ended.stderr) == (1, "winnow: No space left on device\n")
