"""What becomes of an atom once it is compared with what is known: merged, linked, ended, or left as new. Pure.

People win: what a person approved is neither retired nor ended, what a person rejected swallows what repeats it, and
two things that people judged stay two.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.extractor.comparing import Claim, Relation, compare, directed
from services.extractor.extraction import LinkType
from services.extractor.pairs import Pair, company, pair_of

LINKS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """A known atom and how related its meaning is: 0 unrelated, 1 the same; None if its vector is missing."""

    claim: Claim
    relatedness: float | None


@dataclass(frozen=True, slots=True)
class Ending:
    """An atom held until `moment`, when `by` began to contradict it."""

    atom: UUID
    moment: datetime
    by: UUID


@dataclass(frozen=True, slots=True)
class MeaningLink:
    """A typed link with how sure it is, 0..1."""

    source: UUID
    target: UUID
    type: LinkType
    confidence: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: merge `merged` into `into`, end what is contradicted, and link the rest."""

    into: UUID | None = None
    merged: tuple[UUID, ...] = ()
    endings: tuple[Ending, ...] = ()
    links: tuple[MeaningLink, ...] = ()


def decide(subject: Claim, known: Sequence[Compared], apart: Set[Pair] = frozenset()) -> Decision:
    """Place an atom among known ones: it joins the likest older or judged one, or takes in newer ones.

    Those of a pair in `apart` never come together, neither as the subject and another nor as two that join it.
    """
    if subject.judgement == "rejected":
        return Decision()
    related = [(each, relation) for each in known if (relation := _relate(subject, each, apart))]
    same = [each for each in related if each[1].verdict == "same"]
    hosts = [each for each in same if _may_host(subject, each[0].claim)]
    if hosts:
        host = max(
            hosts,
            key=lambda each: (
                bool(each[0].claim.judgement),
                each[1].confidence,
                -each[0].claim.id.int,
            ),
        )
        return Decision(host[0].claim.id, (subject.id,))
    guests = company((each.claim.id for each, _ in same if _may_join(subject, each.claim)), apart)
    live = [
        each
        for each in related
        if each[0].claim.judgement != "rejected" and each[0].claim.id not in guests
    ]
    return Decision(
        subject.id if guests else None,
        guests,
        tuple(_endings(subject, live)),
        tuple(_links(subject, live)),
    )


def _relate(subject: Claim, other: Compared, apart: Set[Pair]) -> Relation | None:
    if other.relatedness is None and subject.text != other.claim.text:
        return None
    relation = compare(subject, other.claim, other.relatedness or 0.0)
    if relation and relation.verdict == "same" and pair_of(subject.id, other.claim.id) in apart:
        return Relation("similar", relation.confidence)
    return relation


def _may_host(subject: Claim, other: Claim) -> bool:
    """Whether the subject may join the other."""
    if subject.judgement:
        return False
    return bool(other.judgement) or other.id < subject.id


def _may_join(subject: Claim, other: Claim) -> bool:
    """Whether the other may join the subject."""
    return not other.judgement and (bool(subject.judgement) or subject.id < other.id)


def _endings(subject: Claim, related: Iterable[tuple[Compared, Relation]]) -> list[Ending]:
    opposed = [each.claim for each, relation in related if relation.verdict == "contradicts"]
    ends = [
        Ending(older.id, newer.valid_from, newer.id)
        for other in opposed
        for older, newer in [sorted((subject, other), key=lambda claim: claim.valid_from)]
        if not older.judgement and (older.valid_to is None or newer.valid_from < older.valid_to)
    ]
    own = [end for end in ends if end.atom == subject.id]
    others = [end for end in ends if end.atom != subject.id]
    return others + ([min(own, key=lambda end: (end.moment, end.by))] if own else [])


def _links(subject: Claim, related: Iterable[tuple[Compared, Relation]]) -> list[MeaningLink]:
    """Every contradiction, and the surest few of the rest."""
    links: dict[str, list[MeaningLink]] = {"contradicts": [], "similar": []}
    for each, relation in related:
        link = "relates_to" if relation.verdict == "same" else relation.link
        ends = directed(subject, each.claim, relation)
        verdict = "contradicts" if relation.verdict == "contradicts" else "similar"
        links[verdict].append(MeaningLink(*ends, link, relation.confidence))
    rest = sorted(links["similar"], key=lambda link: (-link.confidence, link.source, link.target))
    return links["contradicts"] + rest[:LINKS_MAX]
