"""The database's clock, by which tasks are due, beside that of the process, which only goes on."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

# Clocks are put right by seconds all the time, and no task waits for long because of that.
_NOTICED = timedelta(minutes=1)


class DatabaseClock:
    """Notices that the clock was put back, or that a server whose clock is behind has taken over."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: tuple[datetime, float] | None = None
        self._asked_at = 0.0

    def ask(self) -> None:
        """Begin to read the time: what passes until it is known does not make the clock seem to be behind."""
        self._asked_at = self._monotonic()

    def answer(self, now: datetime) -> timedelta | None:
        """How far the clock went back since the last answer; None if it did not."""
        last, self._last = self._last, (now, self._monotonic())
        if last is None:
            return None
        back = last[0] + timedelta(seconds=self._asked_at - last[1]) - now
        return back if back > _NOTICED else None
