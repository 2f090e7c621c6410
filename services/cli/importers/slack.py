"""Slack exports, zipped or unpacked, streamed a day at a time in constant memory."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    ImportFailure,
    ImportSummary,
    SkippedRow,
    UnreadableExport,
)
from services.cli.importers.rows import (
    READ_ERRORS,
    NoMessage,
    Row,
    array_items,
    failure_of,
    key,
    string,
)
from services.cli.importers.slack_files import Files, Layout, layout, open_files
from services.cli.importers.slack_message import (
    KEY_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    PREFIX,
    Directory,
    check_row,
    place,
    read_message,
)
from services.cli.importers.telegram_json import json_events

UNLISTED = "channel is in no list, its folder stands for its id"
BROKEN_DAY = "file cannot be read to its end"
# The people and channels that are kept in memory: a small archive may unpack to any number of them.
KNOWN_MAX = 1_000_000
_KINDS = {
    "channels.json": "channel",
    "groups.json": "group",
    "mpims.json": "mpim",
    "dms.json": "dm",
}


class SlackExport:
    """A Slack export; iterating reads it from the start, channel by channel and day by day.

    A day that is damaged is read as far as it is whole and the others are still imported; the
    failure is raised at the end.
    """

    def __init__(self, path: Path) -> None:
        self.file = path
        self.summary = ImportSummary()
        self._bytes_read = 0
        with self._opened() as files:
            self._layout = self._find(files)
        self.bytes_total = self._layout.bytes_total

    @property
    def bytes_read(self) -> int:
        """How far the files have been read, in unpacked bytes."""
        return min(self._bytes_read, self.bytes_total)

    def __iter__(self) -> Iterator[ImportedItem]:
        """Chats, messages and skipped rows. Raises UnreadableExport or Truncated."""
        self.summary, self._bytes_read = ImportSummary(), 0
        with self._opened() as files:
            self._layout = self._find(files)
            yield from self._read(files)

    def _read(self, files: Files) -> Iterator[ImportedItem]:
        directory, chats = self._read_indexes(files)
        failure: ImportFailure | None = None
        for folder, days in self._layout.days.items():
            chat = chats.get(_composed(folder)) or self._unlisted(folder)
            self.summary.chats += 1
            yield chat
            for day in days:
                try:
                    yield from self._read_day(files, day, chat.external_id, directory)
                except ImportFailure as error:
                    failure = failure or error
                    yield self._skip(day, BROKEN_DAY, str(error))
        if failure is not None:
            raise failure

    @contextmanager
    def _opened(self) -> Iterator[Files]:
        try:
            with open_files(self.file) as files:
                yield files
        except OSError as error:
            raise failure_of(self.file, error, self.summary.messages) from error

    def _find(self, files: Files) -> Layout:
        found = layout(files.sizes())
        if found is None:
            reason = (
                "not a Slack export: it has neither users.json, channels.json nor a file per day"
            )
            raise UnreadableExport(self.file, reason)
        return found

    def _rows(self, files: Files, name: str) -> Iterator[object]:
        """The rows of one file. Raises ImportFailure."""
        try:
            yield from array_items(json_events(self._counted(files.chunks(name))))
        except READ_ERRORS as error:
            raise failure_of(self.file / name, error, self.summary.messages) from error

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._bytes_read += len(chunk)
            yield chunk

    def _read_indexes(self, files: Files) -> tuple[Directory, dict[str, ImportedChat]]:
        """Names by id, and the chats by their folders."""
        directory = Directory()
        chats: dict[str, ImportedChat] = {}
        for index, name in sorted(
            self._layout.indexes.items(), key=lambda each: each[0] != "users.json"
        ):
            for row in self._rows(files, name):
                if not isinstance(row, dict) or len(key(row, "id")) > KEY_CHARACTERS_MAX:
                    continue
                if len(directory.people) + len(directory.channels) >= KNOWN_MAX:
                    reason = f"more than {KNOWN_MAX:,} people and channels"
                    raise UnreadableExport(self.file / name, reason)
                if index == "users.json":
                    directory.add_person(row)
                elif number := key(row, "id"):
                    chat = _chat(row, number, index, directory)
                    folder = string(row, "name")[:NAME_CHARACTERS_MAX] or number
                    chats[_composed(folder)] = chats[number] = chat
                    directory.channels[number] = chat.title
        return directory, chats

    def _unlisted(self, folder: str) -> ImportedChat:
        self.summary.note(UNLISTED)
        name = folder.encode(errors="replace").decode()  # a folder's name need not be UTF-8
        return ImportedChat(PREFIX + name, name, "channel")

    def _read_day(
        self, files: Files, day: str, chat: str, directory: Directory
    ) -> Iterator[ImportedMessage | SkippedRow]:
        for row in self._rows(files, day):
            try:
                message = read_message(check_row(row), chat, directory)
            except NoMessage as error:
                where = f"{day}, {place(row)}"
                yield self._skip(where, error.reason, error.detail, is_event=error.is_event)
                continue
            self.summary.messages += 1
            yield message

    def _skip(self, where: str, reason: str, detail: str, *, is_event: bool = False) -> SkippedRow:
        self.summary.skip(reason, is_event=is_event)
        return SkippedRow(where, reason, detail, is_event=is_event)


def _composed(name: str) -> str:
    """A folder's name with its letters and their marks in one: macOS takes them apart when it unpacks."""
    return unicodedata.normalize("NFC", name)


def _chat(row: Row, number: str, index: str, directory: Directory) -> ImportedChat:
    """A conversation of an index; one without a name is called by its members."""
    members = row.get("members")
    known = [
        directory.people.get(member) or member
        for member in (members if isinstance(members, list) else ())
        if isinstance(member, str)
    ]
    unnamed = index in ("dms.json", "mpims.json")
    title = ", ".join(known) if unnamed else string(row, "name")
    title = (title or string(row, "name"))[:NAME_CHARACTERS_MAX]
    return ImportedChat(PREFIX + number, title, _KINDS[index])
