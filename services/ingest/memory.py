"""What a sender has just sent, so that a stream need not ask the database what was said before."""

from collections import OrderedDict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from services.ingest.messages import Draft
from services.ingest.store import SourceKey
from services.ingest.wording import CONTEXT_MESSAGES, Reading

Place = tuple[str, str, str]
"""Kind and external id of a source, with a thread or with the external id of a message."""


@dataclass(slots=True)
class Tail:
    """The last messages of a conversation, oldest first."""

    readings: list[Reading]
    last_sent_at: datetime

    def add(self, reading: Reading, sent_at: datetime) -> None:
        """Add the next message."""
        self.readings.append(reading)
        self.last_sent_at = sent_at

    def shortened(self) -> "Tail":
        """Copy what later messages need."""
        return Tail(self.readings[-CONTEXT_MESSAGES:], self.last_sent_at)

    def holds_any(self, keys: Set[str]) -> bool:
        """Whether a message with one of some external ids is among them."""
        return any(reading.message_id in keys for reading in self.readings)


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

    Of messages the last `messages_max` are kept, and with a batch at most as many again.
    """

    def __init__(self, tails_max: int = 64, messages_max: int = 1000) -> None:
        self._tails: OrderedDict[Place, Tail] = OrderedDict()
        self._messages: dict[Place, Reading] = {}
        self._older: dict[Place, Reading] = {}
        self._revisions: dict[SourceKey, int] = {}
        self._tails_max, self._messages_max = tails_max, messages_max

    def forget(self) -> None:
        """Forget everything: what was sent is not what is stored."""
        self._tails.clear()
        self._messages, self._older = {}, {}
        self._revisions.clear()

    def agrees_with(self, source: SourceKey, revision: int) -> bool:
        """Whether all that was written to a source up to a revision is what is remembered."""
        return self._revisions.get(source) == revision

    def wrote(self, source: SourceKey, revision: int) -> None:
        """Take the next revision of a source for one's own."""
        self._revisions[source] = revision

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
        """Recall a conversation unless the batch reaches back into it."""
        thread, until = first.thread_id, first.sent_at
        known = self._tails.get((source.kind, source.external_id, thread))
        if known is None or known.last_sent_at > until or known.holds_any(keys):
            recalled.cold_threads[thread] = until
            recalled.tails[thread] = Tail([], until)
        else:
            recalled.tails[thread] = known.shortened()

    def keep(self, source: SourceKey, ordered: Sequence[Draft], recalled: Recalled) -> None:
        """Keep what a batch has added to its conversations."""
        if recalled.revision is not None:
            self._revisions.setdefault(source, recalled.revision)
        for thread, tail in recalled.tails.items():
            place = (source.kind, source.external_id, thread)
            known = self._tails.get(place)
            if known is None or known.last_sent_at <= tail.last_sent_at:
                self._tails[place] = tail.shortened()
                self._tails.move_to_end(place)
            if len(self._tails) > self._tails_max:
                self._tails.popitem(last=False)
        kind, external_id, messages = source.kind, source.external_id, recalled.messages
        keys = [each.external_id for each in ordered[-self._messages_max :]]
        if len(self._messages) + len(keys) > self._messages_max:
            self._older, self._messages = self._messages, {}
        self._messages.update({(kind, external_id, key): messages[key] for key in keys})
