"""Pages of a ranking: each goes on after the last result of the one before, wherever that stands by now.

The id of the last result says where to go on; its score does so only if that result is gone.
"""

from bisect import bisect_right
from collections.abc import Sequence
from uuid import UUID

from services.search.answer import Answer
from services.search.question import RESULTS_MAX, Place, Question
from services.search.ranking import Fused


def page(ranked: Sequence[Fused], after: Place | None, count: int) -> tuple[list[Fused], bool]:
    """Return the results after a place, and whether there are more."""
    start = 0
    if after is not None:
        last = next((i for i, each in enumerate(ranked) if each.subject.id == after.id), None)
        by_score = bisect_right(ranked, (-after.score, after.id), key=_position)
        start = by_score if last is None else last + 1
    end = min(start + count, RESULTS_MAX)
    return list(ranked[start:end]), len(ranked) > end and end < RESULTS_MAX


def place_after(results: Sequence[Fused], question: Question) -> Place:
    """Where the page that ends with these results ends."""
    before = question.after.offset if question.after else 0
    return Place(before + len(results), results[-1].score, results[-1].subject.id)


def total_size(question: Question, answer: Answer) -> int:
    """How many results all pages hold; an estimate only where the index was asked for no more than the page needs."""
    if answer.rerank_scores:
        # What was ordered anew is one page.
        return len(answer.groups or answer.page)
    if question.dress.group_by:
        return answer.total
    found = min(len(answer.ranked), RESULTS_MAX)
    leg = question.semantic
    if question.is_hybrid or leg is None or leg.score_min or found < question.pool:
        return found
    return max(found, min(RESULTS_MAX, leg.limit or RESULTS_MAX, answer.semantic.estimated_rows))


def _position(result: Fused) -> tuple[float, UUID]:
    return -result.score, result.subject.id
