"""Which known atom a new reading speaks of: what people have judged keeps its words, and swallows what repeats it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.common.ids import uuid7
from services.extractor.extraction import AtomDraft, Extraction
from services.extractor.store import text_sha256


@dataclass(frozen=True, slots=True)
class KnownAtom:
    """An atom of the window as it is: live, merged into another, or invalidated by a person.

    `texts` and `types` are those of its versions, the newest first. Of its own `passages` so many are
    `standing`: their message is live and still holds the quote; so are the `borrowed` ones of atoms merged into it.
    `merged_by` says who merged it into another, empty if nobody did.
    """

    id: UUID
    version: int
    texts: tuple[str, ...]
    types: tuple[str, ...]
    message_ids: frozenset[UUID]
    passages: int
    standing: int
    state: str
    origin: str
    is_ended: bool
    is_invalidated: bool
    borrowed: int = 0
    merged_by: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether a person, or what came after it, has spoken of it."""
        return (
            self.is_invalidated
            or self.is_ended
            or self.origin == "person"
            or self.merged_by == "person"
            or self.state in ("approved", "rejected")
        )

    @property
    def is_held(self) -> bool:
        """Whether a reading must leave its words alone.

        Words that no person wrote are held only while all that they rest on stands, unless they were refused.
        """
        if self.is_invalidated or self.origin == "person" or self.state == "rejected":
            return True
        return self.is_judged and self.standing == self.passages

    @property
    def outlives_silence(self) -> bool:
        """Whether it stays though a reading does not mention it."""
        return self.is_held and self.standing + self.borrowed > 0

    @property
    def stands(self) -> bool:
        """Whether it stays though a reading failed: all that it rests on stands."""
        return self.outlives_silence or 0 < self.passages == self.standing


@dataclass(frozen=True, slots=True)
class PlacedAtom:
    """A draft with the id, the version and the topic it is saved under; a held atom takes its evidence alone."""

    id: UUID
    version: int
    is_known: bool
    is_held: bool
    is_changed: bool
    topic_id: UUID | None
    draft: AtomDraft
    sha256: bytes
    valid_from: datetime


def place(
    known: Sequence[KnownAtom],
    extraction: Extraction,
    topics: Sequence[UUID],
    sent_at: dict[UUID, datetime],
) -> list[PlacedAtom]:
    """Give every draft the id of the known atom it repeats, or a new one."""
    topic_of = {
        position: topics[index]
        for index, topic in enumerate(extraction.topics)
        for position in topic.atom_indices
    }
    matches = match(known, extraction.atoms)
    return [
        _placed(draft, matches.get(position), topic_of.get(position), sent_at)
        for position, draft in enumerate(extraction.atoms)
    ]


def _placed(
    draft: AtomDraft, atom: KnownAtom | None, topic: UUID | None, sent_at: dict[UUID, datetime]
) -> PlacedAtom:
    text = _text(draft)
    first = min(sent_at[message] for message in draft.message_ids)  # type: ignore[index]
    rest = (topic, draft, text_sha256(text), first)
    if atom is None:
        return PlacedAtom(uuid7(), 1, False, False, True, *rest)
    if atom.is_held:
        return PlacedAtom(atom.id, atom.version, True, True, False, *rest)
    changed = (atom.texts[0], atom.types[0]) != (text, draft.type)
    return PlacedAtom(atom.id, atom.version + changed, True, False, changed, *rest)


def match(known: Sequence[KnownAtom], drafts: Sequence[AtomDraft]) -> dict[int, KnownAtom]:
    """The known atom that each draft repeats, by position: the same words first, then the same evidence and type.

    Where several could be meant, the likest words decide.
    """
    left = {atom.id: atom for atom in known}
    matches: dict[int, KnownAtom] = {}
    for is_same in (_has_words, _had_words, _has_evidence):
        pairs = [
            (-_likeness(draft, atom), atom.is_judged, position, atom.id)
            for position, draft in enumerate(drafts)
            if position not in matches
            for atom in left.values()
            if is_same(draft, atom)
        ]
        for _, _, position, identity in sorted(pairs):
            if position not in matches and identity in left:
                matches[position] = left.pop(identity)
    return matches


def _text(draft: AtomDraft) -> str:
    return f"{draft.title}\n{draft.content}"


def _has_words(draft: AtomDraft, atom: KnownAtom) -> bool:
    return _text(draft) == atom.texts[0]


def _had_words(draft: AtomDraft, atom: KnownAtom) -> bool:
    return atom.is_judged and _text(draft) in atom.texts


def _has_evidence(draft: AtomDraft, atom: KnownAtom) -> bool:
    types = atom.types if atom.is_judged else atom.types[:1]
    return draft.type in types and set(draft.message_ids) == atom.message_ids


def _likeness(draft: AtomDraft, atom: KnownAtom) -> float:
    """How alike the words are to those of the likest version, 0 to 1."""
    words = _words(_text(draft))
    return max((_shared(words, _words(text)) for text in atom.texts), default=0.0)


def _words(text: str) -> Counter[str]:
    return Counter(text.casefold().split())


def _shared(one: Counter[str], other: Counter[str]) -> float:
    """The share of all words that both have: the coefficient of Dice (1945) over bags of words, in linear time."""
    return 2 * (one & other).total() / max(1, one.total() + other.total())
