"""What looks at the stream of hints say of those that it holds no longer."""

from datetime import UTC, datetime, timedelta

from services.common.hints import HintStream
from services.common.looks import Look, Looks

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def seen(*looks: tuple[int, int, str], made: int = 0, looked: Looks | None = None) -> Looks:
    """Looks a second apart, each at a stream's first and last message and the consumers of what it holds."""
    found = looked or Looks()
    for number, (first, last, waiting) in enumerate(looks):
        stream = HintStream(BEGIN + timedelta(days=made), first, last, frozenset(waiting.split()))
        found.add(Look(BEGIN + timedelta(seconds=number), stream))
    return found


def seconds(looks: Looks, consumer: str) -> float | None:
    """Before which second everything for a consumer has left the stream."""
    at = looks.gone_before(consumer)
    return at and (at - BEGIN).total_seconds()


def test_of_an_empty_stream_everything_has_left() -> None:
    """Where nothing waits, all that was published has been answered or is lost."""
    assert seconds(seen((1, 0, "")), "embed") == 0
    assert seconds(seen((1, 5, "embed"), (3, 5, "embed"), (6, 5, "")), "embed") == 2


def test_consumers_are_told_apart() -> None:
    """What waits for one consumer hides nothing of another."""
    looks = seen((1, 5, "embed window"), (1, 5, "window"))
    assert (seconds(looks, "embed"), seconds(looks, "window")) == (1, None)


def test_a_first_message_is_placed_in_time() -> None:
    """The latest look that saw none of what is there now tells until when everything has left."""
    looks = [(1, 10, "embed"), (1, 20, "embed"), (1, 20, "embed"), (1, 30, "embed")]
    assert seconds(seen(*looks), "embed") is None
    assert seconds(seen(*looks, (10, 40, "embed")), "embed") is None
    assert seconds(seen(*looks, (11, 40, "embed")), "embed") == 0
    assert seconds(seen(*looks, (21, 40, "embed")), "embed") == 2
    assert seconds(seen(*looks, (11, 40, "embed"), (40, 40, "embed")), "embed") == 3


def test_another_stream_says_nothing_of_the_first() -> None:
    """Numbers of a stream that was made anew, or that lost its end, are not compared with those of before."""
    old = [(1, 10, "embed"), (5, 20, "embed")]
    assert seconds(seen((15, 21, "embed"), made=1, looked=seen(*old)), "embed") is None
    assert seconds(seen(*old, (15, 18, "embed"), (15, 30, "embed")), "embed") is None
    assert seconds(seen(*old, (15, 18, "embed"), (19, 30, "embed")), "embed") == 2
