"""Points and spans of time from the wire: one reading and one refusal in all services."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from services.common.errors import FieldViolation, InvalidFields
from services.common.ids import uuid7_floor

NO_TIME = "must lie between the years 1 and 9999, with nanos of 0 to 999,999,999"
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""By how much the clocks may differ that the times and the ids of rows are of."""
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def read_moment(field: str, moment: Any) -> datetime:
    """A `google.protobuf.Timestamp` as a time in UTC; InvalidFields by its field if no calendar has it."""
    try:
        found: datetime = moment.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidFields(FieldViolation(field, NO_TIME)) from None
    return found


def read_span(
    request: Any, first: str, end: str, path: str = ""
) -> tuple[datetime | None, datetime | None]:
    """The first moment of a span and that which ends it, from fields of a request; None for an end that is open.

    InvalidFields by its field, which is below `path`, if no calendar has one, or no moment lies between them.
    """
    begins, ends = (
        read_moment(path + name, getattr(request, name)) if request.HasField(name) else None
        for name in (first, end)
    )
    if begins is not None and ends is not None and ends <= begins:
        raise InvalidFields(FieldViolation(path + end, f"must be later than {first}"))
    return begins, ends


@dataclass(frozen=True)
class Span:
    """A span of time in which rows were made whose ids are UUIDv7; an end that is None is open."""

    first: datetime | None
    end: datetime | None

    @classmethod
    def read(cls, request: Any, first: str, end: str) -> Self:
        """Read it from two fields of a request; InvalidFields if no moment lies between them."""
        return cls(*read_span(request, first, end))

    def first_id(self) -> UUID | None:
        """What the ids of its rows come after, whichever clock they are of; None if it has no beginning."""
        if self.first is None:
            return None
        return uuid7_floor(max(self.first, _FIRST + CLOCKS_DIFFER) - CLOCKS_DIFFER)

    def last_id(self) -> UUID | None:
        """What they come before; None if it has no end."""
        if self.end is None:
            return None
        return uuid7_floor(min(self.end, _LAST - CLOCKS_DIFFER) + CLOCKS_DIFFER)


ALWAYS: Final = Span(None, None)
