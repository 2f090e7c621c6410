"""Candidates in order: each by itself, or with credit for the candidates that stand around it in its conversation.

In a chat, what answers a question rarely repeats its words, and stands next to what does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import numpy as np

from services.search import ranking
from services.search.keyword import KeywordCandidates
from services.search.ranking import Hit
from services.search.speech import Utterance, hear
from services.search.store import Document, Near, Neighbour, Step, Subject

ANCHORS_MAX: Final = 30


def anchors(documents: Sequence[Document]) -> list[UUID]:
    """The messages whose surroundings the keyword leg looks at: the best by their own words."""
    return [d.subject.id for d in documents[:ANCHORS_MAX] if d.subject.kind == "message"]


def similar(nearest: Sequence[Near]) -> list[UUID]:
    """The messages whose surroundings the semantic leg looks at: those among the nearest subjects."""
    return [n.subject.id for n in nearest[:ANCHORS_MAX] if n.subject.kind == "message"]


def by_words(
    candidates: KeywordCandidates,
    neighbours: Sequence[Neighbour],
    limit: int,
    said: Mapping[UUID, Utterance] | None = None,
) -> list[Hit]:
    """Order documents by their words and their neighbours' words.

    In a hybrid search, where who speaks to whom counts, wordless neighbours may be results themselves.
    """
    documents = candidates.documents
    known = {document.subject.id for document in documents}
    around = {n.other: n for n in neighbours if n.other not in known}
    ids = [*(document.subject.id for document in documents), *around]
    weights = np.array(candidates.lookup.weights)
    counts = ranking.term_counts(
        [*(d.terms for d in documents), *(n.terms for n in around.values())],
        [*(d.length for d in documents), *(n.length for n in around.values())],
        len(weights),
    )
    places = ranking.surroundings((n[:3] for n in neighbours), _positions(ids))
    speech = None if said is None else hear([said.get(each) for each in ids])
    scores = ranking.word_score(counts + places.credit(counts, speech=speech), weights)
    if speech is not None:
        scores *= speech.shares
    fits = [n.fits and (speech is not None or n.terms > 0) for n in around.values()]
    scores[len(documents) :][~np.array(fits, bool)] = -np.inf
    subjects = [document.subject for document in documents]
    return [
        Hit(
            subjects[place] if place < len(subjects) else Subject("message", ids[place]),
            float(scores[place]),
            float(scores[place]),
        )
        for place in ranking.best_places(scores, ids, limit)
    ]


def by_meaning(nearest: Sequence[Near]) -> list[Hit]:
    """Order subjects by their cosine alone."""
    return ranking.best_first(Hit(near.subject, near.cosine, near.cosine) for near in nearest)


def by_meaning_around(
    nearest: Sequence[Near], steps: Sequence[Step], said: Mapping[UUID, Utterance], limit: int
) -> list[Hit]:
    """Order subjects by how far they and their neighbours exceed the nearest ones' least cosine.

    What stands around the nearest ones is found as well; if its own cosine is not known, its score is NaN.
    """
    if not nearest:
        return []
    known = {near.subject.id for near in nearest}
    others = list(dict.fromkeys(step.other for step in steps if step.other not in known))
    ids = [*(near.subject.id for near in nearest), *others]
    above = np.array([*(near.cosine for near in nearest), *[-1.0] * len(others)])
    above -= nearest[min(ANCHORS_MAX, len(nearest)) - 1].cosine
    excess, speech = np.maximum(above, 0.0), hear([said.get(each) for each in ids])
    places = ranking.surroundings(steps, _positions(ids))
    total = (excess + places.credit(excess, speech=speech)) * speech.shares
    order = np.where(total > 0, total, above)
    return [
        Hit(
            nearest[place].subject if place < len(nearest) else Subject("message", ids[place]),
            float(order[place]),
            nearest[place].cosine if place < len(nearest) else math.nan,
        )
        for place in ranking.best_places(order, ids, limit)
    ]


def unscored(hits: Sequence[Hit]) -> list[UUID]:
    """The messages that were found by their surroundings alone."""
    return [hit.subject.id for hit in hits if math.isnan(hit.score)]


def with_scores(hits: Sequence[Hit], cosines: Mapping[UUID, float]) -> list[Hit]:
    """Give messages found by their surroundings their own cosines; 0 to those that have no vector yet."""
    return [
        replace(hit, score=cosines.get(hit.subject.id, 0.0)) if math.isnan(hit.score) else hit
        for hit in hits
    ]


def _positions(ids: Sequence[UUID]) -> dict[UUID, int]:
    return {each: position for position, each in enumerate(ids)}
