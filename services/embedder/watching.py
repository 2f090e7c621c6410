"""How far a generation is, told until it can be promoted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from uuid import UUID

from services.common.database import Database
from services.embedder import counting
from services.embedder import generation_store as store
from services.embedder.counting import Lack, sum_dead, sum_missing
from services.embedder.debts import Debts
from services.embedder.generation_store import IndexState, ListedGeneration
from services.embedder.recall import Recall, measure_recall

# Counting reads every row of the workspace: it may take one tenth of the time.
_REST_FACTOR = 9


@dataclass(frozen=True)
class Watched:
    """A generation at one moment; counts are of one workspace, recall is measured at the end.

    What all workspaces lack is counted once nothing of the one is on its way.
    """

    listed: ListedGeneration
    missing: int
    dead: int
    vectors_per_second: float
    index: IndexState
    recall: Recall
    finished: bool
    lack: Lack

    @property
    def only_dead_missing(self) -> bool:
        """Whether the index is ready and nothing that is still missing anywhere will come by itself."""
        lacks_dead = 0 < self.lack.missing <= self.lack.dead
        return lacks_dead and self.index.state == "ready"

    @property
    def eta_seconds(self) -> float:
        """How long what is missing will take at the rate so far; 0 if that is unknown."""
        rate = self.vectors_per_second
        return (self.missing - self.dead) / rate if rate else 0.0


class Watcher:
    """Watches generations."""

    def __init__(
        self,
        database: Database,
        debts: Debts,
        progress_seconds: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._debts = database, debts
        self._progress_seconds, self._clock = progress_seconds, clock

    async def watch(self, workspace: UUID, generation: UUID) -> AsyncIterator[Watched]:
        """Yield how far a generation is until it is complete, lacks only what is dead, or is retired; NotFound."""
        begun, first = self._clock(), -1
        while True:
            started = self._clock()
            listed = await self._describe(workspace, generation)
            first = listed.vectors if first < 0 else first
            rate = max(0, listed.vectors - first) / max(started - begun, 1e-9)
            watched = await self._look(workspace, listed, rate)
            yield watched
            if watched.finished or watched.only_dead_missing:
                return
            spent = self._clock() - started
            await asyncio.sleep(max(self._progress_seconds, _REST_FACTOR * spent))

    async def _describe(self, workspace: UUID, generation: UUID) -> ListedGeneration:
        async with self._database.transaction(workspace) as connection:
            return await store.describe_generation(connection, workspace, generation)

    async def _look(self, workspace: UUID, listed: ListedGeneration, rate: float) -> Watched:
        generation = listed.generation
        nothing = Recall(0.0, 0)
        if generation.state == "retired":
            return Watched(listed, 0, 0, rate, IndexState("none", "", 0.0), nothing, True, Lack())
        debts = await self._debts.count(workspace, generation.id)
        missing, dead = sum_missing(debts), sum_dead(debts)
        waits = missing == dead or await self._is_paused(workspace)
        async with self._database.connection() as connection:
            index = await store.index_state(connection, generation.id)
        lack = await counting.lack(self._database, generation.id) if waits else Lack()
        finished = waits and lack.missing == 0 and index.state == "ready"
        watched = Watched(listed, missing, dead, rate, index, nothing, finished, lack)
        if not finished and not watched.only_dead_missing:
            return watched
        # What was read before the rest was done may not show it as done.
        listed = await self._describe(workspace, generation.id)
        recall = await measure_recall(self._database, workspace, generation)
        return replace(watched, listed=listed, recall=recall)

    async def _is_paused(self, workspace: UUID) -> bool:
        async with self._database.transaction(workspace) as connection:
            return await store.is_backfill_paused(connection, workspace)
