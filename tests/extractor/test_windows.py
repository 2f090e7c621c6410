"""Windows: what closes, what stays open, and what a window may see besides its own messages."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extractor.extraction import Label, MessageId, WindowMessage
from services.extractor.windows import Arrival, Cut, WindowLimits, cut, with_context

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIMITS = WindowLimits(
    messages_max=4,
    run_max=9,
    idle=timedelta(minutes=30),
    settle=timedelta(seconds=20),
    age_max=timedelta(hours=2),
    overlap=2,
    parents_max=2,
)


def message(
    number: int, minute: float = 0, label: Label = "signal", reply_to: int | None = None
) -> WindowMessage:
    """A message of one conversation, `minute` minutes after its start."""
    return WindowMessage(
        number, "ann", f"text {number}", START + timedelta(minutes=minute), reply_to, label
    )


def arrivals(messages: Sequence[WindowMessage]) -> list[Arrival]:
    """The messages as received the moment they were sent."""
    return [Arrival(m.id, "", m.sent_at, m.sent_at, m.label) for m in messages]


def ids(result: Cut) -> list[list[object]]:
    """The message ids of every closed window."""
    return [[each.message_id for each in run.messages] for run in result.runs]


@st.composite
def conversations(draw: st.DrawFn) -> list[WindowMessage]:
    """Conversations with gaps of any size, noise and replies."""
    gaps = draw(st.lists(st.integers(0, 45), max_size=60))
    minute, built = 0, []
    for number, gap in enumerate(gaps):
        minute += gap
        label = draw(st.sampled_from(["noise", "weak", "signal"]))
        parent = draw(st.one_of(st.none(), st.integers(0, number)))
        built.append(message(number, minute, label, parent))  # type: ignore[arg-type]
    return built


@given(conversations(), st.integers(0, 6000))
def test_every_message_is_in_exactly_one_window_or_the_tail(
    conversation: list[WindowMessage], minutes: int
) -> None:
    """Closed windows and the tail together are the conversation, in order, once each."""
    result = cut(arrivals(conversation), START + timedelta(minutes=minutes), LIMITS)
    placed = [identity for run in ids(result) for identity in run]
    placed += [arrival.message_id for arrival in result.tail]
    assert placed == [m.id for m in conversation]


@given(conversations(), st.lists(st.integers(1, 7), min_size=1, max_size=60))
def test_batching_does_not_change_decisions(
    conversation: list[WindowMessage], sizes: list[int]
) -> None:
    """Arriving in pieces closes the same windows as arriving at once."""
    whole = cut(arrivals(conversation), START, LIMITS)
    pending = arrivals(conversation)
    waiting: list[Arrival] = []
    closed: list[list[object]] = []
    for size in [*sizes, len(conversation)]:
        waiting, pending = waiting + pending[:size], pending[size:]
        part = cut(waiting, START - timedelta(days=1), LIMITS)
        closed += ids(part)
        waiting = list(part.tail)
    assert closed == ids(whole)[: len(closed)]
    rest = ids(whole)[len(closed) :]
    assert len(rest) <= 1
    assert [a.message_id for a in waiting] == [i for run in rest for i in run] + [
        a.message_id for a in whole.tail
    ]


@given(conversations())
def test_windows_are_bounded(conversation: list[WindowMessage]) -> None:
    """No window exceeds its limits of messages, noise included."""
    for run in cut(arrivals(conversation), START, LIMITS).runs:
        assert len(run.messages) <= LIMITS.run_max
        assert sum(each.label != "noise" for each in run.messages) <= LIMITS.messages_max


@given(conversations(), st.integers(0, 60), st.integers(0, 60))
def test_context_is_bounded_and_no_part_of_the_window(
    conversation: list[WindowMessage], start: int, length: int
) -> None:
    """The window has its own messages and no more of others than it may, each once, in the order they were sent."""
    before, own = conversation[:start], tuple(conversation[start : start + length])
    window = with_context(own, before, {m.id: m for m in conversation}, LIMITS)
    assert window.own == own
    assert window.context <= LIMITS.overlap + LIMITS.parents_max
    context = window.messages[: window.context]
    assert len({m.id for m in window.messages}) == len(window.messages)
    assert list(context) == sorted(context, key=lambda m: m.sent_at)


def test_noise_does_not_count_towards_a_window() -> None:
    """Noise between messages worth reading is assigned with them and closes nothing."""
    labels: list[Label] = ["signal", "noise", "signal", "noise", "signal", "noise", "weak"]
    talk = [message(n, n / 60, label) for n, label in enumerate(labels)]
    assert ids(cut(arrivals(talk), START, LIMITS)) == [[0, 1, 2, 3, 4, 5, 6]]


def test_a_flood_of_noise_closes_empty_windows() -> None:
    """Noise alone still closes by its own limit."""
    flood = [message(n, 0, "noise") for n in range(20)]
    result = cut(arrivals(flood), START, LIMITS)
    assert [len(run.messages) for run in result.runs] == [9, 9]


def test_an_idle_gap_closes_a_window() -> None:
    """Half an hour of silence ends a window, and the next one sees nothing across it."""
    talk = [message(0), message(1, 1), message(2, 40), message(3, 41)]
    result = cut(arrivals(talk), START + timedelta(days=1), LIMITS)
    assert ids(result) == [[0, 1], [2, 3]]
    assert [run.reason for run in result.runs] == ["idle", "idle"]
    assert with_context(tuple(talk[2:]), talk[:2], {}, LIMITS).context == 0


def test_a_full_window_ends_where_people_paused() -> None:
    """The longest pause of the last third ends it if it stands out, so that a later start soon gives the same."""
    minutes = [0, 1, 2, 12, 13, 14, 24, 25, 26, 36, 37, 38, 48]
    talk = [message(n, minute) for n, minute in enumerate(minutes)]
    whole, late = (ids(cut(arrivals(part), START, LIMITS)) for part in (talk, talk[2:]))
    assert whole == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert late == [[2, 3, 4, 5], *whole[2:]]
    assert ids(cut(arrivals([message(n, n) for n in range(8)]), START, LIMITS))[0] == [0, 1, 2, 3]


def test_what_was_closed_early_stays_together() -> None:
    """A window that goes on keeps what it had, even where its longest pause lies there."""
    talk = [message(0), message(1, 1), message(2, 2), message(3, 20), message(4, 21)]
    assert ids(cut(arrivals(talk), START, LIMITS)) == [[0, 1, 2]]
    assert ids(cut(arrivals(talk), START, LIMITS, kept=3)) == [[0, 1, 2, 3]]


def test_the_tail_waits_until_it_is_quiet_and_settled() -> None:
    """Old messages that have just arrived stay open until nothing more has come for a while."""
    received = START + timedelta(days=30)
    imported = [Arrival(0, "", START, received, "signal")]
    result = cut(imported, received + timedelta(seconds=19), LIMITS)
    assert result.runs == ()
    assert result.look_again_at == received + LIMITS.settle
    assert ids(cut(imported, received + timedelta(seconds=20), LIMITS)) == [[0]]


def test_an_old_tail_closes_though_talk_goes_on() -> None:
    """A trickle never keeps a tail open beyond its maximum age."""
    talk = [message(0), message(1, 28), message(2, 56), message(3, 84, "noise")]
    before = cut(arrivals(talk), START + timedelta(minutes=100), LIMITS)
    assert before.runs == ()
    talk.append(message(4, 110, "noise"))
    talk.append(message(5, 119, "noise"))
    result = cut(arrivals(talk), START + timedelta(hours=2), LIMITS)
    assert [run.reason for run in result.runs] == ["age"]


def test_overlap_and_reply_parents_become_context() -> None:
    """A window sees the last messages before it and what its messages reply to, in time order."""
    talk = [message(n, n) for n in range(4)] + [message(4, 5, reply_to=0)]
    window = with_context((talk[4],), talk[:4], {m.id: m for m in talk}, LIMITS)
    assert [m.id for m in window.messages[: window.context]] == [0, 2, 3]


def test_parents_outside_are_taken_only_as_far_as_allowed() -> None:
    """Replies to many old messages bring at most `parents_max` of them."""
    old: dict[MessageId, WindowMessage] = {n: message(n, -100 + n) for n in range(100, 110)}
    talk = [message(n, n, reply_to=100 + n) for n in range(4)]
    assert with_context(tuple(talk), (), old, LIMITS).context == LIMITS.parents_max


def test_nothing_to_cut() -> None:
    """Without messages there is no window, no tail and no moment to look again."""
    assert cut([], START, LIMITS) == Cut((), (), None)


@pytest.mark.parametrize("field", ["messages_max", "overlap"])
def test_impossible_limits_are_refused(field: str) -> None:
    """Limits under which a window could not close are an error that names the field."""
    with pytest.raises(ValueError, match=field):
        WindowLimits(**{field: -1})  # type: ignore[arg-type]
