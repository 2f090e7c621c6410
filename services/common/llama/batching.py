"""Pure planning: which texts share a batch, which are the same, and where a long one is cut."""

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]


def plan_batches(
    lengths: Sequence[int], tokens_per_batch: int, texts_per_batch: int
) -> list[list[int]]:
    """Return batches of indices, longest texts first, each within both limits.

    Texts of like length share a batch; one longer than the limit has a batch of its own.
    """
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or lengths[index] > room or len(batches[-1]) >= texts_per_batch:
            batches.append([])
            room = tokens_per_batch
        batches[-1].append(index)
        room -= lengths[index]
    return batches


def unite_equal(token_lists: Sequence[Tokens]) -> tuple[list[Tokens], npt.NDArray[np.intp]]:
    """Return the distinct lists and, for each list given, the index of the one equal to it."""
    places: dict[bytes, int] = {}
    distinct: list[Tokens] = []
    where = np.empty(len(token_lists), np.intp)
    for index, tokens in enumerate(token_lists):
        place = places.setdefault(tokens.tobytes(), len(distinct))
        if place == len(distinct):
            distinct.append(tokens)
        where[index] = place
    return distinct, where


def cut_evenly(length: int, part_max: int, rank: Callable[[int], int]) -> list[int]:
    """Return where to cut a text of `length` tokens into parts of at most `part_max`, nearly equal.

    Near each even cut the position of highest rank is taken, and of those the nearest.
    """
    if part_max < 1:
        raise ValueError("a part must hold at least one token")
    cuts: list[int] = []
    start = 0
    while length - start > part_max:
        start = _next_cut(start, length, part_max, rank)
        cuts.append(start)
    return cuts


def _next_cut(start: int, length: int, part_max: int, rank: Callable[[int], int]) -> int:
    rest = length - start
    even = ceil(rest / ceil(rest / part_max))
    slack = part_max // 8
    first = start + max(1, even - slack)
    last = start + min(part_max, even + slack)
    return max(range(first, last + 1), key=lambda at: (rank(at), -abs(at - start - even)))


def boundary_rank(before: str, after: str) -> int:
    """Return how well a text is cut there: 2 between sentences, 1 between words, 0 inside one."""
    starts_word = after.startswith(("\u2581", "\u0120", "\u010a", " "))
    if before.endswith(("\u3002", "\uff01", "\uff1f", "\u010a")):
        return 2
    if before.endswith((".", "!", "?", "\u2026")) and starts_word:
        return 2
    return 1 if starts_word else 0
