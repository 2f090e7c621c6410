"""The frames of a stream: read a few ahead, those that wait put together, replied to in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from services.ingest.store import SourceKey
from winnow.ingest.v1 import ingest_pb2 as pb

# One group is committed while the next is written and the one after that is read and scored.
GROUPS_AT_ONCE: Final = 3
# What a commit costs beside its rows is as much as some 50 messages cost. A group holds its source for so long, and
# what comes with it waits for so long to be acknowledged.
GROUP_MESSAGES_MAX: Final = 1_000
# With each group of what comes in no order the same neighbours are scored again: twice as many at once, half as often.
DISORDERED_FACTOR: Final = 2

Frame = TypeVar("Frame")
Group = TypeVar("Group")
Ready = TypeVar("Ready")
Reply = TypeVar("Reply")


class Size(NamedTuple):
    """How large a frame is, or some are together; bytes as on the wire."""

    frames: int
    messages: int
    bytes: int


# Frames of one message each, as simple clients send them, gather until a commit is worth it; of full ones few wait.
AHEAD: Final = Size(frames=256, messages=8_000, bytes=4 << 20)


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """A frame of a stream with the source it belongs to."""

    request: pb.StreamMessagesRequest
    source: SourceKey

    def size(self) -> Size:
        """Return how large the frame is."""
        return Size(1, len(self.request.messages), self.request.ByteSize())


def take_group(waiting: deque[MessageFrame], *, is_disordered: bool) -> list[MessageFrame]:
    """Take the first of the waiting frames, and those after it of the same source that have no message in common."""
    most = GROUP_MESSAGES_MAX * (DISORDERED_FACTOR if is_disordered else 1)
    group = [waiting.popleft()]
    keys, count = _keys(group[0]), len(group[0].request.messages)
    while waiting and waiting[0].source == group[0].source:
        more = _keys(waiting[0])
        count += len(waiting[0].request.messages)
        if count > most or not keys.isdisjoint(more):
            break
        keys |= more
        group.append(waiting.popleft())
    return group


def _keys(frame: MessageFrame) -> set[str]:
    return {each.external_id for each in frame.request.messages}


class Room:
    """Room for unanswered frames, which is full once they reach a size in any respect."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._held: deque[Size] = deque()
        self._sums = [0] * len(size)
        self._changed = asyncio.Event()

    def is_full(self) -> bool:
        """Whether no other frame may be read."""
        return any(held >= most for held, most in zip(self._sums, self._size, strict=True))

    async def wait(self) -> None:
        """Wait until another frame may be read."""
        while self.is_full():
            self._changed.clear()
            await self._changed.wait()

    def hold(self, size: Size) -> None:
        """Take note of a frame that was read."""
        self._held.append(size)
        self._sums = [held + more for held, more in zip(self._sums, size, strict=True)]

    def let_go(self) -> None:
        """Take note that the first frame is answered."""
        gone = self._held.popleft()
        self._sums = [held - less for held, less in zip(self._sums, gone, strict=True)]
        self._changed.set()


async def in_order(
    frames: AsyncIterator[Frame],
    size_of: Callable[[Frame], Size],
    take: Callable[[deque[Frame]], Group],
    prepare: Callable[[Group], Awaitable[Ready]],
    commit: Callable[[Ready], Awaitable[Sequence[Reply]]],
    room: Room,
) -> AsyncIterator[Reply]:
    """Prepare frames while those before them are committed, and reply to each in its turn.

    What arrives while GROUPS_AT_ONCE groups are in hand waits, and goes on with what `take` takes together.
    """
    hands = asyncio.Semaphore(GROUPS_AT_ONCE)
    waiting: deque[Frame] = deque()
    news = asyncio.Event()
    started: asyncio.Queue[asyncio.Task[Sequence[Reply]] | None] = asyncio.Queue()

    async def read() -> None:
        arriving = aiter(frames)
        while True:
            await room.wait()
            frame = await anext(arriving, None)
            if frame is None:
                return
            room.hold(size_of(frame))
            waiting.append(frame)
            news.set()

    async def feed() -> None:
        while True:
            while not waiting and not reading.done():
                news.clear()
                await news.wait()
            if not waiting:
                return
            await hands.acquire()
            ready = await prepare(take(waiting))
            task = asyncio.ensure_future(commit(ready))
            task.add_done_callback(lambda _: hands.release())
            started.put_nowait(task)

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: news.set())
    feeding = asyncio.create_task(feed())
    feeding.add_done_callback(lambda _: started.put_nowait(None))
    try:
        while (task := await started.get()) is not None:
            for reply in await task:
                yield reply
                room.let_go()
        await feeding
        await reading
    finally:
        await _abandon([reading, feeding], started)


async def _abandon(
    left: list[asyncio.Task[Any]], started: "asyncio.Queue[asyncio.Task[Any] | None]"
) -> None:
    """Stop whatever has not been answered; it was not acknowledged, so the caller sends it again."""
    while not started.empty():
        if (task := started.get_nowait()) is not None:
            left.append(task)
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)
