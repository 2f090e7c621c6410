"""Whether a client that reports what it does is still at it."""

import time


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
