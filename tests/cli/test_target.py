"""Which deployment a command speaks to, and with what key."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.cli import keys, target, up
from services.cli.embedded.paths import DataDirectory
from services.cli.failures import Failure
from services.cli.options import Session
from services.cli.target import KEY_VARIABLE, Target, find
from tests.forked import winnow


def test_a_key_is_shown_only_to_those_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a directory's services do not run, others that listen in their place must not get its key."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-key").write_text("its own\n")
    with pytest.raises(Failure, match=f"nothing runs on {tmp_path}") as stopped:
        find(DataDirectory(tmp_path))
    assert stopped.value.exit_code == 3
    monkeypatch.setenv("WINNOW_SEARCH_ADDRESS", "127.0.0.1:9")
    assert find(DataDirectory(tmp_path)).api_key == "its own"
    monkeypatch.setenv(KEY_VARIABLE, "given")
    assert find(DataDirectory(tmp_path)).api_key == "given"


async def test_a_key_is_shown_only_where_somebody_said_that_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address that is named says nothing of the other three: who listens there by default gets no key."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-key").write_text("its own\n")
    monkeypatch.setenv("WINNOW_SEARCH_ADDRESS", "127.0.0.1:9")
    found = find(DataDirectory(tmp_path))
    async with found.channel("search"):
        pass
    with pytest.raises(Failure, match="set WINNOW_INGEST_ADDRESS") as stopped:
        async with found.channel("ingest"):
            pass
    assert stopped.value.exit_code == 3
    monkeypatch.setenv(KEY_VARIABLE, "given")
    async with find(DataDirectory(tmp_path)).channel("ingest"):
        pass


def test_the_environment_names_the_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a directory of their own need not name it to every command; the option still counts first."""
    monkeypatch.setenv("WINNOW_DATA_DIR", str(tmp_path / "mine"))
    assert target.data_directory(None).path == tmp_path / "mine"
    assert target.data_directory(tmp_path / "other").path == tmp_path / "other"
    monkeypatch.setenv("WINNOW_DATA_DIR", "")
    assert target.data_directory(None) == DataDirectory.default().resolved()


@pytest.mark.parametrize(
    ("command", "name", "shown"),
    [
        ("status", "~nobody-of-this-name/winnow", "~nobody-of-this-name"),
        ("status", "circle/winnow", "circle"),
        ("up", "data\udcff", "data\ufffd"),
    ],
)
def test_a_directory_that_leads_nowhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, name: str, shown: str
) -> None:
    """A home that nobody has, links in a circle or a name in no letters are told in a line before anything is made."""
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    ended = winnow(command, "--data-dir", name)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert shown in ended.stderr
    assert os.listdir() == ["circle"]


@pytest.mark.parametrize("key", ["ключ", "wk_a\nb", "wk_\x00", " ", "\udcff"])
def test_what_is_no_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A key that no call can carry is told by where it stands; the end of a line after a good one is no part of it."""
    (tmp_path / "secrets").mkdir()
    file = tmp_path / "secrets" / "api-key"
    file.write_bytes(os.fsencode(key))
    monkeypatch.setenv("WINNOW_INGEST_ADDRESS", "127.0.0.1:9")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(Failure, match=str(file)) as stopped:
        find(DataDirectory(tmp_path))
    assert stopped.value.exit_code == 2
    if "\0" not in key:
        monkeypatch.setenv(KEY_VARIABLE, key)
        with pytest.raises(Failure, match=KEY_VARIABLE):
            find(DataDirectory(tmp_path))
    monkeypatch.setenv(KEY_VARIABLE, "wk_a.b\r\n")
    assert find(DataDirectory(tmp_path)).api_key == "wk_a.b"


@pytest.mark.parametrize("is_default", [True, False])
def test_the_next_step_that_is_told_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_default: bool
) -> None:
    """Commands find another directory than the default one only if they are told it."""
    data = DataDirectory(tmp_path / "of winnow")
    default = data if is_default else DataDirectory(tmp_path)
    monkeypatch.setattr(target.DataDirectory, "default", lambda: default)
    said = io.StringIO()
    session = Session(data, False, Console(file=said, width=400), Console(file=io.StringIO()))
    running: Any = type("Running", (), {"target": Target({}, "key")})
    up._introduce(session, running)
    option = f" --data-dir '{data.path}'"
    assert (option in said.getvalue().splitlines()[-1]) is not is_default
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    start = f"start it with `winnow up{'' if is_default else option}`"
    with pytest.raises(Failure) as stopped:
        find(data)
    assert start in str(stopped.value)
    with pytest.raises(Failure) as stopped:
        keys._embedded(data)
    assert start in str(stopped.value)
