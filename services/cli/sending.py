"""Frames of messages on their way into ingest: streamed, acknowledged, and repeated when a stream breaks."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import grpc

from services.cli.failures import is_broken_stream, is_from_service
from services.cli.quotas import quota_seconds
from services.cli.target import Target
from services.cli.threads import in_thread
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

FRAMES_AHEAD = 16
DELETIONS_MAX, DELETIONS_HELD = 500, 5_000
DELETION_SECONDS = 60
REJECTIONS_KEPT = SUPERSEDED_KEPT = 100
# How long a service is waited for that was there or will be started again, and one that nobody has seen yet.
WAIT_SECONDS, WAIT_SECONDS_UNSEEN = 60.0, 4.0
TOLD_AFTER_SECONDS = 1.5
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True)
class Rejected:
    """A message that ingest refused: its id, the field that is wrong, why, and the chat it is in."""

    external_id: str
    field: str
    description: str
    chat: str


@dataclass(frozen=True)
class Superseded:
    """A message of which another version is stored, and stays: its id, and the chat it is in."""

    external_id: str
    chat: str


@dataclass
class Counts:
    """What became of the messages of an import; those that are superseded or erased are not counted as unchanged."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    erased: int = 0
    rejected: int = 0
    deleted: int = 0
    rejections: list[Rejected] = field(default_factory=list)
    superseded_first: list[Superseded] = field(default_factory=list)

    def add(self, response: pb.StreamMessagesResponse, source: pb.SourceRef) -> None:
        """Count an acknowledged frame of a source."""
        self.created += response.created
        self.updated += response.updated
        self.unchanged += response.unchanged - response.superseded
        self.rejected += response.rejected
        erased = sum(result.erased for result in response.results)
        self.erased += erased
        self.superseded += response.superseded - erased
        for result in response.results:
            self._keep(result, source.title or source.external_id)

    def _keep(self, result: pb.IngestResult, chat: str) -> None:
        """Remember what a result says, if it is one of the first."""
        reason = result.rejection
        if result.HasField("rejection") and len(self.rejections) < REJECTIONS_KEPT:
            self.rejections.append(
                Rejected(result.external_id, reason.field, reason.description, chat)
            )
        is_another = result.superseded and not result.erased
        if is_another and len(self.superseded_first) < SUPERSEDED_KEPT:
            self.superseded_first.append(Superseded(result.external_id, chat))

    @property
    def saved(self) -> int:
        """All messages that are known to be in the database."""
        return self.created + self.updated + self.unchanged + self.superseded

    @property
    def total(self) -> int:
        """All messages that were answered for."""
        return self.saved + self.erased + self.rejected


@dataclass(frozen=True)
class Frame:
    """Messages of one source that go together; the number says their order."""

    number: int
    source: pb.SourceRef
    messages: list[pb.MessageInput]


class Sender:
    """Streams frames and deletes; when the service goes away, waits for it and repeats what was not acknowledged."""

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
        self._was_there = "ingest" in target.restarted
        self._away_since = 0.0
        self._said: grpc.aio.AioRpcError | None = None
        self._is_told = False
        self.counts = Counts()

    @property
    def is_waiting(self) -> bool:
        """Whether the service is away, or takes nothing."""
        return self._failures > 0

    async def send(self, frames: Iterable[Frame]) -> None:
        """Send all frames and count what became of them."""
        async with asyncio.TaskGroup() as group, self._target.channel("ingest") as channel:
            reading = group.create_task(self._read(iter(frames)))
            try:
                await self._until(lambda: bool(self._waiting) or self._ended)
                stub = IngestServiceStub(channel)
                while self._waiting or self._unacknowledged or not self._ended:
                    await self._stream(channel, stub)
            finally:
                reading.cancel()

    async def delete(self, messages: Iterable[tuple[pb.SourceRef, str]]) -> None:
        """Mark messages as deleted, and count how many were live."""
        async with self._target.channel("ingest") as channel:
            stub = IngestServiceStub(channel)
            for request in _deletions(messages):
                reply = await self._delete(stub, request)
                self.counts.deleted += reply.deleted

    async def _delete(
        self, stub: IngestServiceStub, request: pb.DeleteMessagesRequest
    ) -> pb.DeleteMessagesResponse:
        """Delete, again and again while the service is away, or a quota has it wait."""
        metadata = self._target.metadata
        while True:
            try:
                reply = await stub.DeleteMessages(
                    request, metadata=metadata, timeout=DELETION_SECONDS
                )
            except grpc.aio.AioRpcError as error:
                if (seconds := quota_seconds(error)) is None:
                    await self._wait_for_service(error)
                    continue
                # It may be for longer than a service may be away, and ends.
                self._has_answered()
                await asyncio.sleep(seconds)
            else:
                self._has_answered()
                return reply

    async def _read(self, frames: Iterator[Frame]) -> None:
        while (frame := await in_thread(lambda: next(frames, None))) is not None:
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

    async def _stream(self, channel: grpc.aio.Channel, stub: IngestServiceStub) -> None:
        """Send until the file ends or the stream breaks; a service that stays away is an error."""
        self._streams += 1
        try:
            call = stub.StreamMessages(
                self._requests(channel, self._streams), metadata=self._target.metadata
            )
            async for response in call:
                self._has_answered()
                frame = self._unacknowledged.pop(response.sequence)
                self.counts.add(response, frame.source)
                await self._notify()
                self._on_progress()
        except grpc.aio.AioRpcError as error:
            await self._wait_for_service(error)
        except asyncio.CancelledError:
            # gRPC cancels a call by itself when its connection breaks while a request is written.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._wait_for_service(_gone(await call.details()))

    def _has_answered(self) -> None:
        if self._is_told:
            self._tell("ingest answers again, going on")
        self._failures, self._is_told, self._was_there, self._said = 0, False, True, None

    async def _wait_for_service(self, error: grpc.aio.AioRpcError) -> None:
        """Pause before the next attempt. Raises AioRpcError where none would help, or they have lasted too long."""
        if is_broken_stream(error):
            # The service may have said why just before, which gRPC then tells in words of its own.
            error, self._was_there = self._said or _gone(error.details()), True
        self._said = error if is_from_service(error) else None
        now = asyncio.get_running_loop().time()
        self._was_there |= is_from_service(error)
        self._away_since = self._away_since if self._failures else now
        self._failures += 1
        away_seconds = now - self._away_since
        patience_seconds = WAIT_SECONDS if self._was_there else WAIT_SECONDS_UNSEEN
        if error.code() not in _TRANSIENT or away_seconds >= patience_seconds:
            raise error
        if away_seconds >= TOLD_AFTER_SECONDS and not self._is_told:
            self._is_told = True
            self._tell(
                f"{_trouble(error)}, trying again for {patience_seconds:.0f} s … ({error.details()})"
            )
        self._on_progress()
        await asyncio.sleep(min(0.1 * 2**self._failures, 1))

    async def _requests(
        self, channel: grpc.aio.Channel, stream: int
    ) -> AsyncIterator[pb.StreamMessagesRequest]:
        """Frames in order: those that a broken stream left unanswered, then new ones."""
        for frame in list(self._unacknowledged.values()):
            yield _request(frame)
        while True:
            # gRPC asks for the next frame when the last has gone out, so there is a connection if there is to be one.
            self._was_there |= channel.get_state() is grpc.ChannelConnectivity.READY
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


def _trouble(error: grpc.aio.AioRpcError) -> str:
    """What keeps an import waiting, in words."""
    if not is_from_service(error):
        return "ingest cannot be reached"
    is_busy = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return "ingest does not take more now" if is_busy else "ingest cannot save now"


def _gone(details: str | None) -> grpc.aio.AioRpcError:
    """What a call that gRPC itself gave up would have said: the service has gone away."""
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, empty, empty, details or "connection lost"
    )


def _deletions(
    messages: Iterable[tuple[pb.SourceRef, str]],
) -> Iterator[pb.DeleteMessagesRequest]:
    """Requests that delete messages, each of one source; those of many that take turns are put together."""
    rest = iter(messages)
    while some := sorted(itertools.islice(rest, DELETIONS_HELD), key=_source_of):
        for _, group in itertools.groupby(some, key=_source_of):
            while named := list(itertools.islice(group, DELETIONS_MAX)):
                yield pb.DeleteMessagesRequest(
                    source=named[0][0], external_ids=[key for _, key in named]
                )


def _source_of(message: tuple[pb.SourceRef, str]) -> str:
    return message[0].external_id


def _request(frame: Frame) -> pb.StreamMessagesRequest:
    return pb.StreamMessagesRequest(
        sequence=frame.number,
        source=frame.source,
        messages=frame.messages,
        include_superseded=True,
    )
