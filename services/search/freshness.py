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

from services.common.cache import Cache
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
        self._kept = Cache[None, Generation | None](1, clock)

    @property
    def known(self) -> UUID | None:
        """The generation that served within the last second."""
        kept = self._kept.get(None)
        return kept.id if kept else None

    def forget(self) -> None:
        """Look again next time: what was remembered is gone."""
        self._kept.forget(None)

    async def generation(self, connection: Connection, expected: UUID | None) -> Generation | None:
        """Return the generation that serves.

        The one that a query was embedded for is returned instead while it stands by, complete: between a query's
        vector and the search another one may have been promoted.
        """
        look = partial(store.serving_generation, connection)
        found = await self._kept.load(None, look, lambda found: _SECONDS if found else 0.0)
        if found is None or expected in (None, found.id):
            return found
        return await store.complete_generation(connection, expected) or found


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
        self._kept = Cache[UUID, Freshness](_WORKSPACES_MAX, clock, stale_seconds=_SECONDS_MAX)
        self._counts = Cache[UUID, _Count](_WORKSPACES_MAX, clock)
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
        look = partial(self._look, connection, workspace, generation)
        if not anew:
            return await self._kept.load(workspace, look, lambda _: _SECONDS)
        found = await look()
        self._kept.put(workspace, found, _SECONDS)
        return found

    async def _look(
        self, connection: Connection, workspace: UUID, generation: Generation | None
    ) -> Freshness:
        found, is_all = await backlog.look(connection, workspace, generation)
        return found if is_all else self._counted(workspace, generation) or found

    def _counted(self, workspace: UUID, generation: Generation | None) -> Freshness | None:
        """What was counted of a backlog; has it counted again if that is some time ago."""
        counted = self._counts.get(workspace)
        if counted is None or counted.generation != generation:
            counted = _Count(generation)
            self._counts.put(workspace, counted)
        if counted.again_at <= self._clock():
            counted.again_at = math.inf
            self._asked.put_nowait((workspace, counted))
        return counted.freshness

    async def run(self) -> None:
        """Count the backlogs of workspaces that are searched, for as long as the service runs."""
        while True:
            workspace, counted = await self._asked.get()
            if self._counts.get(workspace) is not counted:
                # It has been forgotten, or another generation serves by now.
                continue
            started, rest = self._clock(), _SECONDS_MAX
            count = partial(backlog.count, self._reads, workspace, counted.generation)
            try:
                counted.freshness = await self._reads.run(count)
                rest = min(max(_SECONDS, _REST_FACTOR * (self._clock() - started)), _SECONDS_MAX)
            except DatabaseUnavailable as error:
                log.warning("a backlog could not be counted: %s", error)
            counted.again_at = self._clock() + rest
