"""Exports of Telegram as tests write them, and what is read from them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from services.cli.importers import (
    ImportedItem,
    ImportedMessage,
    ImportFailure,
)
from services.cli.importers.telegram import TelegramExport

SLOW_DISK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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


def write(folder: Path, content: Any) -> TelegramExport:
    """The content as a file to import: bytes as they are, anything else as JSON."""
    file = folder / "result.json"
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False).encode()
    file.write_bytes(content)
    return TelegramExport(file)


def messages(items: Iterable[ImportedItem]) -> list[ImportedMessage]:
    """Only the messages."""
    return [item for item in items if isinstance(item, ImportedMessage)]


def only(folder: Path, one: dict[str, Any]) -> ImportedMessage:
    """The message that an export of one row gives."""
    (message,) = messages(write(folder, chat(one)))
    return message


def drain(export: TelegramExport) -> tuple[list[ImportedItem], ImportFailure | None]:
    """Everything read before the end or the failure."""
    items: list[ImportedItem] = []
    try:
        items.extend(export)
    except ImportFailure as failure:
        return items, failure
    return items, None
