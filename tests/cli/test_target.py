"""Which deployment a command speaks to, and with what key."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.cli import target, up
from services.cli.embedded.paths import DataDirectory
from services.cli.failures import Failure
from services.cli.options import Session
from services.cli.target import KEY_VARIABLE, Target, find


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
