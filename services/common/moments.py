"""Points in time from the wire: one reading and one refusal in all services."""

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
