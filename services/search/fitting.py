"""Results and groups as far as a reply holds them: those that come first, and the first in any case."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from services.common.replies import REPLY_BYTES_MAX, REPLY_MAX, Space, fit_evidence
from winnow.search.v1 import search_pb2 as pb

T = TypeVar("T")

_FEWER: Final = f"a reply holds {REPLY_MAX} at most: what comes after these is left out"
_SHORTER: Final = (
    f"a reply holds {REPLY_MAX} at most: some of what belongs to the first is left out"
)


def fit(
    parts: Any, items: Sequence[T], write: Callable[[T, Any], None], space: Space
) -> tuple[int, list[str]]:
    """Write items into a reply's results or groups; return how many it holds, and what to warn of."""
    for count, item in enumerate(items):
        part = parts.add()
        write(item, part)
        if space.holds(part):
            continue
        if count:
            del parts[-1]
            return count, [_FEWER]
        _shorten(part, space.left_bytes)
        return 1, [_SHORTER, *([_FEWER] if len(items) > 1 else [])]
    return len(items), []


def _shorten(part: Any, size_bytes: int) -> None:
    """Leave out results of a group, the last ones, then what surrounds or proves its first."""
    if isinstance(part, pb.SearchResult):
        _shorten_result(part, size_bytes)
        return
    while len(part.results) > 1 and part.ByteSize() > size_bytes:
        del part.results[-1]
    for first in part.results[:1]:
        _shorten_result(first, size_bytes - part.ByteSize() + first.ByteSize())


def _shorten_result(result: pb.SearchResult, size_bytes: int) -> None:
    """Leave out neighbours, the farthest first, and evidence."""
    around = result.neighbours
    while (around.before or around.after) and result.ByteSize() > size_bytes:
        if len(around.before) > len(around.after):
            del around.before[0]
        else:
            del around.after[-1]
    if result.HasField("atom"):
        fit_evidence(result.atom, size_bytes - result.ByteSize() + result.atom.ByteSize())


def fit_items(items: Sequence[pb.ContextItem]) -> None:
    """Shorten the evidence of items, whose texts have the words of it, so that a reply holds all of them."""
    if sum(item.ByteSize() for item in items) > REPLY_BYTES_MAX:
        for item in items:
            fit_evidence(item.result.atom, REPLY_BYTES_MAX // 2 // len(items))
