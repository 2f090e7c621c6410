"""What the broker was seen to hold, look by look, and what that says about hints which it holds no longer."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from services.common.hints import HintStream

# As long as a stream keeps a hint, at a look every other second.
LOOKS_MAX = 2000


@dataclass(frozen=True)
class Look:
    """What the broker held at a time by the database's clock, which is read first."""

    at: datetime
    hints: HintStream


class Looks:
    """The looks at one stream by which its first message can be placed in time.

    Numbers alone are compared, and times of one clock: that of the broker may say what it likes.
    """

    def __init__(self) -> None:
        self._looks = deque[Look](maxlen=LOOKS_MAX)

    def add(self, look: Look) -> None:
        """Remember a look; those at another stream, or at one that has lost its end since, say nothing any more."""
        last = self._looks[-1].hints if self._looks else None
        if last and (last.created_at != look.hints.created_at or last.last > look.hints.last):
            self._looks.clear()
        elif last and last.last == look.hints.last:
            self._looks.pop()
        self._looks.append(look)
        while len(self._looks) > 1 and self._looks[1].hints.last < look.hints.first:
            self._looks.popleft()

    def gone_before(self, consumer: str) -> datetime | None:
        """The time before which no hint was published that the stream still holds for a consumer; None if unknown."""
        now, oldest = self._looks[-1], self._looks[0]
        if consumer not in now.hints.waiting:
            return now.at
        return oldest.at if oldest.hints.last < now.hints.first else None
