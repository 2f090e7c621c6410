"""Points in time as they come in."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import InvalidFields
from services.common.moments import read_moment


def test_the_ends_of_time_are_read() -> None:
    """The first and the last moment that a Timestamp can say are times."""
    first = Timestamp(seconds=-62135596800)
    last = Timestamp(seconds=253402300799, nanos=999_999_999)
    assert read_moment("sent_after", first) == datetime(1, 1, 1, tzinfo=UTC)
    assert read_moment("sent_before", last) == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        Timestamp(seconds=-62135596801),
        Timestamp(seconds=253402300800),
        Timestamp(seconds=1 << 62),
        Timestamp(nanos=-1),
        Timestamp(nanos=1_000_000_000),
    ],
    ids=str,
)
def test_what_no_calendar_has_is_refused(moment: Timestamp) -> None:
    """Whatever is wrong with a time, its field is named, and both that can be wrong with it."""
    with pytest.raises(InvalidFields) as refused:
        read_moment("filter.sent_after", moment)
    (violation,) = refused.value.violations
    assert violation.field == "filter.sent_after"
    assert "years 1 and 9999" in violation.description
    assert "nanos of 0 to 999,999,999" in violation.description
