"""Candidates in order: each by itself, or with credit for the candidates that stand around it in its conversation.

In a chat, what answers a question rarely repeats its words, and stands next to what does.
"""

from collections.abc import Mapping, Sequence, Set
from itertools import compress
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.search import ranking
from services.search.keyword import KeywordCandidates
from services.search.ranking import REACH_OF_MEANING, Array, Hit, Positions
from services.search.speech import hear
from services.search.store import Document, Near, Subject
from services.search.vicinity import Vicinity

ANCHORS_MAX: Final = 20


def anchors(documents: Sequence[Document]) -> list[UUID]:
    """The messages whose surroundings the keyword leg looks at: the best by their own words."""
    return [d.subject.id for d in documents[:ANCHORS_MAX] if d.subject.kind == "message"]


def similar(nearest: Sequence[Near]) -> list[UUID]:
    """The messages whose surroundings the semantic leg looks at: those among the nearest subjects."""
    return [n.subject.id for n in nearest[:ANCHORS_MAX] if n.subject.kind == "message"]


def by_words(
    candidates: KeywordCandidates, vicinity: Vicinity, limit: int, *, heard: bool
) -> list[Hit]:
    """Order documents by their words and their neighbours' words.

    In a hybrid search who speaks to whom is heard, wordless neighbours may be results themselves, and what has all the
    words that occur anywhere by itself is put before what is told beside them, by as much as the best score. What has a
    word as it was typed comes before what has one that means the same, by as much as that one is commoner. What was
    written by somebody who is named has that name, and lends it to nobody.
    """
    documents, lookup = candidates.documents, candidates.lookup
    weights, own = np.array(lookup.weights), np.array([each.weight for each in lookup.telling])
    occurring = weights * np.array(lookup.occurring)
    ids = [document.subject.id for document in documents]
    places = _placed(vicinity.ids, ids)
    other = places >= len(documents)
    counts = ranking.term_counts(
        [*(d.terms for d in documents), *compress(vicinity.terms, other)],
        [*(d.length for d in documents), *compress(vicinity.lengths, other)],
        len(weights),
    )
    seen = vicinity.seen
    lends = counts.sum(axis=1) > 0
    around = ranking.surroundings(seen.anchors, places[seen.places], seen.steps, lends)
    speech = hear(vicinity.said, places, len(ids)) if heard else None
    credit = around.credit(counts, speech=speech)
    if lookup.authors:
        theirs = _theirs(lookup.authors, vicinity, places, len(ids))
        theirs[: len(documents)] |= [each.subject in candidates.written for each in documents]
        counts[np.ix_(theirs, np.array(lookup.names))] = ranking.THEIRS
    scores = ranking.word_score(counts + credit, weights)
    if speech is not None:
        scores *= speech.shares
    fits = np.array(vicinity.fits, bool)
    if not heard:
        fits &= np.array(vicinity.terms, np.int64) != 0
    scores[places[other & ~fits]] = -np.inf
    typed = np.zeros(len(ids))
    typed[: len(documents)] = _typed(candidates, own)
    if heard:
        agreed = ranking.agreement(counts, occurring) * scores.max(initial=0.0)
        order = scores + typed + agreed
    else:
        scores += typed
        order = scores
    best = ranking.best_places(order, ids, limit)
    subjects = [document.subject for document in documents]
    bits = 1 << np.arange(len(weights))
    held, own_terms = (counts[best] + credit[best] > 0) @ bits, (counts[best] > 0) @ bits
    columns = (order[best], scores[best], held, own_terms)
    return [
        Hit(_subject(place, subjects, ids), *values)
        for place, *values in zip(best, *(column.tolist() for column in columns), strict=True)
    ]


def _typed(candidates: KeywordCandidates, weights: Array) -> Array:
    """What each document scores for words that it has in the language they were typed in."""
    masks = [d.terms >> len(candidates.lookup.queries) for d in candidates.documents]
    lengths = [d.length for d in candidates.documents]
    return ranking.word_score(ranking.term_counts(masks, lengths, len(weights)), weights)


def by_meaning(nearest: Sequence[Near]) -> list[Hit]:
    """Order subjects by their cosine alone."""
    return ranking.best_first(Hit(near.subject, near.cosine, near.cosine) for near in nearest)


def by_meaning_around(
    nearest: Sequence[Near], vicinity: Vicinity, limit: int, authors: Set[str] = frozenset()
) -> list[Hit]:
    """Order subjects by how far they and their neighbours exceed the least of the nearest ones.

    What is seen to be written by some authors, who are named, counts more.
    What stands around the nearest ones and satisfies the filter is found as well. Scores are 0 until cosines are known.
    """
    if not nearest:
        return []
    ids = [near.subject.id for near in nearest]
    places = _placed(vicinity.ids, ids)
    cosines = np.full(len(ids), np.nan)
    cosines[: len(nearest)] = [near.cosine for near in nearest]
    least = nearest[min(ANCHORS_MAX, len(nearest)) - 1].cosine
    above = np.nan_to_num(cosines, nan=-1.0) - least
    excess, speech = np.maximum(above, 0.0), hear(vicinity.said, places, len(ids))
    seen, fits = vicinity.seen, np.array(vicinity.fits, bool)
    kept = fits[seen.places]
    around = ranking.surroundings(
        seen.anchors[kept], places[seen.places[kept]], seen.steps[kept], excess > 0
    )
    lent = around.credit(excess, REACH_OF_MEANING, speech)
    total = (excess + lent) * speech.shares
    if authors:
        total[_theirs(authors, vicinity, places, len(ids))] *= ranking.THEIRS
    # A mute one has nothing to say, however near it is.
    order = np.where(total > 0, total, np.minimum(above, 0.0))
    order[places[~fits & (places >= len(nearest))]] = -np.inf
    best = ranking.best_places(order, ids, limit)
    subjects = [near.subject for near in nearest]
    return [
        Hit(_subject(place, subjects, ids), value, 0.0)
        for place, value in zip(best, order[best].tolist(), strict=True)
    ]


def with_scores(hits: Sequence[Hit], cosines: Mapping[Subject, float]) -> list[Hit]:
    """Give subjects their own cosines, whatever they were ordered by; 0 to those that have no vector yet."""
    return [hit._replace(score=cosines.get(hit.subject, 0.0)) for hit in hits]


def _theirs(
    authors: Set[str], vicinity: Vicinity, places: Positions, count: int
) -> npt.NDArray[np.bool_]:
    """Which of so many subjects are messages around some others that authors wrote."""
    found = np.zeros(count, bool)
    found[places] = [each in authors for each in vicinity.said.authors]
    return found


def _placed(others: Sequence[UUID], ids: list[UUID]) -> Positions:
    """Return where others stand among some ids; those that are not there are added to them."""
    positions = {each: position for position, each in enumerate(ids)}
    places = [positions.setdefault(each, len(positions)) for each in others]
    ids[:] = positions
    return np.array(places, np.intp)


def _subject(place: int, subjects: Sequence[Subject], ids: Sequence[UUID]) -> Subject:
    """The subject at a place: beyond the candidates there are only messages."""
    return subjects[place] if place < len(subjects) else Subject("message", ids[place])
