"""What changes slowly enough to be read once a second: which generation serves, and what waits for it."""

import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.store import Freshness, Generation

_SECONDS: Final = 1.0
# Counting what waits reads all of it: it may take one tenth of the time, so that of a backlog of millions is older.
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


class FreshnessGauge:
    """Remembers each workspace's freshness for a second, and for longer where reading it takes long.

    While one search reads it anew, others are told what was read before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[UUID, tuple[float, Freshness]] = {}

    async def read(
        self,
        connection: Connection,
        workspace: UUID,
        generation: Generation | None,
        *,
        anew: bool = False,
    ) -> Freshness:
        """Return what has been accepted and cannot be found by meaning yet, as remembered unless it is wanted anew."""
        kept, started = self._kept.get(workspace), self._clock()
        if not anew and kept and kept[0] > started:
            return kept[1]
        if kept:
            self._kept[workspace] = (started + _SECONDS_MAX, kept[1])
        try:
            found = await store.freshness(connection, workspace, generation)
        except BaseException:
            self._kept.pop(workspace, None)
            raise
        if len(self._kept) >= _WORKSPACES_MAX:
            self._kept.clear()
        read = self._clock()
        rest = min(max(_SECONDS, _REST_FACTOR * (read - started)), _SECONDS_MAX)
        self._kept[workspace] = (read + rest, found)
        return found
