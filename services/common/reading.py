"""Read-only transactions of one workspace, each lent to one call after another for a moment.

Beginning and ending a transaction is two of the four round trips of a plain search. One that only reads holds no
snapshot between its statements, so the next call of the same workspace sees what is committed by then. Only `now()`
stands still, so that statements take the time from `statement_timestamp()`. The workspace is bound to the transaction,
as everywhere, and so are its settings.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from services.common import metrics
from services.common.pools import acquire, is_exhausted

# Names and values of settings that hold for a transaction: constants of the code, never what a caller sent.
Local = tuple[tuple[str, str], ...]

# For how long a transaction is kept for the next call, and how old it may get: locks on tables last as long.
IDLE_SECONDS: Final = 0.03
AGE_SECONDS: Final = 0.05

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Reading:
    """A transaction that is open: its connection, what it is bound to, when it began, and since when nobody uses it."""

    connection: asyncpg.pool.PoolConnectionProxy
    bound: tuple[UUID, Local]
    began: float
    idle_since: float = 0.0


class Readings:
    """The open read-only transactions of a pool; those that are kept end by themselves before it closes."""

    def __init__(
        self, pool: asyncpg.Pool, role: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool, self._clock = pool, clock
        self._kept: dict[tuple[UUID, Local], list[Reading]] = {}
        self._waits = metrics.POOL_WAIT_SECONDS.labels(role)
        self._ending: set[asyncio.Task[None]] = set()
        self._sweeping = False

    async def take(self, workspace: UUID, local: Local) -> Reading:
        """Return a transaction that sees one workspace: one that was kept, or a new one, begun in one round trip."""
        while kept := self._kept.get((workspace, local)):
            if not _is_lost(reading := kept.pop()):
                return reading
            await self.end(reading)
        with metrics.timed(self._waits):
            if is_exhausted(self._pool) and (oldest := self._oldest()):
                await self.end(oldest)
            connection = await acquire(self._pool)
        reading = Reading(connection, (workspace, local), self._clock())
        try:
            await connection.execute(_begin(workspace, local))
        except BaseException:
            await self.end(reading)
            raise
        return reading

    async def give_back(self, reading: Reading) -> None:
        """Keep a transaction in which nothing failed for the next call, unless it is old."""
        now = self._clock()
        if now - reading.began > AGE_SECONDS:
            await self.end(reading)
            return
        reading.idle_since = now
        self._kept.setdefault(reading.bound, []).append(reading)
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep)

    async def end(self, reading: Reading) -> None:
        """Give the connection back to its pool; nothing was written, so a rollback ends it in either case."""
        try:
            if not _is_lost(reading):
                await reading.connection.execute("rollback")
        finally:
            await self._pool.release(reading.connection)

    def _oldest(self) -> Reading | None:
        """Take the transaction that nobody has used for the longest time."""
        kept = [each for readings in self._kept.values() for each in readings]
        oldest = min(kept, key=lambda each: each.idle_since, default=None)
        if oldest is not None:
            self._kept[oldest.bound].remove(oldest)
        return oldest

    def _sweep(self) -> None:
        """End what was not wanted again soon enough."""
        before = self._clock() - IDLE_SECONDS
        for bound, kept in list(self._kept.items()):
            for reading in kept:
                if reading.idle_since <= before:
                    self._end_later(reading)
            kept[:] = [each for each in kept if each.idle_since > before]
            if not kept:
                del self._kept[bound]
        self._sweeping = bool(self._kept)
        if self._sweeping:
            asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep)

    def _end_later(self, reading: Reading) -> None:
        task = asyncio.ensure_future(self._end_quietly(reading))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_quietly(self, reading: Reading) -> None:
        """End a transaction that no call waits for: if the server is gone, so is the transaction."""
        try:
            await self.end(reading)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("database: a read-only transaction ended by itself: %s", error)


def _is_lost(reading: Reading) -> bool:
    """Whether the server has ended the session; the pool may have taken the connection back by itself then."""
    try:
        return bool(reading.connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def _begin(workspace: UUID, local: Local) -> str:
    settings = (("winnow.workspace_id", str(UUID(str(workspace)))), *local)
    bound = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings)
    return f"begin read only; select {bound}"
