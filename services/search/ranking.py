"""How results are ordered: words by rarity, hits that stand together before lone ones, legs joined by rank."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.search.store import Document, Step, Subject

# BM25 (Robertson and Zaragoza 2009); lengths are distinct words. A lone word is no better than a short sentence.
SATURATION: Final = 1.2
LENGTH_SHARE: Final = 0.5
LENGTH_TYPICAL: Final = 12.0
LENGTH_LEAST: Final = 5
SHAPE: Final = (SATURATION, LENGTH_SHARE, LENGTH_TYPICAL, LENGTH_LEAST)

# Cormack, Clarke and Büttcher 2009.
FUSION_RANK: Final = 60

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of a message's score those after it and before it get: a share next to it, less with every step."""

    after: float
    before: float
    decay: float
    steps_max: int


# What answers comes after what asks, and the talk goes on about what was named once.
REACH: Final = Reach(after=0.5, before=0.25, decay=0.9, steps_max=12)


def rarity(documents: int, containing: int) -> float:
    """The weight of a term, in nats: BM25's inverse document frequency, never negative."""
    documents = max(documents, containing)
    return math.log1p((documents - containing + 0.5) / (containing + 0.5))


def length_factor(length: int) -> float:
    """What BM25 divides the count of a term by, for the length of its document."""
    counted = max(length, LENGTH_LEAST)
    return SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * counted / LENGTH_TYPICAL)


def word_score(counts: Array, weights: Array) -> Array:
    """BM25 of documents, shape (n,), from the terms' counts over the length factor, shape (n, terms)."""
    score: Array = (counts * (SATURATION + 1) / (counts + 1)) @ weights
    return score


def term_counts(documents: Sequence[Document], terms: int) -> Array:
    """Each term's occurrence (once at most) over the length factor of the document; shape (documents, terms)."""
    masks = np.array([document.terms for document in documents], np.int64).reshape(-1, 1)
    factors = np.array([length_factor(d.length) for d in documents]).reshape(-1, 1)
    counts: Array = ((masks >> np.arange(terms)) & 1) / factors
    return counts


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Pairs of messages that stand near each other: their positions and the steps between them, in parallel."""

    earlier: Positions
    later: Positions
    steps: Positions

    def credit(self, values: Array, reach: Reach = REACH) -> Array:
        """What each message gets of its neighbours' values."""
        share = reach.decay ** (self.steps - 1)
        weights = share if values.ndim == 1 else share[:, None]
        total = np.zeros_like(values)
        np.add.at(total, self.later, reach.after * weights * values[self.earlier])
        np.add.at(total, self.earlier, reach.before * weights * values[self.later])
        return total


def surroundings(
    steps: Iterable[Step], positions: Mapping[UUID, int], steps_max: int = REACH.steps_max
) -> Surroundings:
    """Find the pairs of known messages that stand at most so many steps apart, seen from any anchor."""
    seen = {
        (positions[step.anchor], step.count, positions[step.other])
        for step in steps
        if step.anchor in positions and step.other in positions
    }
    seen |= {(anchor, 0, anchor) for anchor, _, _ in seen}
    rows = np.array(sorted(seen), np.intp).reshape(-1, 3)
    pairs = np.concatenate([_pairs(rows, rank, steps_max) for rank in range(1, steps_max + 1)])
    earlier, later, apart = pairs.T
    _, firsts = np.unique(earlier * len(positions) + later, return_index=True)
    return Surroundings(earlier[firsts], later[firsts], apart[firsts])


def _pairs(rows: Positions, rank: int, steps_max: int) -> Positions:
    """Pair each row (anchor, count, message) with the one so many rows later: (earlier, later, steps), shape (n, 3)."""
    left, right = rows[:-rank], rows[rank:]
    counts = right[:, 1] - left[:, 1]
    near = (left[:, 0] == right[:, 0]) & (counts <= steps_max)
    return np.stack((left[near, 2], right[near, 2], counts[near]), axis=1)


@dataclass(frozen=True, slots=True)
class Hit:
    """A subject at its place in a leg: the score it is ordered by, and the leg's own score of it alone."""

    subject: Subject
    order: float
    score: float


def best_first(hits: Iterable[Hit]) -> list[Hit]:
    """Order hits by score; equal ones by id, so that pages never overlap."""
    return sorted(hits, key=lambda hit: (-hit.order, hit.subject.id))


@dataclass(frozen=True, slots=True)
class Fused:
    """A subject with its fused score and its hit in each leg that found it, with ranks from 1."""

    subject: Subject
    score: float
    places: Mapping[str, tuple[int, Hit]]


def fuse(legs: Mapping[str, Sequence[Hit]], weights: Mapping[str, float]) -> list[Fused]:
    """Join legs by reciprocal rank: a subject's score is the sum over legs of weight / (60 + rank)."""
    places: dict[Subject, dict[str, tuple[int, Hit]]] = {}
    for leg, hits in legs.items():
        for rank, hit in enumerate(hits, 1):
            places.setdefault(hit.subject, {})[leg] = (rank, hit)
    fused = [
        Fused(
            subject,
            sum(weights[leg] / (FUSION_RANK + rank) for leg, (rank, _) in found.items()),
            found,
        )
        for subject, found in places.items()
    ]
    return sorted(fused, key=lambda each: (-each.score, each.subject.id))
