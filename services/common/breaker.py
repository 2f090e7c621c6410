"""Stops calling a provider that keeps failing, and tries it again after a while."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_FAILURES_MAX = 3
_DOUBLINGS_MAX = 30


class Breaker:
    """Opens after three failures in a row, for 1 s and then twice as long each time; one success closes it.

    A provider that asks for a wait gets it after its first failure. It stays open while the provider is tried.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, seconds_max: float = 60
    ) -> None:
        self._clock, self._seconds_max = clock, seconds_max
        self._failures = 0
        self._open_until = 0.0
        self.is_open = False
        self.last_error = ""
        self.last_error_at: datetime | None = None

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def succeeded(self) -> None:
        """The provider has answered."""
        self._failures = 0
        self._open_until = 0.0
        self.is_open = False

    def failed(self, asked_seconds: float = 0, error: str = "") -> None:
        """The provider has not answered, or asks to be left alone for some seconds; `error` says how, for people."""
        self._failures += 1
        self.last_error, self.last_error_at = error, datetime.now(UTC)
        self._open_until = max(self._open_until, self._clock() + asked_seconds)
        self.is_open |= asked_seconds > 0 or self._failures >= _FAILURES_MAX
        if self._failures >= _FAILURES_MAX:
            doublings = min(self._failures - _FAILURES_MAX, _DOUBLINGS_MAX)
            wait = max(asked_seconds, min(2.0**doublings, self._seconds_max))
            self._open_until = max(self._open_until, self._clock() + wait)

    def wait_seconds(self) -> float:
        """How long to leave the provider alone; 0 when it may be called."""
        return max(0.0, self._open_until - self._clock())
