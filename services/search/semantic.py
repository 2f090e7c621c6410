"""The semantic leg: reads all vectors that a filter leaves when they are few, else walks the index."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.statistics import Statistics
from services.search.store import Filter, Generation, Near, Subject

# The rows that are compared with the query sooner than the index finds the best of them (about 4 µs each).
EXACT_ROWS_MAX: Final = 5_000
FILTERED_SCAN_BREADTH: Final = 250
_ROUNDS_MAX: Final = 3


class Plan(StrEnum):
    """How vectors are read."""

    NONE = "none"
    EXACT = "exact"
    HNSW = "hnsw"
    HNSW_ITERATIVE = "hnsw_iterative"


@dataclass(frozen=True, slots=True)
class SemanticCandidates:
    """What the semantic leg found, best first."""

    plan: Plan = Plan.NONE
    estimated_rows: int = 0
    nearest: list[Near] = field(default_factory=list)
    under_filled: bool = False


class SemanticLeg:
    """Reads the vectors of one generation."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    async def find(
        self,
        connection: Connection,
        workspace: UUID,
        generation: Generation,
        chosen: Filter,
        kinds: Sequence[str],
        vectors: Sequence[bytes],
        limit: int,
    ) -> SemanticCandidates:
        """Return the limit subjects nearest to any of some vectors (as vectors.to_halfvecs encodes them)."""
        rows = await self._estimate(connection, workspace, chosen, kinds)
        plan = choose_plan(rows, filtered=not chosen.is_empty)
        if plan is Plan.HNSW_ITERATIVE:
            await store.widen_index_scan(connection, FILTERED_SCAN_BREADTH)
        read = store.nearest_exact if plan is Plan.EXACT else _nearest_hnsw
        found = [
            await read(connection, workspace, generation, chosen, kinds, vector, limit)
            for vector in vectors
        ]
        nearest = unite(found)[:limit]
        under_filled = plan is not Plan.EXACT and len(nearest) < limit
        return SemanticCandidates(plan, rows, nearest, under_filled)

    async def _estimate(
        self, connection: Connection, workspace: UUID, chosen: Filter, kinds: Sequence[str]
    ) -> int:
        """Count what a filter leaves, exactly while it is few."""
        if chosen.is_empty:
            return await self._statistics.documents(connection, workspace, kinds)
        counts = await store.count_live(connection, chosen, kinds, EXACT_ROWS_MAX + 1)
        return sum(counts.values())


async def _nearest_hnsw(
    connection: Connection,
    workspace: UUID,
    generation: Generation,
    chosen: Filter,
    kinds: Sequence[str],
    vector: bytes,
    limit: int,
) -> list[Near]:
    """Ask the index for more until there are enough subjects: a long text has several vectors."""
    asked = limit
    for _ in range(_ROUNDS_MAX):
        nearest, parts = await store.nearest_hnsw(
            connection, workspace, generation, chosen, kinds, vector, asked
        )
        if len(nearest) >= limit or parts < asked:
            break
        asked *= 4
    return nearest[:limit]


def unite(lists: Sequence[list[Near]]) -> list[Near]:
    """Join lists of subjects, each with its best cosine, best first."""
    if len(lists) == 1:
        return lists[0]
    best: dict[Subject, float] = {}
    for near in (near for each in lists for near in each):
        best[near.subject] = max(near.cosine, best.get(near.subject, -1.0))
    joined = [Near(subject, cosine) for subject, cosine in best.items()]
    return sorted(joined, key=lambda near: (-near.cosine, near.subject.id))


def choose_plan(rows: int, *, filtered: bool) -> Plan:
    """Choose how to read the vectors of some rows."""
    if rows <= EXACT_ROWS_MAX:
        return Plan.EXACT
    return Plan.HNSW_ITERATIVE if filtered else Plan.HNSW
