"""Exports of Telegram as tests write them, and what is read from them."""

import json
from datetime import tzinfo
from pathlib import Path
from typing import Any

from services.cli.importers import ImportedChat, ImportedMessage
from services.cli.importers.telegram import TelegramExport
from tests.cli.importers.reading import messages


def row(number: int, text: Any = "hello", **fields: Any) -> dict[str, Any]:
    """A message row as the exporter writes it."""
    return {
        "id": number,
        "type": "message",
        "date": "2024-05-01T12:00:00",
        "date_unixtime": "1714557600",
        "from": "Ada",
        "from_id": "user7",
        "text": text,
    } | fields


def chat(*rows: Any, **fields: Any) -> dict[str, Any]:
    """A single-chat export."""
    return {"name": "Team", "type": "private_supergroup", "id": 42} | fields | {"messages": rows}


def write(folder: Path, content: Any, zone: tzinfo | None = None) -> TelegramExport:
    """The content as a file to import: bytes as they are, anything else as JSON."""
    file = folder / "result.json"
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False).encode()
    file.write_bytes(content)
    return TelegramExport(file, zone=zone)


def only(folder: Path, one: dict[str, Any]) -> ImportedMessage:
    """The message that an export of one row gives."""
    (message,) = messages(write(folder, chat(one)))
    return message


def ids(export: TelegramExport) -> list[str]:
    """The ids of the chats and messages of an export, in their order."""
    items = [item for item in export if isinstance(item, ImportedChat | ImportedMessage)]
    chats = {item.external_id for item in items if isinstance(item, ImportedChat)}
    assert chats >= {item.chat_external_id for item in items if isinstance(item, ImportedMessage)}
    return [item.external_id for item in items]
