"""What readers of JSON rows share: fields of a known type, times, and why a row is no message."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

from services.cli.importers import ImportFailure, Truncated, UnreadableExport
from services.cli.importers.telegram_json import BrokenJson, Event, ValueTooLarge, build_value
from services.cli.values import counted

Row = dict[str, Any]
_COMPRESSED = "the file is compressed: unpack it first"
_UTF_16 = "the file is UTF-16, as PowerShell writes: save it as UTF-8"
# What zip, gzip, xz, 7-Zip, bzip2 and Zstandard begin with.
_PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ", b"7z\xbc\xaf", b"BZh", b"\x28\xb5\x2f\xfd")
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class NoMessage(Exception):
    """The row is no message: `reason` is counted, `detail` is shown; `is_event` tells that nobody said it."""

    def __init__(self, reason: str, detail: str = "", *, is_event: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.is_event = is_event


class WrongShape(Exception):
    """The JSON is well formed and yet not what the file should hold; its text says why."""


def whole(value: object) -> TypeGuard[int]:
    """Whether a JSON value is a whole number; Python counts true and false among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def string(row: Row, name: str) -> str:
    """The text of a field; empty if it is absent or something else."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def nested(row: Row, name: str) -> Row:
    """The object of a field; empty if it is absent or something else."""
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def listed(row: Row, name: str) -> list[Row]:
    """The objects in the array of a field; whatever else it holds is left out."""
    value = row.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def key(row: Row, name: str) -> str:
    """The id in a field, a text or a whole number; empty if it is absent or something else."""
    value = row.get(name)
    return str(value) if whole(value) else value if isinstance(value, str) else ""


def size(row: Row, name: str) -> int:
    """A count of bytes; 0 if it is absent or impossible."""
    value = row.get(name)
    return value if whole(value) and 0 <= value < 1 << 63 else 0


def within_range(time: datetime) -> datetime | None:
    """The time in UTC, or None if it lies outside of what ingest accepts."""
    return time.astimezone(UTC) if EARLIEST <= time < LATEST else None


def array_items(events: Iterator[Event]) -> Iterator[Any]:
    """The values of a file that is one JSON array, one by one. Raises WrongShape."""
    if next(events)[0] != "start_array":
        raise WrongShape("the file is no JSON array")
    for first in events:
        if first[0] == "end_array":
            break
        yield build_value(events, first)
    for _ in events:  # nothing may follow, and only reading to the end finds out
        continue


def other_form(file: Path) -> str:
    """What is to be done with a file that plainly is no text in UTF-8; empty for text, and for what is no file."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        head = stream.read(6)
    if head.startswith(_PACKED):
        return _COMPRESSED
    half_zero = len(head) > 1 and (head[0] == 0) != (head[1] == 0)
    return _UTF_16 if half_zero or head.startswith((b"\xff\xfe", b"\xfe\xff")) else ""


READ_ERRORS = (BrokenJson, ValueTooLarge, WrongShape, OSError)


def failure_of(file: Path, error: Exception, messages_read: int, advice: str = "") -> ImportFailure:
    """One of READ_ERRORS as what a user is told; `advice` helps with a file of which nothing could be read."""
    if isinstance(error, BrokenJson) and error.is_blank:
        return UnreadableExport(file, "the file is empty")
    if isinstance(error, BrokenJson) and error.at_end:
        return Truncated(file, error.last_byte, messages_read)
    if isinstance(error, BrokenJson):
        return UnreadableExport(file, other_form(file) or _place(error, messages_read, advice))
    if isinstance(error, ValueTooLarge):
        told = "one value is too large for a message"
        return UnreadableExport(file, f"{told}; {_read(messages_read)}" if messages_read else told)
    return UnreadableExport(file, getattr(error, "strerror", None) or str(error))


def _place(error: BrokenJson, messages_read: int, advice: str) -> str:
    """Where a file cannot be read any further."""
    if advice:
        return f"{error}; {advice}"
    near = f", near `{error.near}`" if error.near else ""
    return f"{error}{near}; {_read(messages_read)}"


def _read(messages: int) -> str:
    return f"{counted(messages, 'whole message was', 'whole messages were')} read"
