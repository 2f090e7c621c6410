"""Makes a task for everything without a current vector, and watches until all is done."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.common.ids import uuid7
from services.embedder.counting import sum_dead, sum_missing
from services.embedder.debts import Debts, missing_by_kind
from services.embedder.generations import Generation
from services.embedder.store import Debt

log = logging.getLogger(__name__)

BATCH_SIZE_DEFAULT: Final = 1000
# Counting reads every row of the workspace: it may take one tenth of the time.
_REST_FACTOR: Final = 9


@dataclass(frozen=True)
class Progress:
    """How far a backfill is: subjects missing when it began, by kind, and what has become of them."""

    missing: Mapping[str, int]
    embedded: int
    remaining: int
    dead: int
    eta_seconds: float
    finished: bool


@dataclass
class Scope:
    """The subjects that a backfill plans; those of a kind that a later one plans are no longer among them."""

    workspace: UUID
    generation: UUID
    kinds: list[str]

    def leave_to(self, later: "Scope") -> None:
        """Leave to a later backfill what both are about."""
        if (self.workspace, self.generation) == (later.workspace, later.generation):
            self.kinds[:] = [kind for kind in self.kinds if kind not in later.kinds]


class Plans:
    """Plans of backfills that are being made: each to its end, though nobody waits for it any more.

    What is not planned would be asked for by the reconciliation, which knows no rate. A later plan takes over from an
    earlier one.
    """

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[None], Scope] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["Plans"]:
        """Begin with none, and break all off at the end."""
        plans = cls()
        try:
            yield plans
        finally:
            for each in plans._open:
                each.cancel()
            await asyncio.gather(*plans._open, return_exceptions=True)

    def begin(self, scope: Scope, plan: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Make a plan, which ends others where they are of the same subjects; whoever waits for it may leave."""
        for making, other in self._open.items():
            other.leave_to(scope)
            if not other.kinds:
                making.cancel()
        made = asyncio.create_task(plan)
        self._open[made] = scope
        made.add_done_callback(self._end)
        return made

    def _end(self, made: "asyncio.Task[None]") -> None:
        del self._open[made]
        if not made.cancelled() and (error := made.exception()):
            log.warning("a backfill is not planned to its end: %s", error)


class Backfill:
    """One backfill of one workspace in one generation."""

    def __init__(
        self,
        debts: Debts,
        plans: Plans,
        workspace: UUID,
        generation: Generation,
        kinds: Sequence[str],
        texts_per_second: float,
        progress_seconds: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._debts, self._plans = debts, plans
        self._workspace, self._generation = workspace, generation
        self._kinds, self._texts_per_second = kinds, texts_per_second
        self._progress_seconds, self._clock = progress_seconds, clock
        self._started = clock()
        # What comes in from now on is not part of this backfill, or a busy chat would never let it end.
        self._until = uuid7()
        self._missing: Mapping[str, int] = {}

    async def plan(self) -> Progress:
        """Count only; the time left is what the model's self-test promises."""
        debts = await self._count()
        self._missing = missing_by_kind(debts)
        return self._progress(debts, finished=True)

    async def run(self, batch_size: int, rate_per_second: float = 0) -> AsyncIterator[Progress]:
        """Make the tasks in ordered batches and yield progress until none is left; leaving early ends neither.

        With a rate no more texts than that become available in any second, and what waited already keeps to it too.
        """
        if rate_per_second:
            batch_size = max(1, min(batch_size, int(rate_per_second)))
        debts = await self._count()
        self._missing = missing_by_kind(debts)
        yield self._progress(debts)
        scope = Scope(self._workspace, self._generation.id, list(self._kinds))
        making = self._plans.begin(scope, self._make_tasks(scope, batch_size, rate_per_second))
        rest = self._progress_seconds
        while not (await asyncio.wait([making], timeout=rest))[0]:
            started = self._clock()
            debts = await self._count()
            rest = self._rest_after(started)
            yield self._progress(debts)
        if not making.cancelled():
            await making
        async for progress in self._watch():
            yield progress

    async def _make_tasks(self, scope: Scope, batch_size: int, rate_per_second: float) -> None:
        batches = self._debts.ask_for_missing(
            scope.workspace,
            scope.generation,
            batch_size,
            scope.kinds,
            rate_per_second,
            take_over=True,
        )
        async for _ in batches:
            pass

    async def _watch(self) -> AsyncIterator[Progress]:
        while True:
            started = self._clock()
            debts = await self._count()
            finished = sum_missing(debts) == sum_dead(debts)
            yield self._progress(debts, finished=finished)
            if finished:
                return
            await asyncio.sleep(self._rest_after(started))

    def _rest_after(self, started: float) -> float:
        """For how long not to count after a count that began at a time."""
        return max(self._progress_seconds, _REST_FACTOR * (self._clock() - started))

    async def _count(self) -> list[Debt]:
        return await self._debts.count(
            self._workspace, self._generation.id, self._kinds, self._until
        )

    def _progress(self, debts: Sequence[Debt], *, finished: bool = False) -> Progress:
        missing, dead = sum_missing(debts), sum_dead(debts)
        embedded = max(0, sum(self._missing.values()) - missing)
        remaining = missing - dead
        rate = embedded / max(self._clock() - self._started, 1e-9) or self._texts_per_second
        return Progress(self._missing, embedded, remaining, dead, remaining / rate, finished)
