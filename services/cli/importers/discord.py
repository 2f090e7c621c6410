"""Exports of DiscordChatExporter in JSON, one channel or thread a file, streamed in constant memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    ImportSummary,
    SkippedRow,
)
from services.cli.importers.discord_message import PREFIX, check_row, place, read_message
from services.cli.importers.rows import (
    READ_ERRORS,
    NoMessage,
    Row,
    WrongShape,
    failure_of,
    key,
    listed,
    nested,
    string,
)
from services.cli.importers.telegram_json import Event, build_value, json_events, skip_value

CHUNK_BYTES = 1 << 16
ADVICE = "export again as JSON (`--format Json`)"
REACTIONS = "with reactions, which are not kept"


class DiscordExport:
    """A file of one channel; iterating reads it from the start."""

    def __init__(self, path: Path) -> None:
        self.file = path
        self.summary = ImportSummary()
        self._bytes_read = 0
        try:
            self.bytes_total = path.stat().st_size
        except (OSError, ValueError) as error:
            raise failure_of(path, error, 0) from error

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""
        return self._bytes_read

    def __iter__(self) -> Iterator[ImportedItem]:
        """The channel, its messages and skipped rows. Raises UnreadableExport or Truncated."""
        self.summary, self._bytes_read = ImportSummary(), 0
        try:
            with self.file.open("rb") as stream:
                yield from self._read(json_events(self._chunks(stream)))
        except READ_ERRORS as error:
            advice = "" if self.summary.chats else ADVICE
            raise failure_of(self.file, error, self.summary.messages, advice) from error

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        while chunk := stream.read(CHUNK_BYTES):
            self._bytes_read += len(chunk)
            yield chunk

    def _read(self, events: Iterator[Event]) -> Iterator[ImportedItem]:
        """The object of the file: what it says of the channel comes before the messages."""
        if next(events)[0] != "start_map":
            raise WrongShape("not a DiscordChatExporter export: the file is no JSON object")
        header: Row = {}
        for kind, name in events:
            if kind == "end_map":
                break
            first = next(events)
            if name == "messages" and first[0] == "start_array":
                yield from self._read_channel(header, events)
            elif name in ("guild", "channel"):
                header[name] = build_value(events, first)
            else:
                skip_value(events, first)
        for _ in events:  # nothing may follow, and only reading to the end finds out
            continue
        if not self.summary.chats:
            raise WrongShape("not a DiscordChatExporter export: it has no `messages`")

    def _read_channel(self, header: Row, events: Iterator[Event]) -> Iterator[ImportedItem]:
        channel = nested(header, "channel")
        number = key(channel, "id")
        if not number:
            raise WrongShape("not a DiscordChatExporter export: no `channel.id` before `messages`")
        self.summary.chats += 1
        yield ImportedChat(PREFIX + number, _title(header), string(channel, "type"))
        for first in events:
            if first[0] == "end_array":
                return
            yield self._row(build_value(events, first), number)

    def _row(self, row: object, channel: str) -> ImportedMessage | SkippedRow:
        try:
            checked = check_row(row)
            message = read_message(checked, channel)
        except NoMessage as error:
            self.summary.skip(error.reason, is_event=error.is_event)
            return SkippedRow(place(row), error.reason, error.detail, is_event=error.is_event)
        self.summary.messages += 1
        if listed(checked, "reactions"):
            self.summary.note(REACTIONS)
        return message


def _title(header: Row) -> str:
    """`server / channel`; a thread is `server / channel / thread`, its channel being its category."""
    channel = nested(header, "channel")
    parent = string(channel, "category") if string(channel, "type").endswith("Thread") else ""
    names = (string(nested(header, "guild"), "name"), parent, string(channel, "name"))
    return " / ".join(name for name in names if name)
