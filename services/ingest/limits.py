"""How much ingest does at once, so that too many callers wait their turn or are sent away, and memory stays flat."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from services.common.errors import Overloaded


class CommitSlots:
    """Lets a bounded number of transactions run at once; others wait a moment: workspaces by turns, each's in order."""

    def __init__(self, slots: int, wait_seconds: float) -> None:
        self._free, self._wait_seconds = slots, wait_seconds
        # By workspace, the next one first.
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one(self, workspace: UUID) -> AsyncIterator[None]:
        """Hold a slot; raises Overloaded if none comes free in time."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(workspace)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, workspace: UUID) -> None:
        given = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(workspace, deque()).append(given)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await given
        except BaseException as error:
            # A slot may have been given just before the time was up, or its caller left.
            if given.done() and not given.cancelled():
                self._pass_on()
            else:
                self._forget(workspace, given)
            if isinstance(error, TimeoutError):
                raise Overloaded("too many messages at once", self._wait_seconds) from None
            raise

    def _forget(self, workspace: UUID, given: asyncio.Future[None]) -> None:
        """Wait no longer; the oldest comes first, so it is found at once."""
        waiting = self._waiting.get(workspace, deque())
        if given in waiting:
            waiting.remove(given)
        if not waiting:
            self._waiting.pop(workspace, None)

    def _pass_on(self) -> None:
        """Give a slot to whoever waits longest of the workspace whose turn it is, which then is behind all others."""
        while self._waiting:
            workspace = next(iter(self._waiting))
            waiting = self._waiting.pop(workspace)
            given = waiting.popleft()
            if waiting:
                self._waiting[workspace] = waiting
            if not given.done():
                given.set_result(None)
                return
        self._free += 1


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
