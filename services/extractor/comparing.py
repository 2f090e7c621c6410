"""How two atoms bear on each other: the same, contradicting, or about the same thing. Pure.

Cosines mean something else in every model, so none is compared with a number: `relatedness` says where a cosine lies
between what unrelated atoms of the workspace have in that model (0) and the same text (1). Words must agree with
meaning before two atoms are taken for one, since a model calls "before 1.2" and "after 1.3" nearly the same.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal
from uuid import UUID

from services.extractor import polarity, wording
from services.extractor.extraction import LinkType
from services.extractor.wording import Wording
from services.extractor.writing import composed

Verdict = Literal["same", "contradicts", "similar"]
Judgement = Literal["", "approved", "rejected"]

SAME_EVIDENCE: Final = 0.5
SAME_WORDS: Final = 0.6
TOLD_WORDS: Final = 0.9
SIMILAR: Final = 0.62
OPPOSED: Final = 0.55
ANSWERED: Final = 0.8
# Sure by meaning, by words, or by both: (relatedness, words both have, share of the smaller's words that the larger
# has).
SAME: Final = ((0.88, 0.4, 0.0), (0.8, 0.0, 0.85), (0.6, 0.8, 0.0))
SAME_ACROSS_KINDS: Final = (0.88, 0.6, 0.0)
_STEMS_MIN: Final = 3
# What two texts of which one gives another value must have in common besides.
_SAME_MIN: Final = 2
_DAY_STEMS: Final = frozenset(map(wording.stem, wording.DAYS))
_KINDS: Final[Mapping[str, str]] = {
    "problem": "raised",
    "question": "raised",
    "blocker": "raised",
    "risk": "raised",
    "solution": "answer",
    "insight": "answer",
    "decision": "answer",
    "requirement": "answer",
    "pattern": "answer",
    "idea": "answer",
}
# What can stop holding because something newer was settled.
_SETTLED: Final = frozenset({"decision", "requirement"})
_SPEAKER: Final = re.compile(r"\S{1,40}: ")
_QUOTED: Final = re.compile(r"\A«(.*?)…?»\s*\n", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """An atom as it is compared.

    `messages` are equal for the same message of two sources, and `speakers` who wrote them. `judgement` is a person's:
    whatever a person wrote is approved, what was invalidated rejected.
    """

    id: UUID
    type: str
    title: str
    content: str
    window: UUID
    messages: frozenset[Hashable]
    valid_from: datetime
    valid_to: datetime | None = None
    judgement: Judgement = ""
    speakers: frozenset[str] = frozenset()

    @cached_property
    def text(self) -> str:
        """All of its words, folded: equal for atoms that say the same letter by letter."""
        return wording.folded(f"{self.title}\n{self.content}")

    @cached_property
    def own(self) -> str:
        """What it says, without who said it and without the question that it answers."""
        lines = _QUOTED.sub("", composed(self.content), count=1).split("\n")
        return "\n".join([self.title, *(self._without_speaker(line) for line in lines)])

    def _without_speaker(self, line: str) -> str:
        for speaker in self.speakers:
            name = f"{composed(speaker)}: "
            if line.startswith(name):
                return line[len(name) :]
        unknown = _SPEAKER.match(line)
        return line[unknown.end() :] if unknown else line

    @cached_property
    def wording(self) -> Wording:
        """Its own words."""
        return wording.read(self.own)

    @cached_property
    def question(self) -> frozenset[str]:
        """The stems of the question that its content quotes; empty if it quotes none."""
        found = _QUOTED.match(self.content)
        return wording.read(found[1]).stems if found else frozenset()

    @property
    def kind(self) -> str:
        """`raised` for what asks for something, `answer` for what gives something."""
        return _KINDS[self.type]


@dataclass(frozen=True, slots=True)
class Relation:
    """How the first of two atoms bears on the second; `confidence` is 0..1."""

    verdict: Verdict
    confidence: float
    link: LinkType = "relates_to"


def compare(one: Claim, other: Claim, relatedness: float) -> Relation | None:
    """Relate two atoms; None if they have nothing to do with each other. Symmetric, but for the direction of a link."""
    if says_same(one, other, relatedness):
        return Relation("same", 1.0 if one.text == other.text else max(0.0, min(1.0, relatedness)))
    if contradicts(one, other, relatedness):
        return Relation("contradicts", min(1.0, relatedness), "contradicts")
    link = _link(one, other, relatedness)
    return Relation("similar", min(1.0, relatedness), link) if link else None


def says_same(one: Claim, other: Claim, relatedness: float) -> bool:
    """Whether two atoms are one piece of knowledge."""
    if _ended_before(one, other) or _ended_before(other, one):
        return False
    if one.text == other.text or _rests_on_same(one, other):
        return True
    mine, theirs = one.wording, other.wording
    if mine.is_negative != theirs.is_negative or _differ(mine, theirs):
        return False
    words = wording.shared(mine.stems, theirs.stems)
    enough = min(len(mine.stems), len(theirs.stems)) >= _STEMS_MIN
    covered = wording.covered(mine.stems, theirs.stems) if enough else 0.0
    measured = (relatedness, words, covered)
    if one.kind == other.kind:
        is_alike = any(_reaches(measured, least) for least in SAME)
    else:
        is_solution = "solution" in (one.type, other.type)
        is_alike = not is_solution and _reaches(measured, SAME_ACROSS_KINDS)
    # Aligning words takes longest, and so comes last.
    return is_alike and (_has_title_of(one, other) or not wording.swaps(mine.order, theirs.order))


def _rests_on_same(one: Claim, other: Claim) -> bool:
    """Whether two readings took the same messages for one thing: windows or sources overlap.

    What one reading told apart stays apart. Of different kinds, all of the messages must be the same, or one must say
    nearly all that the other says.
    """
    if one.window == other.window or not one.messages & other.messages:
        return False
    words = wording.covered(one.wording.stems, other.wording.stems)
    within = one.messages <= other.messages or other.messages <= one.messages
    if one.kind != other.kind:
        least = SAME_WORDS if one.messages == other.messages else TOLD_WORDS
        return within and words >= least
    return words >= SAME_WORDS and (within or _overlap(one, other) >= SAME_EVIDENCE)


def _has_title_of(one: Claim, other: Claim) -> bool:
    """Whether the titles say the same, and say enough."""
    stems = wording.read(one.title).stems
    return len(stems) > _STEMS_MIN and stems == wording.read(other.title).stems


def contradicts(one: Claim, other: Claim, relatedness: float) -> bool:
    """Whether two settled things cannot both hold: one denies the other, or gives the same thing another value.

    The newer must take back what the older says, say that something changes, or speak of little else than the older.
    """
    if one.type not in _SETTLED or other.type not in _SETTLED or one.valid_from == other.valid_from:
        return False
    if one.window == other.window and _overlap(one, other) > 0:
        return False
    older, newer = sorted((one, other), key=lambda claim: claim.valid_from)
    before, after = older.wording, newer.wording
    if relatedness < OPPOSED:
        return False
    if _replaces(before, after) or polarity.reverses(newer.own, older.own):
        return True
    topic = wording.covered(_subject(before), _subject(after))
    if topic < 0.5:
        return False
    denies = before.is_negative != after.is_negative
    another = bool(before.values - after.values) and bool(after.values - before.values)
    if after.is_change:
        return denies or another
    return topic >= 0.75 and (another or denies)


def _replaces(before: Wording, after: Wording) -> bool:
    """Whether of two texts about the same one says a value that the other says does not hold: "Monday, not Friday"."""
    replaced = (after.replaced & (before.values - before.replaced)) | (
        before.replaced & (after.values - after.replaced)
    )
    same = (_subject(before) & _subject(after)) | ((before.values & after.values) - replaced)
    return bool(replaced) and len(same) >= _SAME_MIN


def _subject(words: Wording) -> frozenset[str]:
    return frozenset(
        stem for stem in words.stems - _DAY_STEMS if not any(c.isdigit() for c in stem)
    )


def _reaches(measured: tuple[float, float, float], least: tuple[float, float, float]) -> bool:
    return all(value >= bound for value, bound in zip(measured, least, strict=True))


def _differ(mine: Wording, theirs: Wording) -> bool:
    """Whether each has a number, a day or a name that the other lacks."""
    pairs = ((mine.values, theirs.values), (mine.names, theirs.names))
    return any(bool(left - right) and bool(right - left) for left, right in pairs)


def _ended_before(one: Claim, other: Claim) -> bool:
    """Whether one no longer held when the other was said: then it is said anew."""
    return one.valid_to is not None and one.valid_to <= other.valid_from


def _overlap(one: Claim, other: Claim) -> float:
    union = one.messages | other.messages
    return len(one.messages & other.messages) / len(union) if union else 0.0


def _link(one: Claim, other: Claim, relatedness: float) -> LinkType | None:
    if one.window == other.window or relatedness < OPPOSED:
        return None
    if _answers(one, other) or _answers(other, one):
        return "solves"
    if relatedness < SIMILAR:
        return None
    newer, older = (one, other) if one.valid_from >= other.valid_from else (other, one)
    grown = newer.wording.stems > older.wording.stems
    if one.type == other.type and grown and len(older.wording.stems) >= _STEMS_MIN:
        return "refines"
    return "relates_to"


def _answers(one: Claim, other: Claim) -> bool:
    asked = one.question
    if one.kind != "answer" or other.kind != "raised" or len(asked) < _STEMS_MIN:
        return False
    return len(asked & other.wording.stems) / len(asked) >= ANSWERED


def directed(one: Claim, other: Claim, relation: Relation) -> tuple[UUID, UUID]:
    """From which atom the link of a relation starts and to which it points."""
    if relation.link == "solves":
        return (one.id, other.id) if _answers(one, other) else (other.id, one.id)
    newer = (one.valid_from, one.id) >= (other.valid_from, other.id)
    return (one.id, other.id) if newer else (other.id, one.id)
