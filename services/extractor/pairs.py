"""What people took apart: pairs of atoms or of topics that no comparison brings together again. Pure."""

from collections.abc import Iterable, Set
from uuid import UUID

Pair = tuple[UUID, UUID]
"""Two ids, the smaller one first."""


def pair_of(one: UUID, other: UUID) -> Pair:
    """The pair of two ids."""
    return (one, other) if one < other else (other, one)


def company(ids: Iterable[UUID], apart: Set[Pair]) -> tuple[UUID, ...]:
    """Those of some ids, the smallest first, that are kept from none before them."""
    kept: list[UUID] = []
    for each in sorted(ids):
        if not any(pair_of(each, other) in apart for other in kept):
            kept.append(each)
    return tuple(kept)
