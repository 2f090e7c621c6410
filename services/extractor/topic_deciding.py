"""Whether two topics are one: by what their titles mean and the words they share. Pure.

Titles are short, so meaning alone says little: most words must agree as well. What one reading told apart in one
window stays apart, unless the titles are the same. People win: what a person called so takes in what readings did, and
two that people named stay two.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.extractor import wording
from services.extractor.pairs import Pair, company, pair_of

# (relatedness, words both have).
SAME: Final = ((0.84, 0.5), (0.66, 0.75))
STEMS_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class TopicClaim:
    """A topic as it is compared; `title_key` is the folded title, and a person gave it if it `is_named`."""

    id: UUID
    title: str
    title_key: str
    windows: frozenset[UUID]
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class ComparedTopic:
    """A known topic and how related its meaning is, 0 for unrelated, 1 for the same; None if its vector is missing."""

    claim: TopicClaim
    relatedness: float | None


@dataclass(frozen=True, slots=True)
class TopicDecision:
    """Merge `merged` into `into`."""

    into: UUID
    merged: tuple[UUID, ...]


def decide_topic(
    subject: TopicClaim, known: Sequence[ComparedTopic], apart: Set[Pair] = frozenset()
) -> TopicDecision | None:
    """Join the likest named or older topic, or take in others; None if the topic is new. Pairs in `apart` stay two."""
    free = [
        each
        for each in known
        if pair_of(subject.id, each.claim.id) not in apart
        and not (subject.is_named and each.claim.is_named)
    ]
    same = [each for each in free if _is_same(subject, each)]
    hosts = [each for each in same if _may_host(subject, each.claim)]
    if hosts:
        host = max(
            hosts,
            key=lambda each: (each.claim.is_named, each.relatedness or 0.0, -each.claim.id.int),
        )
        return TopicDecision(host.claim.id, (subject.id,))
    guests = company((each.claim.id for each in same), apart)
    return TopicDecision(subject.id, guests) if guests else None


def _may_host(subject: TopicClaim, other: TopicClaim) -> bool:
    """Whether the subject may join the other."""
    return not subject.is_named and (other.is_named or other.id < subject.id)


def _is_same(subject: TopicClaim, other: ComparedTopic) -> bool:
    mine, theirs = wording.read(subject.title), wording.read(other.claim.title)
    if min(len(mine.stems), len(theirs.stems)) < STEMS_MIN:
        return False
    if subject.title_key == other.claim.title_key or mine.stems == theirs.stems:
        return True
    if subject.windows & other.claim.windows or other.relatedness is None:
        return False
    if mine.is_negative != theirs.is_negative or _differ(mine.values, theirs.values):
        return False
    words = wording.shared(mine.stems, theirs.stems)
    return any(other.relatedness >= meaning and words >= least for meaning, least in SAME)


def _differ(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    return bool(mine - theirs) and bool(theirs - mine)
