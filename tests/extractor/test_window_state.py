"""Cutting under a virtual clock: whatever arrives in whatever order, each message ends in one window by looks alone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.extractor.windows import Arrival, Run, WindowLimits, cut

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LIMITS = WindowLimits(
    messages_max=3,
    run_max=6,
    idle=timedelta(minutes=5),
    settle=timedelta(seconds=20),
    age_max=timedelta(minutes=30),
)
LABELS = st.sampled_from(["noise", "signal"])


class Windows(RuleBasedStateMachine):
    """One conversation, its open window, and the looks that are planned; a look that was made is not made again."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.numbers = 0
        self.waiting: dict[int, Arrival] = {}
        self.cut: dict[int, int] = {}
        self.planned: dict[tuple[object, datetime], bool] = {}

    @rule(minute=st.integers(-20, 20), label=LABELS, many=st.integers(1, 3))
    def arrive(self, minute: int, label: str, many: int) -> None:
        """Messages arrive that were said at any time, also before others that are here already."""
        for _ in range(many):
            self.numbers += 1
            sent_at = self.now + timedelta(minutes=minute)
            self.waiting[self.numbers] = Arrival(self.numbers, "", sent_at, self.now, label)  # type: ignore[arg-type]
        self.look()

    @rule(which=st.integers(0, 99))
    def delete(self, which: int) -> None:
        """A message is deleted while it waits; nobody looks because of it."""
        if self.waiting:
            del self.waiting[sorted(self.waiting)[which % len(self.waiting)]]

    @rule(seconds=st.integers(0, 1800))
    def wait(self, seconds: int) -> None:
        """Time passes, and the looks that fall due are made."""
        self.now += timedelta(seconds=seconds)
        self.make_planned_looks()

    def make_planned_looks(self) -> None:
        """Make each planned look whose moment has come, once."""
        while due := [key for key, open_ in self.planned.items() if open_ and key[1] <= self.now]:
            self.planned[due[0]] = False
            self.look()

    def look(self) -> None:
        """Cut what can be cut, and plan the next look as the stage does: known by the tail's end and its moment."""
        ordered = sorted(self.waiting.values(), key=lambda a: (a.sent_at, a.message_id))
        result = cut(ordered, self.now, LIMITS)
        for number, run in enumerate(result.runs, len(self.cut) + 1):
            self.keeps_limits(run)
            for each in run.messages:
                assert each.message_id not in self.cut
                self.cut[each.message_id] = number  # type: ignore[index]
                del self.waiting[each.message_id]  # type: ignore[arg-type]
        if result.tail and result.look_again_at:
            self.planned.setdefault((result.tail[-1].message_id, result.look_again_at), True)

    def keeps_limits(self, run: Run) -> None:
        """A window holds no more than it may, in one stretch of talk."""
        own = run.messages
        assert 1 <= len(own) <= LIMITS.run_max
        assert sum(message.label != "noise" for message in own) <= LIMITS.messages_max
        assert all(b.sent_at - a.sent_at < LIMITS.idle for a, b in pairwise(own))

    @invariant()
    def what_waits_is_looked_at(self) -> None:
        """As long as anything waits a look is planned, so that nothing waits for ever."""
        if self.waiting:
            assert any(self.planned.values())

    def teardown(self) -> None:
        """When nothing more arrives, everything is cut once the oldest may wait no longer."""
        for _ in range(len(self.planned) + 2):
            self.now += LIMITS.age_max + LIMITS.idle
            self.make_planned_looks()
        assert self.waiting == {}


TestWindows = Windows.TestCase
TestWindows.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
