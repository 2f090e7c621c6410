"""How results are ordered: words by rarity, hits that stand together before lone ones, legs by score or by rank."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.search.speech import ASKING_SHARE, Speech
from services.search.store import Subject

# BM25 (Robertson and Zaragoza 2009); lengths are distinct words. A lone word is no better than a short sentence.
SATURATION: Final = 1.2
LENGTH_SHARE: Final = 0.5
LENGTH_TYPICAL: Final = 12.0
LENGTH_LEAST: Final = 5
SHAPE: Final = (SATURATION, LENGTH_SHARE, LENGTH_TYPICAL, LENGTH_LEAST)

# Who has nearly all that is asked for, by weight, agrees; who has half of it hardly does.
AGREEMENT_POWER: Final = 8

# A name weighs so much of what the other words of a query do: what was said decides, then by whom.
NAME_SHARE: Final = 0.5
# What was written by somebody who is named has the name so often, and is so much nearer in meaning.
THEIRS: Final = 2.0

# Cormack, Clarke and Büttcher 2009.
FUSION_RANK: Final = 60
# So much of a share by score goes by rank: it decides between what the scores leave equal, and nothing else.
_RANK_SHARE: Final = 1e-4

# What no longer holds keeps so much of its score: it is still found, after what took its place.
ENDED_SHARE: Final = 0.5
_BEHIND: Final = 1 - 1e-6

# More places and steps than a search ever looks at.
_PLACE_BITS: Final = 24
_STEP_BITS: Final = 8

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
# A model finds something of what is asked in more messages than have its words, so that they lend each other less.
REACH_OF_MEANING: Final = replace(REACH, after=0.4, before=0.2)


def rarity(documents: int, containing: int) -> float:
    """The weight of a term, in nats: BM25's inverse document frequency, never negative."""
    documents = max(documents, containing)
    return math.log1p((documents - containing + 0.5) / (containing + 0.5))


def length_factors(lengths: Array) -> Array:
    """What BM25 divides the count of a term by, for the length of each document."""
    counted = np.maximum(lengths, LENGTH_LEAST)
    factors: Array = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * counted / LENGTH_TYPICAL)
    return factors


def word_score(counts: Array, weights: Array) -> Array:
    """BM25 of documents, shape (n,), from the terms' counts over the length factor, shape (n, terms)."""
    score: Array = (counts * (SATURATION + 1) / (counts + 1)) @ weights
    return score


def term_counts(masks: Sequence[int], lengths: Sequence[int], terms: int) -> Array:
    """Each term's occurrence (once at most: a bit each) over the length factor of the document; shape (n, terms)."""
    bits = np.array(masks, np.int64).reshape(-1, 1) >> np.arange(terms)
    counts: Array = (bits & 1) / length_factors(np.array(lengths, np.float64)).reshape(-1, 1)
    return counts


def name_weights(weights: Sequence[float], named: Sequence[bool]) -> list[float]:
    """The weights of terms some of which name authors: how often a name is mentioned says nothing of who wrote."""
    others = [weight for weight, is_name in zip(weights, named, strict=True) if not is_name]
    if not others:
        return list(weights)
    share = NAME_SHARE * sum(others) / len(others)
    return [share if is_name else weight for weight, is_name in zip(weights, named, strict=True)]


def agreement(counts: Array, weights: Array) -> Array:
    """How far documents have all terms by themselves, from 0 to 1, shape (n,), from counts of shape (n, terms).

    The rarest terms decide: of a question, the commonest word or two may be missing.
    """
    squares = np.square(weights)
    total = squares.sum()
    shares: Array = ((counts > 0) @ squares) / total if total else np.zeros(len(counts))
    agreed: Array = shares**AGREEMENT_POWER
    return agreed


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Pairs of messages that stand near each other: their positions and the steps between them, in parallel."""

    earlier: Positions
    later: Positions
    steps: Positions

    def credit(self, values: Array, reach: Reach = REACH, speech: Speech | None = None) -> Array:
        """What each message gets of its neighbours' values, shape (n,) or (n, terms); more of whom it answers."""
        table = values.reshape(len(values), -1)
        shares = np.power(reach.decay, np.arange(-1.0, reach.steps_max))
        share: Array = shares[self.steps]
        after, before = reach.after * share, reach.before * share
        if speech is not None:
            after *= speech.factors(self.earlier, self.later)
        total = _gathered(self.later, self.earlier, after, table)
        total += _gathered(self.earlier, self.later, before, table)
        return total.reshape(values.shape)


def _gathered(to: Positions, of: Positions, weights: Array, table: Array) -> Array:
    """Add to each row the weighted rows of others; most rows are empty, and only the others are read."""
    read = np.flatnonzero((table != 0).any(axis=1)[of])
    added = table[of[read]] * weights[read, None]
    width = table.shape[1]
    cells = to[read, None] * width + np.arange(width)
    sums = np.bincount(cells.ravel(), added.ravel(), table.size).astype(np.float64)
    return sums.reshape(table.shape)


def surroundings(
    anchors: Positions,
    places: Positions,
    steps: Positions,
    lends: npt.NDArray[np.bool_],
    steps_max: int = REACH.steps_max,
) -> Surroundings:
    """Find the pairs of messages that stand at most so many steps apart, seen from any anchor.

    In parallel: an anchor, a message that is seen from it (also the anchor itself), and how many messages after it. Of
    a pair one lends at least: whether a message does is told by its place.
    """
    order = np.lexsort((steps, anchors))
    anchors, places, steps = anchors[order], places[order], steps[order]
    lends = lends[places]
    # Each row beside those that follow it, as far as they may be apart; rows of none at the end.
    left = np.arange(len(order)).reshape(-1, 1)
    right = left + np.arange(1, steps_max + 1)
    within = np.minimum(right, len(order) - 1)
    first, second = np.nonzero((right == within) & (lends[left] | lends[within]))
    second += first + 1
    apart = steps[second] - steps[first]
    near = (anchors[first] == anchors[second]) & (apart <= steps_max)
    # One number for a pair and its steps, so that sorting brings together what several anchors see.
    earlier, later = places[first[near]], places[second[near]]
    pairs = np.sort((earlier << _PLACE_BITS | later) << _STEP_BITS | apart[near])
    fresh = np.ones(len(pairs), bool)
    fresh[1:] = pairs[1:] >> _STEP_BITS != pairs[:-1] >> _STEP_BITS
    pairs, apart = pairs[fresh] >> _STEP_BITS, pairs[fresh] & (1 << _STEP_BITS) - 1
    return Surroundings(pairs >> _PLACE_BITS, pairs & (1 << _PLACE_BITS) - 1, apart)


class Hit(NamedTuple):
    """A subject at its place in a leg: the score it is ordered by, and the leg's own score of it alone.

    By words also which terms it, or what stands around it, has, and which it has itself: a bit each.
    """

    subject: Subject
    order: float
    score: float
    held: int = 0
    own: int = 0


def emphasis(hits: Sequence[Hit]) -> float:
    """How much more than by scores alone a leg's best hit is ordered by: 1 where nothing is added to scores."""
    best = max((hit.score for hit in hits), default=0.0)
    return hits[0].order / best if best > 0 else 1.0


def best_first(hits: Iterable[Hit]) -> list[Hit]:
    """Order hits by score; equal ones by id, so that pages never overlap."""
    return sorted(hits, key=lambda hit: (-hit.order, hit.subject.id))


def best_places(values: Array, ids: Sequence[UUID], limit: int) -> list[int]:
    """The positions of the limit largest values in the order of best_first; those of minus infinity are left out."""
    places = np.flatnonzero(values > -np.inf)
    if len(places) > limit:
        least = np.partition(values[places], len(places) - limit)[len(places) - limit]
        places = places[values[places] >= least]
    orders: list[float] = (-values).tolist()
    return sorted(places.tolist(), key=lambda place: (orders[place], ids[place]))[:limit]


class Fusion(StrEnum):
    """How legs are joined."""

    SCORE = "score"
    RANK = "rank"


class Standing(NamedTuple):
    """A hit in a leg: its rank from 1, and the share that it gives to a fused score, 0 where nothing is fused."""

    rank: int
    hit: Hit
    share: float = 0.0


class Fused(NamedTuple):
    """A subject with its fused score and where it stands in each leg that found it."""

    subject: Subject
    score: float
    places: Mapping[str, Standing]


def fuse(
    legs: Mapping[str, Sequence[Hit]],
    weights: Mapping[str, float],
    fusion: Fusion = Fusion.SCORE,
) -> list[Fused]:
    """Join legs: a subject's score is the sum over legs of weight times share."""
    shares = score_shares if fusion is Fusion.SCORE else rank_shares
    places: dict[Subject, dict[str, Standing]] = {}
    for leg, hits in legs.items():
        for rank, (hit, share) in enumerate(zip(hits, shares(hits), strict=True), 1):
            places.setdefault(hit.subject, {})[leg] = Standing(rank, hit, share)
    fused = [
        Fused(subject, sum(weights[leg] * at.share for leg, at in found.items()), found)
        for subject, found in places.items()
    ]
    return sorted(fused, key=lambda each: (-each.score, each.subject.id))


def lower(ranked: Sequence[Fused], ended: Mapping[UUID, Set[UUID]]) -> list[Fused]:
    """Order results anew: what no longer holds keeps a share of its score, and comes after what took its place."""
    if not ended:
        return list(ranked)
    scores = {each.subject.id: each.score for each in ranked}
    for message, successors in ended.items():
        places = [scores[each] * _BEHIND for each in successors if each in scores]
        scores[message] = min(scores[message] * ENDED_SHARE, max(places, default=math.inf))
    return _rescored(ranked, scores)


def answers_first(ranked: Sequence[Fused], asking: Mapping[UUID, Set[UUID]]) -> list[Fused]:
    """Order results anew: an atom that asks keeps as much as a message that does, and an answer precedes its question.

    The best of a question's answers takes its place where it would come after it.
    """
    if not asking:
        return list(ranked)
    scores = {each.subject.id: each.score for each in ranked}
    for each in ranked:
        if each.subject.kind == "atom" and each.subject.id in asking:
            scores[each.subject.id] *= ASKING_SHARE
    for question in sorted(asking, key=lambda each: (-scores[each], each)):
        told = [each for each in asking[question] if each in scores and each not in asking]
        if told:
            best = min(told, key=lambda each: (-scores[each], each))
            scores[best] = max(scores[best], scores[question])
            scores[question] = min(scores[question], scores[best] * _BEHIND)
    return _rescored(ranked, scores)


def _rescored(ranked: Sequence[Fused], scores: Mapping[UUID, float]) -> list[Fused]:
    rescored = [each._replace(score=scores[each.subject.id]) for each in ranked]
    return sorted(rescored, key=lambda each: (-each.score, each.subject.id))


def rank_shares(hits: Sequence[Hit]) -> list[float]:
    """Reciprocal ranks: 1 / (60 + rank), whatever the scores are."""
    return [1 / (FUSION_RANK + rank) for rank in range(1, len(hits) + 1)]


def score_shares(hits: Sequence[Hit]) -> list[float]:
    """What hits, best first, are ordered by, over that of the best: 1 for the best, next to 0 for what is not positive.

    A leg whose best is not positive knows no better ones: all of its hits have all but the same share.
    """
    best = hits[0].order if hits else 0.0
    return [
        (1 - _RANK_SHARE) * (max(hit.order, 0.0) / best if best > 0 else 1.0)
        + _RANK_SHARE * (FUSION_RANK + 1) / (FUSION_RANK + rank)
        for rank, hit in enumerate(hits, 1)
    ]
