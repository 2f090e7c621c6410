"""Looks at a stream of hints under a virtual clock: what is said to have left it has, whatever the broker does."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.hints import HintStream
from services.common.looks import Look, Looks

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CONSUMERS = ("embed", "window")


@dataclass(frozen=True)
class Hint:
    """A message of the stream: its number, for whom it is, and when it was published by the database's clock."""

    number: int
    consumer: str
    published: datetime


class Stream(RuleBasedStateMachine):
    """A broker that delivers, forgets, loses its end in a power cut, or all of its store."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.made, self.last = BEGIN, 0, 0
        self.held: list[Hint] = []
        self.looks = Looks()
        # The looks since numbers last could not be compared, as somebody would keep them who never throws one away.
        self.kept: list[Look] = []
        self.is_cut = False

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.now += timedelta(seconds=seconds)

    @rule(consumer=st.sampled_from(CONSUMERS), count=st.integers(1, 3))
    def publish(self, consumer: str, count: int) -> None:
        """The relay publishes hints."""
        for _ in range(count):
            self.last += 1
            self.held.append(Hint(self.last, consumer, self.now))

    @rule(which=st.integers(0, 9), many=st.integers(1, 4))
    def deliver(self, which: int, many: int) -> None:
        """Some are answered, in any order."""
        if self.held:
            at = which % len(self.held)
            del self.held[at : at + many]

    @rule(count=st.integers(1, 4))
    def expire(self, count: int) -> None:
        """The oldest are too old for the stream, or too many."""
        del self.held[:count]

    @rule(count=st.integers(1, 4))
    def lose_the_end(self, count: int) -> None:
        """A power cut takes what was written last, and its numbers are given again."""
        self.last, self.is_cut = max(self.last - count, 0), True
        self.held = [hint for hint in self.held if hint.number <= self.last]

    @rule()
    def wipe(self) -> None:
        """The store is gone; the stream is made anew."""
        self.made, self.last, self.held = self.made + 1, 0, []

    @rule(consumer=st.sampled_from(CONSUMERS), between=st.integers(0, 2))
    def look(self, consumer: str, between: int) -> None:
        """The clock is read before the stream, which may get more in between."""
        at = self.now
        self.now += timedelta(milliseconds=100)
        if between:
            self.publish(consumer, between)
        first = self.held[0].number if self.held else self.last + 1
        waiting = frozenset(hint.consumer for hint in self.held)
        stream = HintStream(BEGIN + timedelta(days=self.made), first, self.last, waiting)
        seen = Look(at, stream)
        before = self.kept[-1].hints if self.kept else stream
        if before.created_at != stream.created_at or before.last > stream.last:
            self.kept.clear()
            self.is_cut = False
        self.kept.append(seen)
        self.looks.add(seen)
        for each in CONSUMERS:
            self.check(each)

    def check(self, consumer: str) -> None:
        """What is held for a consumer was published since, and no later moment could be told from the looks.

        Where numbers were given again and no look has shown it, less may be told.
        """
        gone, now = self.looks.gone_before(consumer), self.kept[-1]
        if gone is not None:
            mine = [hint.published for hint in self.held if hint.consumer == consumer]
            assert all(published >= gone for published in mine)
        if consumer not in now.hints.waiting:
            assert gone == now.at
        else:
            empty_of_these = [k.at for k in self.kept if k.hints.last < now.hints.first]
            latest = max(empty_of_these, default=None)
            assert gone == latest or (self.is_cut and gone in (None, *empty_of_these))

    @invariant()
    def numbers_are_in_order(self) -> None:
        """The stream that the looks see is one that a broker could have."""
        numbers = [hint.number for hint in self.held]
        assert numbers == sorted(set(numbers))
        assert not numbers or numbers[-1] <= self.last


TestStream = Stream.TestCase
TestStream.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
