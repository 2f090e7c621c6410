"""Cutting a conversation into windows: pure decisions over ordered arrivals and a clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final, Literal

from services.extractor.extraction import MessageId, Window, WindowMessage

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
    """A message with the moment the system received it."""

    message: WindowMessage
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window that takes no more messages, and why."""

    window: Window
    reason: Reason

    @property
    def is_empty(self) -> bool:
        """Whether the window holds nothing but noise, and so costs nothing."""
        return all(message.label == "noise" for message in self.window.own)


@dataclass(frozen=True, slots=True)
class Cut:
    """Closed windows, the open tail, and when to look at the tail again (None: it is empty)."""

    windows: tuple[ClosedWindow, ...]
    tail: tuple[Arrival, ...]
    look_again_at: datetime | None


def cut(
    arrivals: Sequence[Arrival],
    now: datetime,
    limits: WindowLimits,
    previous: Sequence[WindowMessage] = (),
    parents: Mapping[MessageId, WindowMessage] | None = None,
    kept: int = 0,
) -> Cut:
    """Close what can be closed of one conversation's unassigned messages, given in order.

    `previous` are the last messages already assigned; `parents` are messages outside that
    replies point at. The first `kept` make up a window that was closed early and goes on: they stay together.
    Count and idle closings depend on the order alone, never on batching.
    """
    runs, tail = _split(arrivals, limits, kept)
    moment = _closing_time(tail, limits)
    if moment is not None and moment <= now:
        quiet = _quiet_at(tail, limits) <= now
        runs.append((tail, "idle" if quiet else "age"))
        tail, moment = [], None
    known = dict(parents or {})
    closed: list[ClosedWindow] = []
    before = tuple(previous)
    for run, reason in runs:
        own = tuple(arrival.message for arrival in run)
        closed.append(ClosedWindow(with_context(own, before, known, limits), reason))
        known.update((message.id, message) for message in own)
        before = (before + own)[-limits.run_max :]
    return Cut(tuple(closed), tuple(tail), moment)


def _split(
    arrivals: Iterable[Arrival], limits: WindowLimits, kept: int
) -> tuple[list[tuple[list[Arrival], Reason]], list[Arrival]]:
    """Runs closed by count or by an idle gap, in order, and the open rest; the first `kept` are not parted."""
    runs: list[tuple[list[Arrival], Reason]] = []
    run: list[Arrival] = []
    worth = 0
    for number, arrival in enumerate(arrivals):
        if run and number >= kept and _gap(run[-1], arrival) >= limits.idle:
            runs.append((run, "idle"))
            run, worth = [], 0
        run.append(arrival)
        worth += arrival.message.label != "noise"
        if worth >= limits.messages_max or len(run) >= limits.run_max:
            end = _pause(run, limits, 0 if runs else kept)
            runs.append((run[:end], "count"))
            run = run[end:]
            worth = _worth(run)
    return runs, run


def _worth(run: Sequence[Arrival]) -> int:
    return sum(arrival.message.label != "noise" for arrival in run)


def _gap(one: Arrival, other: Arrival) -> timedelta:
    return other.message.sent_at - one.message.sent_at


def _pause(run: Sequence[Arrival], limits: WindowLimits, kept: int) -> int:
    """How many messages of a full run come before its longest late pause; all of them if none stands out.

    More than the first `kept`.
    """
    gaps = [_gap(one, other).total_seconds() for one, other in pairwise(run)]
    usual = median(gaps) if gaps else 0.0
    late = [
        end
        for end in range(kept + 1, len(run))
        if _worth(run[:end]) >= PAUSE_AFTER * limits.messages_max
        or end >= PAUSE_AFTER * limits.run_max
    ]
    longest = max(late, key=lambda end: (gaps[end - 1], end), default=len(run))
    stands_out = bool(late) and gaps[longest - 1] > PAUSE_FACTOR * usual
    return longest if stands_out else len(run)


def _quiet_at(tail: Sequence[Arrival], limits: WindowLimits) -> datetime:
    spoken = max(arrival.message.sent_at for arrival in tail) + limits.idle
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
    """The last messages worth reading among `run_max` before the run, unless it was quiet."""
    if not previous or not own or limits.overlap == 0:
        return ()
    if abs(own[0].sent_at - previous[-1].sent_at) >= limits.idle:
        return ()
    recent = previous[-limits.run_max :]
    return [message for message in recent if message.label != "noise"][-limits.overlap :]
