"""Who takes the wrong command for a file is told the right one."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from services.cli.failures import BAD_INPUT
from tests.forked import winnow


def slack() -> bytes:
    """An export of Slack."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("users.json", "channels.json", "general/2024-01-01.json"):
            archive.writestr(name, "[]")
    return packed.getvalue()


FILES = {
    "telegram": json.dumps(
        {"name": "x", "type": "private_group", "id": 1, "messages": []}, indent=1
    ).encode(),
    "discord": json.dumps(
        {"guild": {"id": "1"}, "channel": {"id": "5"}, "messages": []}, indent=2
    ).encode(),
    "jsonl": b'{"id": 1, "text": "hi", "sent_at": 1700000000}\n' * 3,
    "slack": slack(),
}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that no call reaches: none is made."""
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_INGEST_ADDRESS", "127.0.0.1:1")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("given", FILES)
def test_another_command_is_named(given: str, kind: str, tmp_path: Path) -> None:
    """Whatever is given to the command of another format, the one that reads it is told, and only then."""
    file = tmp_path / "export"
    file.write_bytes(FILES[kind])
    ended = winnow("import", given, str(file))
    told = f"`winnow import {kind}` reads it"
    assert (told in ended.stderr) == (kind != given)
    if kind != given:
        assert (ended.returncode, ended.stderr.count("\n")) == (BAD_INPUT, 1)


def test_an_unpacked_export_is_known_by_its_files(tmp_path: Path) -> None:
    """The folder of Slack's or Telegram's export is known, too; one of anything else is told as before."""
    (tmp_path / "result.json").write_bytes(FILES["discord"])
    assert "`winnow import telegram` reads it" in winnow("import", "slack", str(tmp_path)).stderr
    (tmp_path / "result.json").rename(tmp_path / "notes")
    assert "not a Slack export" in winnow("import", "slack", str(tmp_path)).stderr
    for name in ("users.json", "channels.json"):
        (tmp_path / name).write_text("[]")
    assert "`winnow import slack` reads it" in winnow("import", "telegram", str(tmp_path)).stderr


@pytest.mark.parametrize("given", FILES)
def test_a_file_that_is_nested_too_deep_is_told(given: str, tmp_path: Path) -> None:
    """No command may end with a traceback for a file whose brackets nobody could read."""
    file = tmp_path / "deep"
    file.write_bytes(b"[" * 100_000)
    ended = winnow("import", given, str(file))
    assert (ended.returncode, ended.stderr.count("\n")) == (BAD_INPUT, 1)
