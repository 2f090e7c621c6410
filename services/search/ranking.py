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


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of a message's score its neighbours get: a share next to it, less with every step, up to some steps."""

    share: float
    decay: float
    steps_max: int


# Words name a subject once, and the talk about it goes on; meaning is in every message by itself.
WORD_REACH: Final = Reach(share=0.4, decay=0.9, steps_max=12)
VECTOR_REACH: Final = Reach(share=0.2, decay=0.8, steps_max=5)


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
    """Which messages stand near which, as parallel arrays of positions and steps."""

    left: npt.NDArray[np.intp]
    right: npt.NDArray[np.intp]
    steps: npt.NDArray[np.intp]

    def credit(self, values: Array, reach: Reach) -> Array:
        """What each message gets of its neighbours' values."""
        given = reach.share * reach.decay ** (self.steps - 1)
        total = np.zeros_like(values)
        weights = given if values.ndim == 1 else given[:, None]
        np.add.at(total, self.left, weights * values[self.right])
        np.add.at(total, self.right, weights * values[self.left])
        return total


def surroundings(
    steps: Iterable[Step], positions: Mapping[UUID, int], steps_max: int
) -> Surroundings:
    """Find the pairs of known messages that stand at most so many steps apart, seen from any anchor."""
    windows: dict[int, list[tuple[int, int]]] = {}
    for step in steps:
        anchor, other = positions.get(step.anchor), positions.get(step.other)
        if anchor is not None and other is not None:
            windows.setdefault(anchor, [(0, anchor)]).append((step.count, other))
    pairs: dict[tuple[int, int], int] = {}
    for window in windows.values():
        window.sort()
        for i, (count, left) in enumerate(window):
            for other_count, right in window[i + 1 : i + 1 + steps_max]:
                if other_count - count <= steps_max:
                    pairs[min(left, right), max(left, right)] = other_count - count
    ends = np.array(list(pairs), np.intp).reshape(-1, 2)
    return Surroundings(ends[:, 0], ends[:, 1], np.array(list(pairs.values()), np.intp))


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
