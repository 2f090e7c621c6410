"""Pages of a ranking: each goes on after the last result of the one before, wherever that stands by now.

The id of the last result says where to go on; its score does so only if that result is gone.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from services.search.answer import Answer
from services.search.question import RESULTS_MAX, Place, Question
from services.search.ranking import Fused

T = TypeVar("T")


def page(ranked: Sequence[Fused], after: Place | None, count: int) -> tuple[list[Fused], bool]:
    """Return the results after a place, and whether there are more."""
    _, found, more = page_of(ranked[:RESULTS_MAX], after, count, _position)
    return list(found), more


def page_of(
    found: Sequence[T],
    after: Place | None,
    count: int,
    position: Callable[[T], tuple[Any, ...]],
) -> tuple[int, Sequence[T], bool]:
    """The results after a place, from which position on they are, and whether there are more; all in that order.

    The last of what makes a position tells what stands there, the rest where that would stand.
    """
    start = 0
    if after is not None:
        it = after.position[-1]
        last = next((i for i, each in enumerate(found) if position(each)[-1] == it), None)
        start = bisect_right(found, after.position, key=position) if last is None else last + 1
    return start, found[start : start + count], len(found) > start + count


def place_after(question: Question, answer: Answer) -> Place:
    """Where the page ends, and how many results it took to get there: as many are looked for before the next one."""
    last = answer.page[-1]
    offset = (question.after.offset if question.after else 0) + len(answer.page)
    if answer.gone:
        seen = answer.ranked.index(last) + 1 if last in answer.ranked else len(answer.ranked)
        offset = max(offset, seen + answer.gone)
    return Place(offset, last.score, last.subject.id)


def total_size(question: Question, answer: Answer) -> int:
    """How many results all pages hold; an estimate only where the index was asked for no more than the page needs."""
    if answer.rerank_scores:
        # What was ordered anew is one page.
        return len(answer.groups or answer.page)
    if question.dress.group_by:
        return answer.total
    found, leg = min(len(answer.ranked), RESULTS_MAX), question.semantic
    if leg is None or not is_part(question, answer):
        return found
    return max(found, min(RESULTS_MAX, leg.limit or RESULTS_MAX, answer.semantic.estimated_rows))


def is_part(question: Question, answer: Answer) -> bool:
    """Whether the index was asked for no more than the page needs, and others may come after the ranking."""
    leg = question.semantic
    if question.is_hybrid or leg is None or leg.score_min:
        return False
    return min(len(answer.ranked) + answer.gone, RESULTS_MAX) >= question.pool


def _position(result: Fused) -> tuple[float, UUID]:
    return -result.score, result.subject.id
