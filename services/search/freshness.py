"""What changes slowly enough to be read once a second: which generation serves, and what waits for it."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.common.errors import DatabaseUnavailable
from services.search import backlog, store
from services.search.backlog import Freshness
from services.search.reads import Reads
from services.search.store import Generation

log = logging.getLogger(__name__)

_SECONDS: Final = 1.0
# Counting a backlog reads all of it: it may take one tenth of the time, so that the count of one of millions is older.
_REST_FACTOR: Final = 9
_SECONDS_MAX: Final = 30.0
_WORKSPACES_MAX: Final = 10_000


class Serving:
    """Remembers the serving generation for a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: tuple[float, Generation] | None = None

    @property
    def known(self) -> UUID | None:
        """The generation that served within the last second."""
        kept = self._kept
        return kept[1].id if kept and kept[0] > self._clock() else None

    def forget(self) -> None:
        """Look again next time: what was remembered is gone."""
        self._kept = None

    async def generation(self, connection: Connection, expected: UUID | None) -> Generation | None:
        """Return the generation that serves.

        The one that a query was embedded for is returned instead while it stands by, complete: between a query's
        vector and the search another one may have been promoted.
        """
        kept = self._kept
        if kept and kept[0] > self._clock() and expected in (None, kept[1].id):
            return kept[1]
        found = await store.serving_generation(connection)
        self._kept = (self._clock() + _SECONDS, found) if found else None
        if expected and found and found.id != expected:
            return await store.complete_generation(connection, expected) or found
        return found


@dataclass
class _Count:
    """What was counted last of a workspace's backlog, None before that, and when it is to be counted again."""

    generation: Generation | None
    freshness: Freshness | None = None
    again_at: float = 0.0


class FreshnessGauge:
    """Tells how fresh a workspace is, as of a second ago; of a backlog, as counted up to half a minute ago.

    A search looks at so much of what waits. What is more than that is counted by `run`, one workspace at a time.
    """

    def __init__(self, reads: Reads, clock: Callable[[], float] = time.monotonic) -> None:
        self._reads, self._clock = reads, clock
        self._kept: dict[UUID, tuple[float, Freshness]] = {}
        self._counts: dict[UUID, _Count] = {}
        self._asked: asyncio.Queue[tuple[UUID, _Count]] = asyncio.Queue()

    async def read(
        self,
        connection: Connection,
        workspace: UUID,
        generation: Generation | None,
        *,
        anew: bool = False,
    ) -> Freshness:
        """Return what has been accepted and cannot be found by meaning yet, as remembered unless it is wanted anew.

        While one search looks, others are told what was seen before.
        """
        kept, started = self._kept.get(workspace), self._clock()
        if not anew and kept and kept[0] > started:
            return kept[1]
        if kept:
            self._kept[workspace] = (started + _SECONDS_MAX, kept[1])
        try:
            found, is_all = await backlog.look(connection, workspace, generation)
        except BaseException:
            self._kept.pop(workspace, None)
            raise
        if not is_all:
            found = self._counted(workspace, generation) or found
        if len(self._kept) >= _WORKSPACES_MAX:
            self._kept.clear()
        self._kept[workspace] = (self._clock() + _SECONDS, found)
        return found

    def _counted(self, workspace: UUID, generation: Generation | None) -> Freshness | None:
        """What was counted of a backlog; has it counted again if that is some time ago."""
        counted = self._counts.get(workspace)
        if counted is None or counted.generation != generation:
            if len(self._counts) >= _WORKSPACES_MAX:
                self._counts.clear()
            counted = self._counts[workspace] = _Count(generation)
        if counted.again_at <= self._clock():
            counted.again_at = math.inf
            self._asked.put_nowait((workspace, counted))
        return counted.freshness

    async def run(self) -> None:
        """Count the backlogs of workspaces that are searched, for as long as the service runs."""
        while True:
            workspace, counted = await self._asked.get()
            started, rest = self._clock(), _SECONDS_MAX
            count = partial(backlog.count, self._reads, workspace, counted.generation)
            try:
                counted.freshness = await self._reads.run(count)
                rest = min(max(_SECONDS, _REST_FACTOR * (self._clock() - started)), _SECONDS_MAX)
            except DatabaseUnavailable as error:
                log.warning("a backlog could not be counted: %s", error)
            counted.again_at = self._clock() + rest
