"""Points and spans of time from the wire: one reading and one refusal in all services."""

from datetime import UTC, datetime
from typing import Any

from services.common.errors import FieldViolation, InvalidFields

NO_TIME = "must lie between the years 1 and 9999, with nanos of 0 to 999,999,999"


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
