"""Points in time as they come in."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import InvalidFields
from services.common.moments import read_moment, read_span
from winnow.search.v1.search_pb2 import TimeRange


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


def test_a_span_has_a_moment_or_is_refused() -> None:
    """Ends that are open are none, and what ends a span is after its beginning, or named by its path."""
    first, last = Timestamp(seconds=1), Timestamp(seconds=1, nanos=1000)
    assert read_span(TimeRange(), "after", "before") == (None, None)
    begins, ends = read_span(TimeRange(after=first, before=last), "after", "before")
    assert begins is not None
    assert ends is not None
    assert begins < ends
    for before in (first, Timestamp(seconds=0)):
        with pytest.raises(InvalidFields) as refused:
            read_span(TimeRange(after=first, before=before), "after", "before", "sent.")
        (violation,) = refused.value.violations
        assert str(violation) == "sent.before: must be later than after"
