"""What a sender has just sent, so that a stream need not ask the database what was said before."""

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from services.ingest.messages import Draft, Order, order_of
from services.ingest.store import SourceKey
from services.ingest.wording import CONTEXT_MESSAGES, REACH_MESSAGES, Context, Reading, read_again

Key = tuple[str, str, str]
"""Kind and external id of a source, with a thread or with the external id of a message."""


class Around(NamedTuple):
    """What is known among and after the messages of a batch in one conversation.

    The external ids of those among them, the places of the batch directly before any, and the first place after all.
    """

    among: Sequence[str]
    overtaken: Sequence[Order]
    after: Order | None


NOTHING = Around((), (), None)
_ID = itemgetter(2)


class Tail:
    """The last messages of a conversation in its order, cut where the next one goes.

    `readings` are of those before the cut. Clocks jump, midnight is dated a day off, and histories come newest first,
    so there may be others behind it; what is added moves the cut, and may overtake some of them. `has_first` says that
    nothing comes before them, and `has_last` that nothing was sent of what comes after them.
    """

    def __init__(
        self,
        orders: list[Order],
        readings: list[Reading],
        cut: int,
        *,
        has_first: bool = False,
        has_last: bool = True,
    ) -> None:
        self._orders, self.readings = orders[:cut], readings[:cut]
        self._behind = deque(zip(orders[cut:], readings[cut:], strict=True))
        self._begun = cut
        self.has_first, self._has_last = has_first, has_last
        self._passed_since = CONTEXT_MESSAGES
        self._passed: list[str] = []
        self._overtaken: list[Order] = []

    def add(self, reading: Reading, order: Order) -> None:
        """Add the next message."""
        self.readings.append(reading)
        self._orders.append(order)
        self._passed_since = 0

    def reach(self, order: Order) -> None:
        """Move the cut to a place that is not before it."""
        while self._behind and self._behind[0][0] < order:
            self._pass()

    def _pass(self) -> None:
        if self._passed_since == 0:
            self._overtaken.append(self._orders[-1])
        order, reading = self._behind.popleft()
        self._passed.append(reading.message_id)
        if self._passed_since < CONTEXT_MESSAGES:
            # It is among others now than those that it was read among.
            reading = read_again(reading, Context(self.readings[-CONTEXT_MESSAGES:]))
        self._passed_since += 1
        self.readings.append(reading)
        self._orders.append(order)

    def around(self) -> Around:
        """Return what was behind the cut and is among or after what was added."""
        overtaken, after = list(self._overtaken), None
        if self._behind:
            after = self._behind[0][0]
            if self._passed_since == 0:
                overtaken.append(self._orders[-1])
        return Around(list(self._passed), overtaken, after)

    def ended(self, most: int) -> "Tail":
        """Copy it with the cut at the end, and at most so many of its messages: those around where the next may go.

        That is after the last, or, if what was added came before others, before that.
        """
        came_before = bool(self._behind)
        while self._behind:
            self._pass()
        over = max(0, len(self._orders) - most)
        start = min(over, max(0, self._begun - REACH_MESSAGES)) if came_before else over
        end = start + most
        return Tail(
            self._orders[start:end],
            self.readings[start:end],
            most,
            has_first=self.has_first and start == 0,
            has_last=self._has_last and end >= len(self._orders),
        )

    def cut(self, order: Order) -> "Tail | None":
        """Copy it with the cut at a place; None if it does not tell what comes before that."""
        place, known = bisect_left(self._orders, order), len(self._orders)
        tells = self._has_last if place == known else self.has_first or place >= CONTEXT_MESSAGES
        if not tells:
            return None
        return Tail(
            self._orders,
            self.readings,
            place,
            has_first=self.has_first,
            has_last=self._has_last,
        )

    @property
    def end(self) -> Order:
        """The place before the cut."""
        return self._orders[-1]

    def holds_any(self, ids: Set[str]) -> bool:
        """Whether a message with one of some external ids is among those before the cut."""
        return not ids.isdisjoint(map(_ID, self._orders))


@dataclass(slots=True)
class Recalled:
    """What is known around a batch: tails by thread, messages by external id, and what only the database may know.

    `revision` is that of the source before the database was asked, if it was.
    """

    tails: dict[str, Tail] = field(default_factory=dict)
    messages: dict[str, Reading] = field(default_factory=dict)
    cold_threads: dict[str, datetime] = field(default_factory=dict)
    unknown_keys: list[str] = field(default_factory=list)
    revision: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to ask."""
        return not self.cold_threads and not self.unknown_keys


class Memory:
    """The newest tails of some conversations, and messages that replies may name; the least used are forgotten.

    Of messages the last `messages_max` are kept, and with a batch at most as many again; tails share as many.
    """

    def __init__(self, tails_max: int = 64, messages_max: int = 1000) -> None:
        self._tails: OrderedDict[Key, Tail] = OrderedDict()
        self._messages: dict[Key, Reading] = {}
        self._older: dict[Key, Reading] = {}
        self._revisions: dict[tuple[str, str], int] = {}
        self._tails_max, self._messages_max = tails_max, messages_max

    def forget(self) -> None:
        """Forget everything: what was sent is not what is stored."""
        self._tails.clear()
        self._messages, self._older = {}, {}
        self._revisions.clear()

    def agrees_with(self, source: SourceKey, revision: int) -> bool:
        """Whether all that was written to a source up to a revision is what is remembered."""
        return self._revisions.get((source.kind, source.external_id)) == revision

    def wrote(self, source: SourceKey, revision: int) -> None:
        """Take the next revision of a source for one's own; the source that was written to last stands last."""
        place = (source.kind, source.external_id)
        self._revisions.pop(place, None)
        self._revisions[place] = revision
        # A source without a tail is asked for again, so there is room for one a tail, and for those being saved.
        if len(self._revisions) > 2 * self._tails_max:
            del self._revisions[next(iter(self._revisions))]

    def recall(self, source: SourceKey, ordered: Sequence[Draft]) -> Recalled:
        """Gather what is known around a batch that is in the order of sending."""
        recalled = Recalled()
        keys = {each.external_id for each in ordered}
        for each in ordered:
            if each.thread_id not in recalled.tails:
                self._recall_tail(source, each, keys, recalled)
        for key in sorted({each.reply_to_external_id for each in ordered} - keys - {""}):
            place = (source.kind, source.external_id, key)
            reading = self._messages.get(place) or self._older.get(place)
            if reading is None:
                recalled.unknown_keys.append(key)
            else:
                recalled.messages[key] = reading
        return recalled

    def _recall_tail(
        self, source: SourceKey, first: Draft, keys: Set[str], recalled: Recalled
    ) -> None:
        """Recall a conversation unless the batch reaches back before what is known of it, or changes that."""
        thread, tail = first.thread_id, None
        known = self._tails.get((source.kind, source.external_id, thread))
        if known is not None and not known.holds_any(keys):
            tail = known.cut(order_of(first.sent_at, first.external_id))
        if tail is None:
            recalled.cold_threads[thread] = first.sent_at
        recalled.tails[thread] = tail or Tail([], [], 0)

    def keep(self, source: SourceKey, ordered: Sequence[Draft], recalled: Recalled) -> None:
        """Keep what a batch has added to its conversations."""
        if recalled.revision is not None:
            self._revisions.setdefault((source.kind, source.external_id), recalled.revision)
        most = max(REACH_MESSAGES + 1, 2 * self._messages_max // max(1, len(self._tails)))
        for thread, tail in recalled.tails.items():
            place = (source.kind, source.external_id, thread)
            known, ended = self._tails.get(place), tail.ended(most)
            if known is None or thread not in recalled.cold_threads or ended.end >= known.end:
                self._tails[place] = ended
                self._tails.move_to_end(place)
            if len(self._tails) > self._tails_max:
                self._tails.popitem(last=False)
        kind, external_id, messages = source.kind, source.external_id, recalled.messages
        keys = [each.external_id for each in ordered[-self._messages_max :]]
        if len(self._messages) + len(keys) > self._messages_max:
            self._older, self._messages = self._messages, {}
        self._messages.update({(kind, external_id, key): messages[key] for key in keys})
