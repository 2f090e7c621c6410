"""What every command shares: that it says what it waits for, and where it works."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli import options
from services.cli.embedded.paths import DataDirectory
from services.cli.options import Session
from tests.forked import winnow


async def test_a_slow_service_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits learns for what, once a service; who is answered at once is told nothing."""
    monkeypatch.setattr(options, "TOLD_AFTER_SECONDS", 0.01)
    said = io.StringIO()
    session = Session(
        DataDirectory(tmp_path), False, Console(file=io.StringIO()), Console(file=said)
    )
    with session.patience("ingest"):
        pass
    await asyncio.sleep(0.03)
    assert said.getvalue() == ""
    for _ in range(2):
        with session.patience("search"):
            await asyncio.sleep(0.03)
    assert said.getvalue() == "waiting for search …\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--data-dir", ""),
        ("import", "slack", ""),
        ("import", "telegram", ""),
        ("import", "discord", ""),
        ("import", "jsonl", ""),
        ("broker", "users", ""),
    ],
)
def test_a_path_that_is_empty_is_no_place(arguments: tuple[str, ...]) -> None:
    """What a shell makes of a variable that is not set names neither the folder of the moment nor other data."""
    ended = winnow(*arguments)
    assert (ended.returncode, "the path is empty" in ended.stderr) == (2, True)


@pytest.mark.parametrize("command", [("keys", "create", "x"), ("migrate",)])
def test_an_url_that_is_empty_is_no_other_database(command: tuple[str, ...]) -> None:
    """What was meant for a database that a variable names is not done to the one of this machine."""
    ended = winnow(*command, "--database-url", "")
    assert (ended.returncode, "the URL is empty" in ended.stderr) == (2, True)


def test_a_condition_that_is_empty_is_not_left_out() -> None:
    """A search that was to be narrowed does not find everything because a variable is not set."""
    ended = winnow("search", "x", "--where", "")
    assert (ended.returncode, "expected NAME:VALUE" in ended.stderr) == (2, True)
