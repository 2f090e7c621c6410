"""Which generations' models fail, and when each may be asked again: one that fails holds up no other generation."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from services.common.breaker import Breaker
from services.common.errors import ModelUnavailable, ProviderBusy, ProviderFailing
from services.common.work import Reason

# Of tasks that wait, as many a pass as others may well take before this process does.
WOKEN_MAX: Final = 1000
# A batch is enough to see whether a model answers again.
_TRIED_WITH_MAX: Final = 64
# Woken by whoever may ask the model; the hour is for replicas of a release that wakes nobody.
_PARKED_SECONDS: Final = 3600.0


class Outages:
    """The breakers of generations, in this process.

    A model that has failed is asked by one batch of a lane at a time until it answers: one that never answers, however
    long that takes to find out, does not occupy all workers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._breakers: defaultdict[UUID, Breaker] = defaultdict(lambda: Breaker(clock))
        self._asked: Counter[tuple[UUID, bool]] = Counter()

    def failures(self, generation: UUID) -> int:
        """How often a model has failed since it last answered."""
        return self._breakers[generation].failures

    def any_open(self, generations: Iterable[UUID]) -> bool:
        """Whether the model of one of these has been left alone, and has not answered since."""
        return any(self._breakers[each].is_open for each in generations)

    def why_not(self, generation: UUID, *, can_wait: bool) -> Reason | None:
        """Why tasks of a generation should wait instead of asking its model; None if they may ask."""
        breaker = self._breakers[generation]
        is_tried = breaker.failures and self._asked[generation, can_wait]
        if not (is_tried or breaker.wait_seconds()):
            return None
        return Reason(ProviderFailing.__name__, breaker.last_error, _PARKED_SECONDS)

    def to_wake(self, generation: UUID) -> int:
        """How many tasks to wake of those that wait for a model: a few to try it with, and many once it answers."""
        breaker = self._breakers[generation]
        if not breaker.failures:
            return WOKEN_MAX
        is_tried = self._asked[generation, False] or self._asked[generation, True]
        return 0 if is_tried or breaker.wait_seconds() else _TRIED_WITH_MAX

    @contextmanager
    def asking(self, generation: UUID, *, can_wait: bool) -> Iterator[None]:
        """Ask a model within: ProviderFailing if it does not answer."""
        breaker, key = self._breakers[generation], (generation, can_wait)
        self._asked[key] += 1
        try:
            yield
        except ModelUnavailable as error:
            asked_seconds = error.retry_seconds if isinstance(error, ProviderBusy) else 0
            breaker.failed(asked_seconds, str(error))
            wait = max(breaker.wait_seconds(), error.retry_seconds)
            raise ProviderFailing(str(error), wait) from error
        else:
            breaker.succeeded()
        finally:
            self._asked[key] -= 1
