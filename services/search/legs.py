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
from services.search.store import Document, Near, Neighbour, Step, Subject

ANCHORS_MAX: Final = 30


def anchors(documents: Sequence[Document]) -> list[UUID]:
    """The messages whose surroundings the keyword leg looks at: the best by their own words."""
    return [d.subject.id for d in documents[:ANCHORS_MAX] if d.subject.kind == "message"]


def similar(nearest: Sequence[Near]) -> list[UUID]:
    """The messages whose surroundings the semantic leg looks at: those among the nearest subjects."""
    return [n.subject.id for n in nearest[:ANCHORS_MAX] if n.subject.kind == "message"]


def by_words(
    candidates: KeywordCandidates, neighbours: Sequence[Neighbour], *, wordless: bool
) -> list[Hit]:
    """Order documents by their words and their neighbours' words; wordless neighbours may be results themselves."""
    around = {n.document.subject: n for n in neighbours}
    known = {document.subject for document in candidates.documents}
    documents = [*candidates.documents, *(n.document for s, n in around.items() if s not in known)]
    if not documents:
        return []
    weights = np.array(candidates.lookup.weights)
    counts = ranking.term_counts(documents, len(weights))
    steps = [neighbour.step for neighbour in neighbours]
    places = ranking.surroundings(steps, _positions([d.subject for d in documents]))
    scores = ranking.word_score(counts + places.credit(counts), weights)
    return ranking.best_first(
        Hit(document.subject, float(score), float(score))
        for document, score in zip(documents, scores, strict=True)
        if document.subject in known
        or (around[document.subject].fits and (wordless or document.terms))
    )


def by_meaning(nearest: Sequence[Near]) -> list[Hit]:
    """Order subjects by their cosine alone."""
    return ranking.best_first(Hit(near.subject, near.cosine, near.cosine) for near in nearest)


def by_meaning_around(nearest: Sequence[Near], steps: Sequence[Step]) -> list[Hit]:
    """Order subjects by how far they and their neighbours exceed the nearest ones' least cosine.

    What stands around the nearest ones is found as well; if its own cosine is not known, its score is NaN.
    """
    if not nearest:
        return []
    cosines = {near.subject: near.cosine for near in nearest}
    known = {subject.id for subject in cosines}
    others = dict.fromkeys(step.other for step in steps if step.other not in known)
    subjects = [*cosines, *(Subject("message", other) for other in others)]
    above = np.array([cosines.get(subject, -1.0) for subject in subjects])
    above -= nearest[min(ANCHORS_MAX, len(nearest)) - 1].cosine
    excess = np.maximum(above, 0.0)
    total = excess + ranking.surroundings(steps, _positions(subjects)).credit(excess)
    order = np.where(total > 0, total, above)
    return ranking.best_first(
        Hit(subject, float(value), cosines.get(subject, math.nan))
        for subject, value in zip(subjects, order, strict=True)
    )


def unscored(hits: Sequence[Hit]) -> list[UUID]:
    """The messages that were found by their surroundings alone."""
    return [hit.subject.id for hit in hits if math.isnan(hit.score)]


def with_scores(hits: Sequence[Hit], cosines: Mapping[UUID, float]) -> list[Hit]:
    """Give messages found by their surroundings their own cosines; 0 to those that have no vector yet."""
    return [
        replace(hit, score=cosines.get(hit.subject.id, 0.0)) if math.isnan(hit.score) else hit
        for hit in hits
    ]


def _positions(subjects: Sequence[Subject]) -> dict[UUID, int]:
    return {subject.id: position for position, subject in enumerate(subjects)}
