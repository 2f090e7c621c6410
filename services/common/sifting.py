"""Pages of those rows that a filter keeps, where they are read by a query that does not know it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from services.common.ids import uuid7_floor
from services.common.moments import read_span

READ_MAX: Final = 500
"""Rows of one statement."""
SIFTED_MAX: Final = 10_000
"""Rows that are read for one page, in some tenths of a second."""
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""By how much the clocks may differ that the times and the ids of rows are of."""
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """A span of time in which rows were made whose ids are UUIDv7; an end that is None is open."""

    first: datetime | None
    end: datetime | None

    @classmethod
    def read(cls, request: Any, first: str, end: str) -> Self:
        """Read it from two fields of a request; InvalidFields if no moment lies between them."""
        return cls(*read_span(request, first, end))

    def __contains__(self, moment: datetime) -> bool:
        return (self.first is None or moment >= self.first) and (
            self.end is None or moment < self.end
        )

    def first_id(self) -> UUID | None:
        """What the ids of its rows come after; None if it has no beginning."""
        return uuid7_floor(_earlier(self.first)) if self.first else None

    def last_id(self) -> UUID | None:
        """What they come before; None if it has no end."""
        return uuid7_floor(_later(self.end)) if self.end else None

    def is_long_after(self, moment: datetime) -> bool:
        """Whether it begins after a moment, whichever clock a row's id and time are of."""
        return self.first is not None and moment < _earlier(self.first)

    def is_long_before(self, moment: datetime) -> bool:
        """Whether it ends before a moment."""
        return self.end is not None and moment > _later(self.end)


def _earlier(moment: datetime) -> datetime:
    return max(moment, _FIRST + CLOCKS_DIFFER) - CLOCKS_DIFFER


def _later(moment: datetime) -> datetime:
    return min(moment, _LAST - CLOCKS_DIFFER) + CLOCKS_DIFFER


async def sift(
    read: Callable[[Any, int], Awaitable[Sequence[Any]]],
    size: int,
    keeps: Callable[[Any], bool],
    ends: Callable[[Any], bool],
) -> tuple[list[Any], Any]:
    """Up to `size` rows that are kept, and the row after which others may come; None if there are no more.

    `read` returns the next rows after one, or the first after None; `ends` tells a row from which on none is kept.
    """
    found: list[Any] = []
    last = None
    limit = size  # which is enough where every row is kept
    for _ in range(SIFTED_MAX // READ_MAX):
        rows = await read(last, limit)
        for last in rows:
            if ends(last):
                return found, None
            if keeps(last):
                found.append(last)
            if len(found) == size:
                return found, last
        if len(rows) < limit:
            return found, None
        limit = READ_MAX
    return found, last
