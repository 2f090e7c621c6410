"""What changes slowly enough to be read once a second: which generation serves, and what waits for it."""

import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.store import Freshness, Generation

_SECONDS: Final = 1.0
_WORKSPACES_MAX: Final = 10_000


class Serving:
    """Remembers the serving generation for a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: tuple[float, Generation] | None = None

    @property
    def known(self) -> bool:
        """Whether a generation served within the last second."""
        return self._kept is not None and self._kept[0] > self._clock()

    async def generation(self, connection: Connection, expected: UUID | None) -> Generation | None:
        """Return the generation that serves; looks again if another one is expected."""
        kept = self._kept
        if kept and kept[0] > self._clock() and expected in (None, kept[1].id):
            return kept[1]
        found = await store.serving_generation(connection)
        self._kept = (self._clock() + _SECONDS, found) if found else None
        return found


class FreshnessGauge:
    """Remembers each workspace's freshness for a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[UUID, tuple[float, Freshness]] = {}

    async def read(
        self, connection: Connection, workspace: UUID, generation: Generation | None
    ) -> Freshness:
        """Return what has been accepted and cannot be found by meaning yet."""
        kept = self._kept.get(workspace)
        if kept and kept[0] > self._clock():
            return kept[1]
        found = await store.freshness(connection, workspace, generation)
        if len(self._kept) >= _WORKSPACES_MAX:
            self._kept.clear()
        self._kept[workspace] = (self._clock() + _SECONDS, found)
        return found
