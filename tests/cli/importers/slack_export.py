"""Exports of Slack as tests write them, and what is read from them."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.cli.importers import (
    ImportedMessage,
)
from services.cli.importers.slack import SlackExport
from tests.cli.importers.reading import messages

DAY = "general/2024-05-01.json"
USERS = [
    {"id": "U1", "name": "ada", "real_name": "Ada L", "profile": {"display_name": "Ada"}},
    {"id": "U2", "name": "grace", "real_name": "Grace H", "profile": {"display_name": ""}},
    {"id": "U3", "name": "ci", "is_bot": True, "profile": {"real_name": "CI"}},
]
CHANNELS = [{"id": "C1", "name": "general"}, {"id": "C2", "name": "ops"}]


def row(seconds: int, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A message row as Slack writes it."""
    return {"type": "message", "user": "U1", "ts": f"{seconds}.000100", "text": text} | fields


def export(*rows: Any, **files: Any) -> dict[str, Any]:
    """The files of an export of one channel and one day."""
    return {"users.json": USERS, "channels.json": CHANNELS, DAY: list(rows)} | files


def as_bytes(content: Any) -> bytes:
    """Bytes as they are, anything else as JSON."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def unpacked(folder: Path, files: Mapping[str, Any]) -> SlackExport:
    """The files as a folder to import."""
    for name, content in files.items():
        path = folder / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(content))
    return SlackExport(folder / "export")


def zipped(folder: Path, files: Mapping[str, Any]) -> SlackExport:
    """The files as a zip to import."""
    with zipfile.ZipFile(folder / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, as_bytes(content))
    return SlackExport(folder / "export.zip")


def only(folder: Path, one: dict[str, Any]) -> ImportedMessage:
    """The message that an export of one row gives."""
    (message,) = messages(unpacked(folder, export(one)))
    return message


def rich(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    """Blocks as people's messages have them."""
    return [{"type": "rich_text", "elements": list(elements)}]


def section(*elements: dict[str, Any]) -> dict[str, Any]:
    """A line of such a block."""
    return {"type": "rich_text_section", "elements": list(elements)}


def spoken(text: str, **style: bool) -> dict[str, Any]:
    """Words of such a line."""
    return {"type": "text", "text": text, "style": style}
