"""What an export is by its looks, so that who takes the command of another is told the right one."""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.importers import UnreadableExport

LOOKED_AT_BYTES = 1 << 16
_SLACK = {"users.json", "channels.json"}
_NAMES = {
    "telegram": "an export of Telegram Desktop",
    "slack": "an export of Slack",
    "discord": "an export of DiscordChatExporter",
    "jsonl": "JSON Lines",
}
_DISCORD = re.compile(rb'\{\s*"guild"\s*:')
_CHAT = rb"(?:personal|bot)_chat|saved_messages|(?:private|public)_(?:group|supergroup|channel)"
_TELEGRAM = re.compile(rb'"type"\s*:\s*"(?:' + _CHAT + rb')"|\{\s*"about"\s*:|"left_chats"\s*:')


@contextmanager
def of_another_kind(command: str, path: Path) -> Iterator[None]:
    """Have UnreadableExport say which command reads a file, if that plainly is another."""
    try:
        yield
    except UnreadableExport as error:
        found = _kind(path)
        if found in ("", command):
            raise
        reason = f"this looks like {_NAMES[found]}: `winnow import {found}` reads it"
        raise UnreadableExport(path, reason) from error


def _kind(path: Path) -> str:
    """The command for a file or folder; empty if its looks tell none, or it can be read only once."""
    try:
        if path.is_dir():
            return _of_names({each.name for each in path.iterdir()})
        if not path.is_file():
            return ""
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _of_names({Path(name).name for name in archive.namelist()})
        with path.open("rb") as stream:
            return _of_text(stream.read(LOOKED_AT_BYTES))
    except (OSError, zipfile.BadZipFile):
        return ""


def _of_names(names: set[str]) -> str:
    if names >= _SLACK:
        return "slack"
    return "telegram" if "result.json" in names else ""


def _of_text(head: bytes) -> str:
    if _DISCORD.match(head.lstrip()):
        return "discord"
    if _TELEGRAM.search(head):
        return "telegram"
    try:
        line = json.loads(head.lstrip().partition(b"\n")[0])
    except (ValueError, RecursionError):
        return ""
    return "jsonl" if isinstance(line, dict) and line.keys() >= {"id", "text"} else ""
