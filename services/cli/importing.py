"""`winnow import`: streams a file of messages into ingest, as any client would."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.deletions import Deletions
from services.cli.failures import INCOMPLETE, UNREACHABLE, Failure, explained
from services.cli.groups import Group
from services.cli.import_report import report, what_is_missing, what_is_saved
from services.cli.importers import (
    ImportedAttachment,
    ImportedChat,
    ImportedEntity,
    ImportedItem,
    ImportedMessage,
    ImportedOrigin,
    Importer,
    ImportFailure,
    SkippedRow,
)
from services.cli.importers.discord_folder import open_discord
from services.cli.importers.jsonlines import JsonLines
from services.cli.importers.recognising import of_another_kind
from services.cli.importers.rendering import ENTITIES_MAX, URL_BYTES_MAX
from services.cli.importers.slack import SlackExport
from services.cli.importers.telegram import TelegramExport
from services.cli.options import Session, command
from services.cli.sending import Counts, Frame, Sender
from services.cli.target import Target
from services.cli.values import TELEGRAM_ACCOUNT, TIME_ZONE, Place
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

FRAME_MESSAGES = 250
FRAME_BYTES = 512 << 10
HELD_MESSAGES, HELD_BYTES = 32_000, 32 << 20  # read before a frame goes that is not full
SKIPPED_KEPT, SKIPPED_MAX = 3, 300
NAME_BYTES_MAX, KIND_BYTES_MAX, ATTACHMENTS_MAX = 512, 64, 100
KEY_BYTES_MAX = 256
# One more than what is taken, so that it is refused by its field and yet fits in a request.
TEXT_CHARACTERS_SENT_MAX, KEY_CHARACTERS_SENT_MAX = (16 << 10) + 1, KEY_BYTES_MAX + 1
UNKEYED_CHAT = f"chat whose id is empty, has NUL or more than {KEY_BYTES_MAX} bytes"


@dataclass
class Batch:
    """Messages that go together, as many as a request may hold."""

    messages: list[pb.MessageInput] = field(default_factory=list)
    size_bytes: int = 0

    def takes(self, message: pb.MessageInput) -> bool:
        """Whether there is room for a message; an empty batch takes any."""
        fits = self.size_bytes + message.ByteSize() <= FRAME_BYTES
        return not self.messages or (fits and len(self.messages) < FRAME_MESSAGES)

    def add(self, message: pb.MessageInput) -> None:
        """Take a message."""
        self.messages.append(message)
        self.size_bytes += message.ByteSize()


class FrameReader:
    """Groups a file's messages by chat into frames of bounded size; a file that breaks off gives what is whole.

    Chats may take turns, as they do in a file that is in the order of time.
    """

    def __init__(self, importer: Importer, kind: pb.SourceKind.ValueType) -> None:
        self._importer, self._kind = importer, kind
        self._numbers = itertools.count()
        self._held: dict[str, tuple[pb.SourceRef, Batch]] = {}
        self._messages = self._size_bytes = 0
        self.failure: ImportFailure | None = None
        self.deleted = Deletions()
        self.skipped: list[SkippedRow] = []

    def __iter__(self) -> Iterator[Frame]:
        """Read the file once; then `failure` says where it broke, `deleted` what the file says is deleted.

        `skipped` has the first rows that were left out, a few of each reason.
        """
        source, is_taken = pb.SourceRef(kind=self._kind), False
        for item in self._items():
            if isinstance(item, ImportedMessage) and not is_taken:
                self._refuse(item)
            elif isinstance(item, ImportedMessage):
                if item.deleted and _is_key(item.external_id):
                    # Its words are nobody's any more, not even until the end of the file.
                    self.deleted.add(source, item.external_id)
                else:
                    yield from self._take(source, message_input(item))
            elif isinstance(item, ImportedChat):
                source, is_taken = source_ref(item, self._kind), _is_key(item.external_id)
            else:
                self._skip(item)
        for chat in list(self._held):
            yield self._frame(chat)

    def _take(self, source: pb.SourceRef, message: pb.MessageInput) -> Iterator[Frame]:
        """Put a message with the others of its chat; what has no room any more goes."""
        chat = source.external_id
        if chat in self._held and not self._held[chat][1].takes(message):
            yield self._frame(chat)
        _, batch = self._held.get(chat, (source, Batch()))
        batch.add(message)
        self._held[chat] = source, batch
        self._messages += 1
        self._size_bytes += message.ByteSize()
        if self._messages > HELD_MESSAGES or self._size_bytes > HELD_BYTES:
            yield from self._make_room()

    def _make_room(self) -> Iterator[Frame]:
        """Let the largest frames go, until a quarter of all room is free: looking for them takes long."""
        for chat in sorted(self._held, key=lambda each: -self._held[each][1].size_bytes):
            yield self._frame(chat)
            if self._messages <= HELD_MESSAGES * 3 // 4 and self._size_bytes <= HELD_BYTES * 3 // 4:
                return

    def _frame(self, chat: str) -> Frame:
        """What is held of a chat."""
        source, batch = self._held.pop(chat)
        self._messages -= len(batch.messages)
        self._size_bytes -= batch.size_bytes
        return Frame(next(self._numbers), source, batch.messages)

    def _refuse(self, message: ImportedMessage) -> None:
        """Leave out a message of a chat that ingest would not take, and with which it would refuse the whole frame."""
        self._importer.summary.messages -= 1
        self._importer.summary.skip(UNKEYED_CHAT)
        self._skip(SkippedRow(f"message {message.external_id[:80]}", UNKEYED_CHAT))

    def _skip(self, row: SkippedRow) -> None:
        if len(self.skipped) == SKIPPED_MAX:
            return
        if sum(row.reason == other.reason for other in self.skipped) < SKIPPED_KEPT:
            self.skipped.append(row)

    def _items(self) -> Iterator[ImportedItem]:
        try:
            yield from self._importer
        except ImportFailure as failure:
            self.failure = failure


def _is_key(text: str) -> bool:
    """Whether the contract takes a text as the id of a chat or a message."""
    return 0 < len(text.encode()) <= KEY_BYTES_MAX and "\0" not in text


def source_ref(chat: ImportedChat, kind: pb.SourceKind.ValueType) -> pb.SourceRef:
    """A chat as the contract has it; a title that is too long is cut, and one of spaces is none."""
    title = "" if chat.title.isspace() else _fitting(chat.title)
    return pb.SourceRef(kind=kind, external_id=chat.external_id, title=title)


def _fitting(name: str, bytes_max: int = NAME_BYTES_MAX) -> str:
    """As much of a name as the contract takes."""
    return name.encode()[:bytes_max].decode(errors="ignore").replace("\0", "")


def message_input(message: ImportedMessage) -> pb.MessageInput:
    """An imported message as the contract has it.

    A text or an id that is too long stays so, but not so long that nobody could read it to refuse it; of what marks up
    a text and comes with it, only what fits is sent.
    """
    sent_at = Timestamp()
    sent_at.FromDatetime(message.sent_at)
    result = pb.MessageInput(
        external_id=message.external_id[:KEY_CHARACTERS_SENT_MAX],
        thread_id=message.thread_id[:KEY_CHARACTERS_SENT_MAX],
        reply_to_external_id=message.reply_to_external_id[:KEY_CHARACTERS_SENT_MAX],
        author=types.Author(
            external_id=message.author_external_id[:KEY_CHARACTERS_SENT_MAX],
            name=_fitting(message.author_name),
            is_bot=message.author_is_bot,
        ),
        text=message.text[:TEXT_CHARACTERS_SENT_MAX],
        sent_at=sent_at,
        entities=map(_entity, message.entities[:ENTITIES_MAX]),
        attachments=map(_attachment, message.attachments[:ATTACHMENTS_MAX]),
        zone_assumed=message.zone_assumed,
    )
    if message.edited_at is not None:
        result.edited_at.FromDatetime(message.edited_at)
    if message.forwarded_from is not None:
        result.forwarded_from.CopyFrom(_origin(message.forwarded_from))
    if result.ByteSize() > FRAME_BYTES:
        del result.entities[:]
    return result


def _origin(origin: ImportedOrigin) -> types.ForwardOrigin:
    """Where a message was forwarded from; half an id names nobody, so one that is too long is left out whole."""
    key = origin.external_id if _is_key(origin.external_id) else ""
    return types.ForwardOrigin(external_id=key, name=_fitting(origin.name))


def _entity(entity: ImportedEntity) -> types.Entity:
    """A span; half a link leads nowhere, so one that is too long is left out whole."""
    leads = len(entity.url.encode()) <= URL_BYTES_MAX and "\0" not in entity.url
    return types.Entity(
        type=_fitting(entity.type, KIND_BYTES_MAX),
        offset=entity.offset,
        length=entity.length,
        url=entity.url if leads else "",
        language=_fitting(entity.language, KIND_BYTES_MAX),
    )


def _attachment(attachment: ImportedAttachment) -> types.Attachment:
    return types.Attachment(
        type=_fitting(attachment.type, KIND_BYTES_MAX),
        file_name=_fitting(attachment.file_name, 2 * NAME_BYTES_MAX),
        mime_type=_fitting(attachment.mime_type, NAME_BYTES_MAX // 2),
        size_bytes=attachment.size_bytes,
    )


@dataclass(frozen=True)
class Outcome:
    """What became of an import: what was answered for, what the reader left out, and why it ended early, if it did."""

    counts: Counts
    reader: FrameReader
    failure: ImportFailure | Failure | None


async def run_import(
    session: Session, target: Target, importer: Importer, kind: pb.SourceKind.ValueType
) -> Outcome:
    """Stream a file with a progress bar."""
    columns = (
        TextColumn("importing"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} % {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    reader = FrameReader(importer, kind)
    with (
        reader.deleted,
        Progress(
            *columns, console=session.progress, disable=not session.shows_progress, transient=True
        ) as bar,
    ):
        shown = bar.add_task("", total=max(importer.bytes_total, 1), rate="")

        def show() -> None:
            elapsed = bar.tasks[0].elapsed or 1
            rate = f"{importer.summary.messages / elapsed:,.0f} messages/s"
            waiting = "waiting for ingest" if sender.is_waiting else rate
            bar.update(shown, completed=importer.bytes_read, rate=waiting)

        sender = Sender(target, show, lambda line: session.progress.print(escape(line)))
        failure: Failure | None = None
        try:
            with explained():
                await sender.send(reader)
                await sender.delete(reader.deleted)
        except asyncio.CancelledError:
            session.progress.print(what_is_saved(sender.counts))
            raise
        except Failure as given_up:
            passes = given_up.exit_code == UNREACHABLE
            told = f"{given_up.message}; {what_is_saved(sender.counts, passes=passes)}"
            failure = Failure(told, given_up.exit_code)
    return Outcome(sender.counts, reader, failure or reader.failure)


@click.group("import", cls=Group)
def import_group() -> None:
    """Import messages from a file.

    Importing the same again changes nothing, and what was deleted or erased stays so. Of two versions of a message the
    one that was edited later stays; what was not taken for that is told.

    The exit code is 6 if rows could not be read or messages were rejected, and all others are imported.
    """


class _Readable(Place):
    """A file that is read once, from its start to its end; `-` is standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path of the file."""
        found = str(super().convert(value, param, ctx))
        return Path("/dev/stdin" if found == "-" else found)


_FILE = _Readable(path_type=Path, dir_okay=False)
_PATH = _Readable(path_type=Path)
_ZONE = click.option(
    "--timezone", type=TIME_ZONE, help="Where times are of that name no zone, such as Europe/Kyiv."
)


@import_group.command("telegram")
@click.argument("path", type=_PATH)
@click.option(
    "--account",
    type=TELEGRAM_ACCOUNT,
    default="",
    help="Whose export it is: a name or number, always the same for the same person.",
)
@_ZONE
@command
async def import_telegram(
    session: Session, path: Path, account: str, timezone: ZoneInfo | None
) -> None:
    """Import an export of Telegram Desktop: result.json, or its folder; one chat, or a whole account.

    Service rows are left out and counted. A file that is cut off is imported as far as it is whole.

    Telegram numbers the messages of private chats and basic groups for each account anew. An export of a whole account
    says whose it is, and so do private chats; for a basic group exported alone, --account says it.

    Old exports give dates only as the clocks of the exporting computer showed them: --timezone says where it was.
    Without it they are read as UTC.
    """
    with of_another_kind("telegram", path):
        await _import(session, TelegramExport(path, account, timezone), pb.SOURCE_KIND_TELEGRAM)


@import_group.command("jsonl")
@click.argument("file", type=_FILE)
@click.option("--chat", default="", help="The conversation of lines that name none.")
@_ZONE
@command
async def import_jsonl(session: Session, file: Path, chat: str, timezone: ZoneInfo | None) -> None:
    """Import JSON Lines: one object a line, a message each.

    \b
    Needed:   id         unique within its chat, text or a number
              text       may be empty
              sent_at    ISO 8601 with a zone, or Unix seconds
    If known: chat       which conversation (else --chat or FILE), chat_title
              author     an id that stays the same, author_name, is_bot
              thread, reply_to, forwarded_from, forwarded_from_id
              edited_at  when it was last edited: a changed text needs a later one
              deleted    true: it is deleted here, too

    FILE may be - for standard input, here and for the other formats that are one file. Lines whose times name no zone
    are left out, unless --timezone says it.
    """
    with of_another_kind("jsonl", file):
        await _import(session, JsonLines(file, timezone, chat), pb.SOURCE_KIND_IMPORT)


@import_group.command("slack")
@click.argument("path", type=Place(path_type=Path))
@command
async def import_slack(session: Session, path: Path) -> None:
    """Import an export of Slack: the zip, or the folder it was unpacked to.

    What people and bots said is imported, joins and the like are left out and counted. What the export says is
    deleted is deleted here, too.
    """
    with of_another_kind("slack", path):
        await _import(session, SlackExport(path), pb.SOURCE_KIND_IMPORT)


@import_group.command("discord")
@click.argument("path", type=_PATH)
@command
async def import_discord(session: Session, path: Path) -> None:
    """Import JSON exports of DiscordChatExporter: one channel or thread a file, or a folder of them.

    Joins, pins, calls and the like are left out and counted. Importing a newer, overlapping export adds what is new.
    """
    with of_another_kind("discord", path):
        await _import(session, open_discord(path), pb.SOURCE_KIND_IMPORT)


async def _import(session: Session, importer: Importer, kind: pb.SourceKind.ValueType) -> None:
    outcome = await run_import(session, session.target, importer, kind)
    if outcome.counts.total or outcome.failure is None or session.as_json:
        report(session, importer, outcome.counts, outcome.reader.skipped, outcome.failure)
    if outcome.failure is not None:
        raise outcome.failure
    if missing := what_is_missing(importer, outcome.counts):
        raise Failure(f"not all of it is imported: {missing}", INCOMPLETE)
