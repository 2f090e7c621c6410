"""How much of the truth searches find, in production: now and then one is repeated exactly, off its path."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.common import metrics
from services.common.database import Database
from services.common.errors import WinnowError
from services.search import semantic
from services.search.aims import Aim
from services.search.store import Near, Scope

log = logging.getLogger(__name__)

AT: Final = 10
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Sample:
    """A search that did not compare everything, and what it found."""

    scope: Scope
    aims: tuple[Aim, ...]
    nearest: tuple[Near, ...]


class RecallProbe:
    """Takes at most one sample in some seconds and compares it; 0 seconds take none."""

    def __init__(
        self, database: Database, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database, self._seconds, self._clock = database, seconds, clock
        self._next = clock()
        self._samples: asyncio.Queue[Sample] = asyncio.Queue(1)

    def offer(self, sample: Sample) -> None:
        """Take a sample if it is time for one."""
        if self._seconds and self._clock() >= self._next and not self._samples.full():
            self._next = self._clock() + self._seconds
            self._samples.put_nowait(sample)

    @property
    def waiting(self) -> bool:
        """Whether a sample waits to be compared."""
        return self._samples.full()

    def clear(self) -> None:
        """Forget the sample that waits."""
        if self.waiting:
            self._samples.get_nowait()

    async def run(self) -> None:
        """Compare what is offered, for as long as the service runs."""
        while True:
            sample = await self._samples.get()
            try:
                found = await self.compare(sample)
            except WinnowError as error:
                log.warning("a search could not be repeated exactly: %s", error)
                continue
            metrics.SEARCH_RECALL.observe(found)
            log.info("recall@%d of a search: %.2f", AT, found)

    async def compare(self, sample: Sample) -> float:
        """Return the share of the ten nearest that the search has found."""
        async with self._database.reading(sample.scope.workspace) as connection:
            truth = await semantic.find_exactly(connection, sample.scope, sample.aims, AT)
        return recall(sample.nearest, truth)


def recall(found: Sequence[Near], truth: Sequence[Near]) -> float:
    """The share of what was found that is as near as the truth's last; 1 if there is nothing to find.

    By cosines, not by ids: of equal texts, any is right.
    """
    if not truth:
        return 1.0
    least = truth[-1].cosine - _ROUNDING
    return sum(near.cosine >= least for near in found[: len(truth)]) / len(truth)
