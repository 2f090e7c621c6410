"""A generic import: JSON Lines, one message a line; docs/importing.md says what a line holds.

A line that breaks the rules is skipped and reported with its number and the reason; the others are imported. Fields of
other names are ignored and counted. A file without any line, or in which no line is JSON of this shape, is not what was
meant, and an error.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO

from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    ImportedOrigin,
    ImportSummary,
    SkippedRow,
    UnreadableExport,
    name_of,
)
from services.cli.importers.rows import EARLIEST, LATEST, other_form, whole

LINE_BYTES_MAX = 1 << 20
SHOWN_CHARACTERS = 80
ONE_A_LINE = "this is an array or spread over lines: write one object a line, as `jq -c '.[]'` or `jq -c .` does"
SECONDS_END = 10**11  # the year 5138; what JavaScript calls now is far beyond
FIELDS = frozenset(
    "id text sent_at chat chat_title thread reply_to author author_name is_bot edited_at "
    "forwarded_from forwarded_from_id deleted".split()
)
Line = dict[str, Any]


class BadLine(Exception):
    """A line that is no message; `reason` is one of a few and names the field, `detail` shows what stands there."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class NoZone(ValueError):
    """A time that could be of anywhere."""


class JsonLines:
    """A file of one JSON object a line; iterating reads it from the start and keeps only what its chats are called.

    `zone` is where times are of that name none; without it they are refused. `chat` is the conversation of lines that
    name none; without it they are of one that is called as the file.
    """

    def __init__(self, path: Path, zone: tzinfo | None = None, chat: str = "") -> None:
        self.file, self._zone = path, zone
        self._fallback = chat or _tellable(Path(name_of(path)).stem)
        self.summary = ImportSummary()
        self._bytes_read = 0
        try:
            self.bytes_total = path.stat().st_size
        except (OSError, ValueError) as error:
            raise UnreadableExport(path, getattr(error, "strerror", None) or str(error)) from error

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""
        return self._bytes_read

    def __iter__(self) -> Iterator[ImportedItem]:
        """Chats, messages and skipped lines in file order. Raises UnreadableExport."""
        self.summary, self._bytes_read = ImportSummary(), 0
        try:
            with self.file.open("rb") as stream:
                yield from self._read(stream)
        except OSError as error:
            raise UnreadableExport(self.file, error.strerror or str(error)) from error

    def _read(self, stream: BinaryIO) -> Iterator[ImportedItem]:
        chat: ImportedChat | None = None
        first: SkippedRow | None = None
        titles: dict[str, str] = {}
        for number, data in enumerate(self._lines(stream), start=1):
            if not data.removeprefix(BOM_UTF8).strip():
                continue
            try:
                line = parse_line(data)
                spoken_in = _chat(line, self._fallback, titles)
                message = read_line(line, spoken_in.external_id, self._zone)
            except BadLine as error:
                self.summary.skip(error.reason)
                skipped = SkippedRow(f"line {number}", error.reason, error.detail)
                first = first or skipped
                yield skipped
                continue
            if spoken_in != chat:
                chat = spoken_in
                titles[chat.external_id] = chat.title
                self.summary.chats = len(titles)
                yield chat
            self._count(line)
            yield message
        if not self.summary.messages:
            raise UnreadableExport(self.file, other_form(self.file) or _nothing(first))

    def _count(self, line: Line) -> None:
        self.summary.messages += 1
        for name in sorted(line.keys() - FIELDS):
            self.summary.note(f"field `{_tellable(name[:64])}` ignored")

    def _lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """The lines; of one that is too long only the first LINE_BYTES_MAX + 1 bytes."""
        while data := stream.readline(LINE_BYTES_MAX + 1):
            self._bytes_read += len(data)
            rest = data
            while not rest.endswith(b"\n") and (rest := stream.readline(LINE_BYTES_MAX)):
                self._bytes_read += len(rest)
            yield data


def _tellable(name: str) -> str:
    """A name that can be told: of a field or a file, which may hold halves of characters."""
    return name.encode(errors="replace").decode()


def _nothing(first: SkippedRow | None) -> str:
    """Why a file has no message at all, by its first line."""
    if first is None:
        return "the file is empty"
    why = f"{first.reason}: {first.detail}" if first.detail else first.reason
    return f"no line is a message with `id`, `text` and `sent_at`; {first.place}: {why}"


def parse_line(data: bytes) -> Line:
    """The JSON object of one line. Raises BadLine."""
    if len(data) > LINE_BYTES_MAX:
        raise BadLine(f"longer than {LINE_BYTES_MAX} bytes")
    try:
        line = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadLine("not UTF-8", f"at byte {error.start}") from error
    except RecursionError as error:
        raise BadLine("not JSON", "lists or objects too deep in each other") from error
    except json.JSONDecodeError as error:
        is_spread = data.strip() in (b"[", b"{")
        raise BadLine("not JSON", ONE_A_LINE if is_spread else str(error)) from error
    except ValueError as error:
        raise BadLine("a number has too many digits") from error
    if not isinstance(line, dict):
        raise BadLine("not a JSON object", ONE_A_LINE if isinstance(line, list) else _shown(line))
    return line


def read_line(line: Line, chat_external_id: str, zone: tzinfo | None = None) -> ImportedMessage:
    """The message of a parsed line. Raises BadLine naming the field."""
    deleted = _flag(line, "deleted")
    sent_at = _time(line, "sent_at", zone)
    if sent_at is None:
        raise _missing(line, "sent_at")
    if not deleted and line.get("text") is None:
        raise _missing(line, "text")
    author = _key(line, "author")
    return ImportedMessage(
        chat_external_id=chat_external_id,
        external_id=_required_key(line, "id"),
        thread_id=_key(line, "thread"),
        reply_to_external_id=_key(line, "reply_to"),
        author_external_id=author,
        author_name=_string(line, "author_name") or author,
        author_is_bot=_flag(line, "is_bot"),
        text=_string(line, "text"),
        sent_at=sent_at,
        edited_at=_time(line, "edited_at", zone),
        forwarded_from=_origin(line),
        deleted=deleted,
    )


def _origin(line: Line) -> ImportedOrigin | None:
    number = _key(line, "forwarded_from_id")
    name = _string(line, "forwarded_from") or number
    return ImportedOrigin(number, name) if name else None


def _chat(line: Line, fallback: str, titles: Mapping[str, str]) -> ImportedChat:
    """The chat of a line, called as it or one before it says."""
    name = _key(line, "chat") or fallback
    return ImportedChat(name, _string(line, "chat_title") or titles.get(name, name), "jsonlines")


def _string(line: Line, name: str) -> str:
    value = line.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadLine(f"`{name}` is not text", _shown(value))
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise BadLine(f"`{name}` holds half a character (a lone surrogate)", _shown(value))
    return value


def _key(line: Line, name: str) -> str:
    value = line.get(name)
    if whole(value) and abs(value) < 1 << 63:
        return str(value)
    return _string(line, name)


def _required_key(line: Line, name: str) -> str:
    key = _key(line, name)
    if not key:
        raise _missing(line, name)
    return key


def _missing(line: Line, name: str) -> BadLine:
    others = ", ".join(_tellable(other[:64]) for other, value in line.items() if value is not None)
    return BadLine(
        f"`{name}` is missing", f"there is {others}"[:SHOWN_CHARACTERS] if others else ""
    )


def _shown(value: Any) -> str:
    """The beginning of a JSON value, as it stands in the file."""
    return _tellable(json.dumps(value, ensure_ascii=False))[:SHOWN_CHARACTERS]


def _flag(line: Line, name: str) -> bool:
    value = line.get(name, False)
    if not isinstance(value, bool):
        raise BadLine(f"`{name}` is not true or false", _shown(value))
    return value


def _time(line: Line, name: str, zone: tzinfo | None) -> datetime | None:
    value = line.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and abs(value) >= SECONDS_END:
        raise BadLine(f"`{name}` is not in seconds: are these milliseconds?", _shown(value))
    try:
        time = _parse_time(value, zone)
    except NoZone as error:
        raise BadLine(f"`{name}` names no zone (--timezone NAME does)", _shown(value)) from error
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise BadLine(f"`{name}` is no time with a zone", _shown(value)) from error
    if not EARLIEST <= time < LATEST:
        raise BadLine(f"`{name}` is out of range", _shown(value))
    return time


def _parse_time(value: Any, zone: tzinfo | None) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        if zone is None:
            raise NoZone
        time = time.replace(tzinfo=zone)
    return time.astimezone(UTC)
