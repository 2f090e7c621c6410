"""Points in time as they come in."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import InvalidFields
from services.common.ids import uuid7_floor
from services.common.moments import ALWAYS, Span, read_moment, read_span
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


def test_what_is_near_an_end_of_a_span_is_looked_at_by_either_clock() -> None:
    """An id may be of a clock that is before or behind that of the time: within both no row is passed over."""
    first, end = datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 5, tzinfo=UTC)
    begins, ends = Span(first, end).first_id(), Span(first, end).last_id()
    assert begins is not None
    assert ends is not None
    assert begins < uuid7_floor(first - timedelta(minutes=4)) < uuid7_floor(first) < ends
    assert begins < uuid7_floor(end) < uuid7_floor(end + timedelta(minutes=4)) < ends
    assert begins > uuid7_floor(first - timedelta(minutes=6))
    assert ends < uuid7_floor(end + timedelta(minutes=6))
    assert (ALWAYS.first_id(), ALWAYS.last_id()) == (None, None)
    ever = Span(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert ever.first_id() == UUID(int=uuid7_floor(datetime(1970, 1, 1, tzinfo=UTC)).int)
    assert (ever.last_id() or begins) > ends
