"""Where the windows of a conversation end, and what each sees besides its own messages. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from statistics import median
from typing import Final, Literal

from services.extractor.extraction import Label, MessageId, Window, WindowMessage

Reason = Literal["count", "idle", "age"]

# A run that is full ends at its longest pause, if that lies in the last third and stands out from the usual one.
PAUSE_AFTER: Final = 2 / 3
PAUSE_FACTOR: Final = 2.0


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """When a window closes and how much it may see besides its own messages.

    `messages_max` counts what is worth reading, `run_max` counts noise too, so that a flood
    cannot keep a window open. A full window ends where people paused, so that two readings of the same talk
    that began at different messages soon agree again. `idle` and `settle` close a quiet tail, `age_max` any tail.
    """

    messages_max: int = 36
    run_max: int = 144
    idle: timedelta = timedelta(minutes=30)
    settle: timedelta = timedelta(seconds=20)
    age_max: timedelta = timedelta(hours=2)
    overlap: int = 4
    parents_max: int = 8

    @property
    def seen_max(self) -> int:
        """How many messages before a run are looked at for those worth showing with it."""
        return 4 * self.overlap

    def __post_init__(self) -> None:
        """Refuse limits under which a window could never close."""
        if not 1 <= self.messages_max <= self.run_max:
            raise ValueError("messages_max: must be at least 1 and at most run_max")
        if self.overlap < 0 or self.parents_max < 0:
            raise ValueError("overlap, parents_max: must not be negative")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that is in no closed window, as cutting sees it: without what it says."""

    message_id: MessageId
    thread_id: str
    sent_at: datetime
    received_at: datetime
    label: Label


@dataclass(frozen=True, slots=True)
class Run:
    """The messages of a window that takes no more of them, and why."""

    messages: tuple[Arrival, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Cut:
    """What is closed, the open tail, and when to look at the tail again (None: it is empty)."""

    runs: tuple[Run, ...]
    tail: tuple[Arrival, ...]
    look_again_at: datetime | None


def cut(arrivals: Iterable[Arrival], now: datetime, limits: WindowLimits, kept: int = 0) -> Cut:
    """Close what can be closed of one conversation's unassigned messages, given in order.

    The first `kept` make up a window that was closed early and goes on: they stay together.
    Count and idle closings depend on the order alone, never on batching.
    """
    runs, tail = _split(arrivals, limits, kept)
    moment = _closing_time(tail, limits)
    if moment is not None and moment <= now:
        runs.append(Run(tuple(tail), "idle" if _quiet_at(tail, limits) <= now else "age"))
        tail, moment = [], None
    return Cut(tuple(runs), tuple(tail), moment)


def _split(
    arrivals: Iterable[Arrival], limits: WindowLimits, kept: int
) -> tuple[list[Run], list[Arrival]]:
    """Runs closed by count or by an idle gap, in order, and the open rest; the first `kept` are not parted."""
    runs: list[Run] = []
    run: list[Arrival] = []
    worth = 0
    for number, arrival in enumerate(arrivals):
        if run and number >= kept and _gap(run[-1], arrival) >= limits.idle:
            runs.append(Run(tuple(run), "idle"))
            run, worth = [], 0
        run.append(arrival)
        worth += arrival.label != "noise"
        if worth >= limits.messages_max or len(run) >= limits.run_max:
            end = _pause(run, limits, 0 if runs else kept)
            runs.append(Run(tuple(run[:end]), "count"))
            run = run[end:]
            worth = sum(arrival.label != "noise" for arrival in run)
    return runs, run


def _gap(one: Arrival, other: Arrival) -> timedelta:
    return other.sent_at - one.sent_at


def _pause(run: Sequence[Arrival], limits: WindowLimits, kept: int) -> int:
    """How many messages of a full run come before its longest late pause; all of them if none stands out.

    More than the first `kept`.
    """
    gaps = [_gap(one, other).total_seconds() for one, other in pairwise(run)]
    usual = median(gaps) if gaps else 0.0
    worth = accumulate((arrival.label != "noise" for arrival in run), initial=0)
    late = [
        end
        for end, before in enumerate(worth)
        if kept < end < len(run)
        and (before >= PAUSE_AFTER * limits.messages_max or end >= PAUSE_AFTER * limits.run_max)
    ]
    longest = max(late, key=lambda end: (gaps[end - 1], end), default=len(run))
    stands_out = bool(late) and gaps[longest - 1] > PAUSE_FACTOR * usual
    return longest if stands_out else len(run)


def _quiet_at(tail: Sequence[Arrival], limits: WindowLimits) -> datetime:
    spoken = max(arrival.sent_at for arrival in tail) + limits.idle
    settled = max(arrival.received_at for arrival in tail) + limits.settle
    return max(spoken, settled)


def _closing_time(tail: Sequence[Arrival], limits: WindowLimits) -> datetime | None:
    """When the tail closes if nothing more arrives: once quiet and settled, or too old."""
    if not tail:
        return None
    expires = min(arrival.received_at for arrival in tail) + limits.age_max
    return min(_quiet_at(tail, limits), expires)


def with_context(
    own: tuple[WindowMessage, ...],
    previous: Sequence[WindowMessage],
    parents: Mapping[MessageId, WindowMessage],
    limits: WindowLimits,
) -> Window:
    """Put before a run the reply parents it needs and the end of what was said before it."""
    ids = {message.id for message in own}
    outside = dict.fromkeys(m.reply_to for m in own if m.reply_to is not None)
    wanted = [parents[i] for i in outside if i in parents and i not in ids]
    chosen = {m.id: m for m in wanted[: limits.parents_max]}
    chosen.update((m.id, m) for m in _overlap(own, previous, limits) if m.id not in ids)
    context = sorted(chosen.values(), key=lambda message: message.sent_at)
    return Window((*context, *own), len(context))


def _overlap(
    own: Sequence[WindowMessage], previous: Sequence[WindowMessage], limits: WindowLimits
) -> Sequence[WindowMessage]:
    """The last messages worth reading before the run, unless it was quiet."""
    if not previous or not own or limits.overlap == 0:
        return ()
    if abs(own[0].sent_at - previous[-1].sent_at) >= limits.idle:
        return ()
    return [message for message in previous if message.label != "noise"][-limits.overlap :]
