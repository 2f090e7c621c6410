"""How much ingest does at once, so that too many callers wait their turn or are sent away, and memory stays flat."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.common.errors import Overloaded


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
