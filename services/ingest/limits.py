"""How much ingest does at once, so that too many callers wait their turn or are sent away, and memory stays flat."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from services.common.errors import Overloaded

Frame = TypeVar("Frame")
Ready = TypeVar("Ready")
Reply = TypeVar("Reply")


class CommitSlots:
    """Lets a bounded number of transactions run at once; the others wait a moment, in order."""

    def __init__(self, slots: int, wait_seconds: float) -> None:
        self._slots, self._wait_seconds = asyncio.Semaphore(slots), wait_seconds

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot; raises Overloaded if none comes free in time."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise Overloaded("too many messages at once", self._wait_seconds) from None
        try:
            yield
        finally:
            self._slots.release()


class Turn:
    """One write of a sender, begun only when the write before it is done with the same rows."""

    def __init__(self, writing: asyncio.Lock, committing: asyncio.Lock) -> None:
        self._writing, self._committing = writing, committing
        self._held: list[asyncio.Lock] = []

    async def __aenter__(self) -> "Turn":
        await self._hold(self._writing)
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._held:
            self._held.pop().release()

    async def after_last_commit(self) -> None:
        """Wait until the write before it is committed, and so can be seen."""
        if self._committing not in self._held:
            await self._hold(self._committing)

    async def _hold(self, lock: asyncio.Lock) -> None:
        await lock.acquire()
        self._held.append(lock)

    def end(self) -> None:
        """Let the next write begin."""
        if self._writing in self._held:
            self._held.remove(self._writing)
            self._writing.release()


async def in_order(
    frames: AsyncIterator[Frame],
    prepare: Callable[[Frame], Awaitable[Ready]],
    commit: Callable[[Ready], Awaitable[Reply]],
    ahead: int,
) -> AsyncIterator[Reply]:
    """Prepare each frame while those before it are committed; reply in order, at most `ahead` frames unanswered."""
    room = asyncio.Semaphore(ahead)
    started: asyncio.Queue[asyncio.Task[Reply] | None] = asyncio.Queue()

    async def feed() -> None:
        arriving = aiter(frames)
        while True:
            await room.acquire()
            frame = await anext(arriving, None)
            if frame is None:
                return
            ready = await prepare(frame)
            started.put_nowait(asyncio.ensure_future(commit(ready)))

    feeding = asyncio.create_task(feed())
    feeding.add_done_callback(lambda _: started.put_nowait(None))
    try:
        while (task := await started.get()) is not None:
            yield await task
            room.release()
        await feeding
    finally:
        await _abandon(feeding, started)


async def _abandon(
    feeding: asyncio.Task[None], started: "asyncio.Queue[asyncio.Task[Reply] | None]"
) -> None:
    """Stop whatever has not been answered; it was not acknowledged, so the caller sends it again."""
    left: list[asyncio.Task[Reply] | asyncio.Task[None]] = [feeding]
    while not started.empty():
        if (task := started.get_nowait()) is not None:
            left.append(task)
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)
