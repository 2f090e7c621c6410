"""Candidates in order: each by itself, or with credit for the candidates that stand around it in its conversation.

In a chat, what answers a question rarely repeats its words, and stands next to what does.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import numpy as np

from services.search import ranking
from services.search.keyword import KeywordCandidates
from services.search.ranking import Hit, Reach, Surroundings
from services.search.store import Document, Near, Neighbour, Step, Subject

ANCHORS_MAX: Final = 60


def anchors(documents: Sequence[Document]) -> list[UUID]:
    """The messages whose surroundings the keyword leg looks at: the best by their own words."""
    return [d.subject.id for d in documents[:ANCHORS_MAX] if d.subject.kind == "message"]


def messages(nearest: Sequence[Near]) -> list[UUID]:
    """The messages among the candidates of the semantic leg."""
    return [near.subject.id for near in nearest if near.subject.kind == "message"]


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
    places = _surroundings(steps, [d.subject for d in documents], ranking.WORD_REACH)
    scores = ranking.word_score(counts + places.credit(counts, ranking.WORD_REACH), weights)
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
    """Order subjects by their cosine and by how far those of their neighbours exceed the least of all candidates."""
    if not nearest:
        return []
    cosines = np.array([near.cosine for near in nearest])
    excess = cosines - cosines.min()
    places = _surroundings(steps, [near.subject for near in nearest], ranking.VECTOR_REACH)
    order = cosines + places.credit(excess, ranking.VECTOR_REACH)
    return ranking.best_first(
        Hit(near.subject, float(value), near.cosine)
        for near, value in zip(nearest, order, strict=True)
    )


def _surroundings(steps: Iterable[Step], subjects: Sequence[Subject], reach: Reach) -> Surroundings:
    positions = {subject.id: position for position, subject in enumerate(subjects)}
    return ranking.surroundings(steps, positions, reach.steps_max)
