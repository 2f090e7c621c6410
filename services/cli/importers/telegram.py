"""Telegram Desktop exports, single chat or full account, streamed in constant memory."""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO

from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    ImportSummary,
    SkippedRow,
    UnreadableExport,
)
from services.cli.importers.rows import READ_ERRORS, NoMessage, Row, failure_of, whole
from services.cli.importers.telegram_accounts import (
    UNKNOWN_ACCOUNT,
    has_own_numbers,
    is_taken_over,
    with_accounts,
)
from services.cli.importers.telegram_json import json_events
from services.cli.importers.telegram_message import (
    NAIVE_DATE,
    SAY_ZONE,
    chat_external_id,
    chat_name,
    chat_title,
    check_row,
    is_naive,
    read_message,
    row_place,
)
from services.cli.importers.telegram_rows import ChatHeader, export_items

CHUNK_BYTES = 1 << 16
REMEMBERED_REPLIES_MAX = 65_536
ADVICE = "export again as “Machine-readable JSON”"


class ForumThreads:
    """Which forum topic a message belongs to, found by the chain of replies up to its row."""

    def __init__(self) -> None:
        self._topics: set[int] = set()
        self._topic_of: OrderedDict[int, int] = OrderedDict()

    def add_topic(self, number: int) -> None:
        """A service row has opened a topic."""
        self._topics.add(number)

    def place(self, number: int, replied: int | None) -> tuple[str, int | None]:
        """The thread of a message and what it really replies to; a topic's own row is no reply."""
        if replied is None:
            return "", None
        if not self._topics:
            return "", replied
        topic = replied if replied in self._topics else self._topic_of.get(replied)
        if topic is not None:
            self._topic_of[number] = topic
            if len(self._topic_of) > REMEMBERED_REPLIES_MAX:
                self._topic_of.popitem(last=False)
        return "" if topic is None else str(topic), None if replied == topic else replied


class TelegramExport:
    """A `result.json`, or the folder that holds it; iterating reads it from the start.

    `account` names whose export it is, for one that does not say so itself; `zone` is where its dates are of, for one
    that gives nothing but dates.
    """

    def __init__(self, path: Path, account: str = "", zone: tzinfo | None = None) -> None:
        self.file, self._account, self._zone = path, account, zone
        self.summary = ImportSummary()
        self._stream: BinaryIO | None = None
        self._bytes_read = 0
        try:
            if path.is_dir():
                self.file = path / "result.json"
            self.bytes_total = self.file.stat().st_size
        except (OSError, ValueError) as error:
            is_folder_without = isinstance(error, FileNotFoundError) and self.file != path
            if is_folder_without and any(path.glob("*.html")):
                raise UnreadableExport(path, f"it is an HTML export; {ADVICE}") from error
            raise failure_of(self.file, error, 0) from error

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""
        return self._bytes_read

    def __iter__(self) -> Iterator[ImportedItem]:
        """Chats, messages and skipped rows in file order. Raises UnreadableExport or Truncated."""
        self.summary, self._bytes_read = ImportSummary(), 0
        try:
            with self.file.open("rb") as stream:
                yield from self._read(stream)
        except READ_ERRORS as error:
            advice = "" if self.summary.chats else ADVICE
            raise failure_of(self.file, error, self.summary.messages, advice) from error

    def _read(self, stream: BinaryIO) -> Iterator[ImportedItem]:
        header, threads, is_doubtful = ChatHeader(0, "", ""), ForumThreads(), False
        for item in with_accounts(export_items(json_events(self._chunks(stream))), self._account):
            if isinstance(item, ChatHeader):
                header, threads = item, ForumThreads()
                self.summary.chats += 1
                is_doubtful = not item.account and not has_own_numbers(item)
                if is_doubtful:
                    self.summary.note(UNKNOWN_ACCOUNT)
                yield ImportedChat(chat_external_id(item), chat_title(item), item.type)
            else:
                if not is_doubtful and _is_of_anybody(item, header):
                    is_doubtful = True
                    self.summary.note(UNKNOWN_ACCOUNT)
                yield self._row(item, header, threads)

    def _row(
        self, row: Row | None, header: ChatHeader, threads: ForumThreads
    ) -> ImportedMessage | SkippedRow:
        try:
            checked = check_row(row)
            thread_id, replied = threads.place(checked["id"], _replied(checked))
            message = read_message(checked, header, thread_id, replied, self._zone)
        except NoMessage as error:
            if error.detail == "topic_created" and row is not None:
                threads.add_topic(row["id"])
            self.summary.skip(error.reason, is_event=error.is_event)
            where = row_place(row), error.reason, error.detail, chat_name(header)
            return SkippedRow(*where, is_event=error.is_event)
        self.summary.messages += 1
        if is_naive(checked):
            self.summary.note(f"{NAIVE_DATE} {self._zone or f'UTC {SAY_ZONE}'}")
        return message

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        while chunk := stream.read(CHUNK_BYTES):
            self._bytes_read += len(chunk)
            yield chunk


def _is_of_anybody(row: Row | None, header: ChatHeader) -> bool:
    """Whether an account numbers a message, and nobody knows which."""
    number = row.get("id") if row is not None else None
    return whole(number) and is_taken_over(header, number) and not header.exporter


def _replied(row: Row) -> int | None:
    """The message replied to within this chat."""
    number = row.get("reply_to_message_id")
    return number if whole(number) and "reply_to_peer_id" not in row else None
