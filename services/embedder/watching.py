"""How far a generation is, told until it can be promoted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from uuid import UUID

from services.common.database import Database
from services.embedder import generation_store as store
from services.embedder.debts import Debts, sum_dead, sum_missing
from services.embedder.generation_store import IndexState, ListedGeneration
from services.embedder.recall import Recall, measure_recall

# Counting reads every row of the workspace: it may take one tenth of the time.
_REST_FACTOR = 9


@dataclass(frozen=True)
class Watched:
    """A generation at one moment; counts are of one workspace, recall is measured at the end."""

    listed: ListedGeneration
    missing: int
    dead: int
    vectors_per_second: float
    index: IndexState
    recall: Recall
    finished: bool

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
        """Yield how far a generation is until it is complete, or retired; NotFound."""
        begun, first = self._clock(), -1
        while True:
            started = self._clock()
            listed = await self._describe(workspace, generation)
            first = listed.vectors if first < 0 else first
            rate = max(0, listed.vectors - first) / max(started - begun, 1e-9)
            watched = await self._look(workspace, listed, rate)
            yield watched
            if watched.finished:
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
            return Watched(listed, 0, 0, rate, IndexState("none", "", 0.0), nothing, True)
        debts = await self._debts.count(workspace, generation.id)
        missing, dead = sum_missing(debts), sum_dead(debts)
        async with self._database.connection() as connection:
            index = await store.index_state(connection, generation.id)
            lacking, _ = (missing, dead) if missing else await store.debt(connection, generation.id)
        finished = lacking == 0 and index.state == "ready"
        recall = nothing
        if finished:
            # What was read before the rest was done may not show it as done.
            listed = await self._describe(workspace, generation.id)
            recall = await measure_recall(self._database, workspace, generation)
        return Watched(listed, missing, dead, rate, index, recall, finished)
