"""What a client reports: whether it is still at it, and what of that is news."""

import time
from collections.abc import Callable

TOLD_AGAIN_SECONDS = 10.0


class SignsOfLife:
    """Since when calls fail while the client, which tells of each try to connect, has said nothing either.

    A connection that breaks while it is being made again can leave the client without a task that goes on trying.
    """

    def __init__(self) -> None:
        self._missing_since: float | None = None

    def seen(self) -> None:
        """Something was answered, or the client has told of an error."""
        self._missing_since = None

    def missing_for(self) -> float:
        """Count a call that failed; return for how many seconds there have been failures and nothing else."""
        now = time.monotonic()
        self._missing_since = self._missing_since or now
        return now - self._missing_since


class Repeats:
    """Leaves out of the log what was said a moment ago: a client that cannot connect says so five times a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._text, self._told_at = clock, "", 0.0

    def is_news(self, text: str) -> bool:
        """Whether a text differs from the last one that was told, or that is some seconds ago."""
        now = self._clock()
        if text == self._text and now < self._told_at + TOLD_AGAIN_SECONDS:
            return False
        self._text, self._told_at = text, now
        return True
