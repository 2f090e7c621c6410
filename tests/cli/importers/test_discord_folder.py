"""Folders of Discord exports: all channels, whatever lies beside them, and files that are damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.importers import ImportedChat, SkippedRow, Truncated, UnreadableExport
from services.cli.importers.discord import ADVICE, REACTIONS
from services.cli.importers.discord_folder import NO_EXPORT, DiscordFolder, open_discord
from tests.cli.importers.reading import drain, messages
from tests.cli.importers.test_discord import channel, row


def folder(path: Path, **files: Any) -> DiscordFolder:
    """Files to import, by their names without the ending: text as it is, anything else as JSON."""
    for name, content in files.items():
        written = content if isinstance(content, str) else json.dumps(content)
        (path / f"{name}.json").write_text(written)
    opened = open_discord(path)
    assert isinstance(opened, DiscordFolder)
    return opened


def test_every_channel_is_read(tmp_path: Path) -> None:
    """A server is a folder of files; parts of one channel are one chat, and rows left out are found by their file."""
    server = tmp_path / "Server"
    server.mkdir()
    told = row(3, "c", reactions=[{"count": 1}])
    (server / "ops.json").write_text(json.dumps(channel(row(1, "a"), told, id="43", name="ops")))
    joined = row(2, type="GuildMemberJoin")
    read = folder(tmp_path, a=channel(row(1, "a"), joined), b=channel(row(4, "b"), told))
    items, failure = drain(read)
    assert failure is None
    assert [(m.chat_external_id, m.external_id) for m in messages(items)] == [
        ("discord:43", "1"),
        ("discord:43", "3"),
        ("discord:42", "1"),
        ("discord:42", "4"),
        ("discord:42", "3"),
    ]
    assert (read.summary.chats, read.summary.messages) == (2, 5)
    assert read.summary.notes == {REACTIONS: 2}
    assert read.summary.skipped == {"GuildMemberJoin": 1}
    assert SkippedRow("a.json, message 2", "GuildMemberJoin", is_event=True) in items
    assert read.summary.unreadable == 0
    assert read.bytes_read == read.bytes_total > 0


def test_what_is_no_export_is_left_out(tmp_path: Path) -> None:
    """Other files are counted and passed over, those that were attached to messages are not even looked at."""
    media = tmp_path / "a.json_Files"
    media.mkdir()
    (media / "report.json").write_text(json.dumps(channel(row(9))))
    read = folder(tmp_path, a=channel(row(1)), package={"name": "x"}, none="", text="hello")
    items, failure = drain(read)
    assert failure is None
    assert [message.external_id for message in messages(items)] == ["1"]
    assert read.summary.skipped == {NO_EXPORT: 3}
    assert SkippedRow("none.json", NO_EXPORT, "the file is empty") in items


def test_a_damaged_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """What is whole of all files is read, and then the first that is damaged is named."""
    whole = json.dumps(channel(row(1), row(2), id="44"))
    cut = whole[: whole.index('"id": "2"')]
    read = folder(tmp_path, a=cut, b=whole[:30], c=channel(row(5)))
    items, failure = drain(read)
    assert [message.external_id for message in messages(items)] == ["1", "5"]
    assert isinstance(failure, Truncated)
    assert (failure.file, failure.messages_read) == (tmp_path / "a.json", 1)
    assert len([item for item in items if isinstance(item, ImportedChat)]) == 2


def test_a_folder_without_exports(tmp_path: Path) -> None:
    """Whoever names another folder, or exported in another form, learns what is wanted."""
    (tmp_path / "general.html").write_text("<html>")
    with pytest.raises(UnreadableExport) as refused:
        open_discord(tmp_path)
    assert refused.value.reason == f"no .json file is in it; {ADVICE}"
    _, failure = drain(folder(tmp_path, package={"name": "x"}))
    assert isinstance(failure, UnreadableExport)
    assert failure.reason == f"none of its files is an export; {ADVICE}"
