"""`winnow import`: streams a file of messages into ingest, as any client would."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.failures import is_broken_stream
from services.cli.import_report import report
from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    Importer,
    ImportFailure,
    SkippedRow,
)
from services.cli.importers.discord import DiscordExport
from services.cli.importers.jsonlines import JsonLines
from services.cli.importers.slack import SlackExport
from services.cli.importers.telegram import TelegramExport
from services.cli.options import Session, command
from services.cli.target import Target
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.types.v1 import types_pb2 as types

FRAME_MESSAGES = 250
FRAME_BYTES = 512 << 10
FRAMES_AHEAD = 8
DELETIONS_MAX = 500
SKIPPED_KEPT, SKIPPED_MAX = 3, 300
NAME_BYTES_MAX = 512
RETRIES, RETRIES_BEFORE_FIRST = 60, 5
TOLD_FROM_FAILURE = 4  # after a second and a half
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass
class Counts:
    """What became of the messages of an import."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0
    rejections: list[str] = field(default_factory=list)

    def add(self, response: pb.StreamMessagesResponse) -> None:
        """Count an acknowledged frame."""
        self.created += response.created
        self.updated += response.updated
        self.unchanged += response.unchanged
        self.rejected += response.rejected
        for result in response.results:
            reason = result.rejection
            self.rejections.append(f"{result.external_id}: {reason.field}: {reason.description}")

    @property
    def total(self) -> int:
        """All messages that were answered for."""
        return self.created + self.updated + self.unchanged + self.rejected


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


@dataclass(frozen=True)
class Frame:
    """Messages of one source that go together; the number says their order."""

    number: int
    source: pb.SourceRef
    messages: list[pb.MessageInput]


class FrameReader:
    """Groups a file's messages by chat into frames of bounded size; a file that breaks off gives what is whole."""

    def __init__(self, importer: Importer, kind: pb.SourceKind.ValueType) -> None:
        self._importer, self._kind = importer, kind
        self._numbers = itertools.count()
        self.failure: ImportFailure | None = None
        self.deleted: list[tuple[pb.SourceRef, str]] = []
        self.skipped: list[SkippedRow] = []

    def __iter__(self) -> Iterator[Frame]:
        """Read the file once; then `failure` says where it broke, `deleted` what the file says is deleted.

        `skipped` has the first rows that were left out, a few of each reason.
        """
        source, batch = pb.SourceRef(kind=self._kind), Batch()
        for item in self._items():
            if isinstance(item, ImportedMessage):
                message = message_input(item)
                if item.deleted:
                    self.deleted.append((source, item.external_id))
                if not batch.takes(message):
                    yield Frame(next(self._numbers), source, batch.messages)
                    batch = Batch()
                batch.add(message)
            elif isinstance(item, ImportedChat):
                if batch.messages:
                    yield Frame(next(self._numbers), source, batch.messages)
                    batch = Batch()
                source = source_ref(item, self._kind)
            else:
                self._skip(item)
        if batch.messages:
            yield Frame(next(self._numbers), source, batch.messages)

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


def source_ref(chat: ImportedChat, kind: pb.SourceKind.ValueType) -> pb.SourceRef:
    """A chat as the contract has it; a title that is too long is cut."""
    return pb.SourceRef(kind=kind, external_id=chat.external_id, title=_fitting(chat.title))


def _fitting(name: str) -> str:
    """As much of a name as the contract takes."""
    return name.encode()[:NAME_BYTES_MAX].decode(errors="ignore").replace("\0", "")


def message_input(message: ImportedMessage) -> pb.MessageInput:
    """An imported message as the contract has it."""
    sent_at = Timestamp()
    sent_at.FromDatetime(message.sent_at)
    result = pb.MessageInput(
        external_id=message.external_id,
        thread_id=message.thread_id,
        reply_to_external_id=message.reply_to_external_id,
        author=types.Author(
            external_id=message.author_external_id,
            name=_fitting(message.author_name),
            is_bot=message.author_is_bot,
        ),
        text=message.text,
        sent_at=sent_at,
        entities=[
            types.Entity(
                type=e.type, offset=e.offset, length=e.length, url=e.url, language=e.language
            )
            for e in message.entities
        ],
        attachments=[
            types.Attachment(
                type=a.type, file_name=a.file_name, mime_type=a.mime_type, size_bytes=a.size_bytes
            )
            for a in message.attachments
        ],
    )
    if message.edited_at is not None:
        result.edited_at.FromDatetime(message.edited_at)
    return result


class Sender:
    """Streams frames; when the service goes away, waits for it and repeats what was not acknowledged."""

    def __init__(
        self,
        target: Target,
        on_progress: Callable[[], None],
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._target, self._on_progress, self._tell = target, on_progress, tell
        self._waiting: deque[Frame] = deque()
        self._ended = False
        self._unacknowledged: dict[int, Frame] = {}
        self._changed = asyncio.Condition()
        self._streams = self._failures = 0
        self.counts = Counts()

    async def send(self, frames: Iterable[Frame]) -> None:
        """Send all frames and count what became of them."""
        async with self._target.channel("ingest") as channel, asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(iter(frames)))
            try:
                await self._until(lambda: bool(self._waiting) or self._ended)
                stub = IngestServiceStub(channel)
                while self._waiting or self._unacknowledged or not self._ended:
                    await self._stream(stub)
            finally:
                reading.cancel()

    async def _read(self, frames: Iterator[Frame]) -> None:
        while (frame := await asyncio.to_thread(next, frames, None)) is not None:
            await self._until(lambda: len(self._waiting) < FRAMES_AHEAD)
            self._waiting.append(frame)
            await self._notify()
        self._ended = True
        await self._notify()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _stream(self, stub: IngestServiceStub) -> None:
        """Send until the file ends or the stream breaks; a service that stays away is an error."""
        self._streams += 1
        try:
            call = stub.StreamMessages(
                self._requests(self._streams), metadata=self._target.metadata
            )
            async for response in call:
                self._failures = 0
                self.counts.add(response)
                del self._unacknowledged[response.sequence]
                await self._notify()
                self._on_progress()
        except grpc.aio.AioRpcError as error:
            await self._wait_for_service(error)
        except asyncio.CancelledError:
            # gRPC cancels a call by itself when its connection breaks while a request is written.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._wait_for_service(await self._reason(call))

    async def _reason(self, call: Any) -> grpc.aio.AioRpcError:
        """What a call that gRPC cancelled would have said: the service has gone away."""
        empty = grpc.aio.Metadata()
        return grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE, empty, empty, await call.details() or "connection lost"
        )

    async def _wait_for_service(self, error: grpc.aio.AioRpcError) -> None:
        self._failures += 1
        patience = RETRIES if self.counts.total else RETRIES_BEFORE_FIRST
        is_transient = error.code() in _TRANSIENT or is_broken_stream(error)
        if not is_transient or self._failures > patience:
            raise error
        if self._failures == TOLD_FROM_FAILURE:
            self._tell(f"ingest does not take more now, trying again … ({error.details()})")
        await asyncio.sleep(min(0.1 * 2**self._failures, 1))

    async def _requests(self, stream: int) -> AsyncIterator[pb.StreamMessagesRequest]:
        """Frames in order: those that a broken stream left unanswered, then new ones."""
        for frame in list(self._unacknowledged.values()):
            yield _request(frame)
        while True:
            await self._until(lambda: stream != self._streams or self._may_send())
            # gRPC goes on asking for the requests of a stream that has broken: a frame given to it would be lost.
            if stream != self._streams or not self._waiting:
                return
            frame = self._waiting.popleft()
            self._unacknowledged[frame.number] = frame
            await self._notify()
            yield _request(frame)

    def _may_send(self) -> bool:
        """Whether there is a frame to send and room for it, or nothing more to send."""
        if not self._waiting:
            return self._ended
        return len(self._unacknowledged) < FRAMES_AHEAD


async def delete(target: Target, messages: Sequence[tuple[pb.SourceRef, str]]) -> int:
    """Mark messages as deleted; return how many were live."""
    deleted = 0
    async with target.channel("ingest") as channel:
        stub = IngestServiceStub(channel)
        for start in range(0, len(messages), DELETIONS_MAX):
            chunk = messages[start : start + DELETIONS_MAX]
            for _, group in itertools.groupby(chunk, key=lambda each: each[0].external_id):
                named = list(group)
                request = pb.DeleteMessagesRequest(
                    source=named[0][0], external_ids=[key for _, key in named]
                )
                reply = await stub.DeleteMessages(request, metadata=target.metadata, timeout=60)
                deleted += reply.deleted
    return deleted


def _request(frame: Frame) -> pb.StreamMessagesRequest:
    return pb.StreamMessagesRequest(
        sequence=frame.number, source=frame.source, messages=frame.messages
    )


async def run_import(
    session: Session, target: Target, importer: Importer, kind: pb.SourceKind.ValueType
) -> tuple[Counts, FrameReader]:
    """Stream a file with a progress bar; return what became of it, and its reader, which knows where it broke."""
    columns = (
        TextColumn("importing"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} % {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    reader = FrameReader(importer, kind)
    with Progress(
        *columns, console=session.progress, disable=not session.shows_progress, transient=True
    ) as bar:
        shown = bar.add_task("", total=max(importer.bytes_total, 1), rate="")

        def show() -> None:
            elapsed = bar.tasks[0].elapsed or 1
            rate = f"{importer.summary.messages / elapsed:,.0f} messages/s"
            bar.update(shown, completed=importer.bytes_read, rate=rate)

        sender = Sender(target, show, lambda line: session.progress.print(escape(line)))
        try:
            await sender.send(reader)
            sender.counts.deleted = await delete(target, reader.deleted)
        except asyncio.CancelledError:
            session.progress.print(
                f"{sender.counts.total:,} messages are saved; the same command again goes on: "
                "what is saved is not saved twice"
            )
            raise
    return sender.counts, reader


@click.group("import")
def import_group() -> None:
    """Import messages from a file. Importing the same again changes nothing."""


_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


@import_group.command("telegram")
@click.argument("path", type=_PATH)
@command
async def import_telegram(session: Session, path: Path) -> None:
    """Import an export of Telegram Desktop: result.json, or its folder; one chat, or a whole account.

    Service rows are left out and counted. A file that is cut off is imported as far as it is whole.
    """
    await _import(session, TelegramExport(_exported(path)), pb.SOURCE_KIND_TELEGRAM)


def _exported(path: Path) -> Path:
    """The file of messages of an export that is given as a file or as its folder."""
    return path / "result.json" if path.is_dir() else path


@import_group.command("jsonl")
@click.argument("file", type=_FILE)
@command
async def import_jsonl(session: Session, file: Path) -> None:
    """Import JSON Lines: one object a line with `id`, `text`, `sent_at` and, if known, `author`, `chat`, …"""
    await _import(session, JsonLines(file), pb.SOURCE_KIND_IMPORT)


@import_group.command("slack")
@click.argument("path", type=_PATH)
@command
async def import_slack(session: Session, path: Path) -> None:
    """Import an export of Slack: the zip, or the folder it was unpacked to.

    What people and bots said is imported, joins and the like are left out and counted.
    """
    await _import(session, SlackExport(path), pb.SOURCE_KIND_IMPORT)


@import_group.command("discord")
@click.argument("file", type=_FILE)
@command
async def import_discord(session: Session, file: Path) -> None:
    """Import a JSON export of DiscordChatExporter: one channel or thread a file.

    Joins, pins, calls and the like are left out and counted. Importing a newer, overlapping export adds what is new.
    """
    await _import(session, DiscordExport(file), pb.SOURCE_KIND_IMPORT)


async def _import(session: Session, importer: Importer, kind: pb.SourceKind.ValueType) -> None:
    counts, reader = await run_import(session, session.target, importer, kind)
    if counts.total or reader.failure is None:
        report(session, importer, counts, reader.skipped)
    if reader.failure is not None:
        raise reader.failure
