"""The semantic leg: reads all vectors that a filter leaves when they are few, else asks a copy or walks the index."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.common.reading import Local
from services.common.vectors import INDEX_SETTINGS
from services.search.aims import Aim
from services.search.copies import Copies, Copy
from services.search.nearest import listed, nearest_exact, nearest_hnsw, unite
from services.search.proposals import Proposals
from services.search.statistics import Statistics
from services.search.store import Filter, Near, Scope

# The rows that are compared with the query sooner than the index finds the best of them (about 4 µs each).
EXACT_ROWS_MAX: Final = 5_000
# From so many on a copy pays.
COPIED_ROWS_MIN: Final = 1_000
# To list n rows takes about as long as to look up, of N in a copy, those of which a filter that leaves n leaves 20,
# where n² is so many times N: rows are listed in 2 µs each and looked up in 13 µs, twice as many as it takes. To look
# at the copy and to plan more statements takes as long as some more rows.
_LISTED_FOR_LOOKED_UP: Final = 300
_LISTED_FOR_COPY: Final = 400
# So few are compared by the statement that finds them, at 6 µs each, sooner than another looks up the nearest.
COMPARED_ROWS_MAX: Final = 400
# As vectors.INDEX_SETTINGS has it.
SCAN_BREADTH: Final = int(INDEX_SETTINGS["hnsw.ef_search"])
# Of what a filter drops nobody sees how many better ones it stood before, so the scan is broader, and more is asked of
# the index than is wanted: with breadth and demand as without a filter, a tenth of the nearest is missed.
FILTERED_SCAN_BREADTH: Final = 700
FILTERED_DEMAND_MIN: Final = 100
_ROUNDS_MAX: Final = 3


# Under these the plans of statements are kept, not made anew each time, and are the same whatever the server believes
# of the tables: nothing is read whole, and what an index gives in order is not sorted.
KEPT_PLANS: Final[Local] = (
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_sort", "off"),
)


class Plan(StrEnum):
    """How vectors are read."""

    NONE = "none"
    EXACT = "exact"
    MEMORY = "memory"
    HNSW = "hnsw"
    HNSW_ITERATIVE = "hnsw_iterative"


@dataclass(frozen=True, slots=True)
class SemanticCandidates:
    """What the semantic leg found, best first, how it read the vectors, and why so."""

    plan: Plan = Plan.NONE
    reason: str = ""
    estimated_rows: int = 0
    total_rows: int = 0
    breadth: int = 0
    nearest: list[Near] = field(default_factory=list)
    under_filled: bool = False

    @property
    def selectivity(self) -> float:
        """The share of rows that the filter leaves."""
        return min(1.0, self.estimated_rows / self.total_rows) if self.total_rows else 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan, and why it was chosen."""

    plan: Plan
    reason: str


class SemanticLeg:
    """Reads vectors: all that a filter leaves, what a copy proposes, or what the index finds."""

    def __init__(self, statistics: Statistics, copies: Copies | None = None) -> None:
        self._statistics, self._copies = statistics, copies

    def settings(self, workspace: UUID, chosen: Filter, kinds: Sequence[str], limit: int) -> Local:
        """The settings of a transaction in which a search reads up to so many near subjects; 0 if none.

        Where nothing is filtered and much is there, no plan depends on what is asked, so plans are kept.
        """
        everything = chosen.is_empty and chosen.made_until is None
        keeps = everything and self._statistics.are_large(workspace, kinds, EXACT_ROWS_MAX)
        scan = scan_settings(chosen, limit) if limit else ()
        return scan + (KEPT_PLANS if keeps else ())

    async def find(
        self,
        connection: Connection,
        scope: Scope,
        aims: Sequence[Aim],
        limit: int,
        needed: int = 0,
    ) -> SemanticCandidates:
        """Return the limit subjects nearest to any of some vectors, each as its aim measures it.

        The transaction must have begun with scan_settings of the same filter and limit.
        If the index gives fewer than are needed, everything is compared after all: what is there is found.
        """
        total = await self._statistics.documents(connection, scope.workspace, scope.kinds)
        copy = self._copy_of(scope, total)
        if copy is not None:
            found = await self._find_copied(copy, connection, scope, aims, limit, total)
            if found is not None:
                return found
        return await self._find_stored(connection, scope, aims, limit, needed, total)

    def _copy_of(self, scope: Scope, total: int) -> Copy | None:
        """The copy of the workspace's vectors, if there are so many that one pays and it is there."""
        if self._copies is None or total <= COPIED_ROWS_MIN:
            return None
        return self._copies.of(scope.workspace, scope.generation)

    async def _find_copied(
        self,
        copy: Copy,
        connection: Connection,
        scope: Scope,
        aims: Sequence[Aim],
        limit: int,
        total: int,
    ) -> SemanticCandidates | None:
        """Look up what is nearest in a copy: of what a filter leaves if to list that is less work, else of all.

        Very little is compared without it. Return None if the copy does not give enough.
        """
        some, rows = None, total
        if not scope.filter.is_empty:
            few, rows = await self._few(connection, scope, aims, limit, COMPARED_ROWS_MAX)
            if few is not None:
                reason = "what the filter leaves is compared one by one"
                return SemanticCandidates(Plan.EXACT, reason, rows, total, nearest=few)
            together = _LISTED_FOR_COPY + math.isqrt(_LISTED_FOR_LOOKED_UP * total)
            # Listed in less than half the time that it takes to compare as many.
            rows_max = min(2 * EXACT_ROWS_MAX, together)
            some, rows = await self._listed(connection, scope, rows_max)
        proposals = Proposals(copy, connection, scope, limit)
        found = [await proposals.nearest(aim, some) for aim in aims]
        if proposals.fresh and self._copies:
            self._copies.fell_behind(copy)
        complete = [nearest for nearest in found if nearest is not None]
        if len(complete) < len(found):
            return None
        reason = (
            "all vectors are in memory: the nearest by that are looked up"
            if some is None
            else "what the filter leaves is compared in memory: the nearest by that are looked up"
        )
        return SemanticCandidates(Plan.MEMORY, reason, rows, total, nearest=unite(complete)[:limit])

    async def _listed(
        self, connection: Connection, scope: Scope, rows_max: int
    ) -> tuple[dict[str, bytes] | None, int]:
        """List what a filter leaves, None if that is more than so many rows, and count it."""
        filtering = (scope.workspace, scope.filter, scope.kinds)
        if self._statistics.leaves_more(*filtering, rows_max):
            return None, rows_max + 1
        some, rows = await listed(connection, scope, rows_max + 1)
        if rows > rows_max:
            self._statistics.remember_more(*filtering, rows_max)
            return None, rows
        return some, rows

    async def _find_stored(
        self,
        connection: Connection,
        scope: Scope,
        aims: Sequence[Aim],
        limit: int,
        needed: int,
        total: int,
    ) -> SemanticCandidates:
        """Compare all that there is if it is few, else walk the index."""
        few, rows, breadth = None, total, 0
        if not scope.filter.is_empty:
            few, rows = await self._few(connection, scope, aims, limit, EXACT_ROWS_MAX)
        choice = choose_plan(rows, filtered=not scope.filter.is_empty)
        nearest: list[Near] = few or []
        if choice.plan is not Plan.EXACT:
            breadth = scan_breadth(scope.filter, limit)
            lists = [await _nearest_hnsw(connection, scope, aim, limit) for aim in aims]
            nearest = unite(lists)[:limit]
            if len(nearest) < min(needed, limit):
                choice = Choice(Plan.EXACT, "the index gave less than was asked for")
        if choice.plan is Plan.EXACT and few is None:
            nearest = await find_exactly(connection, scope, aims, limit)
        under_filled = choice.plan is not Plan.EXACT and len(nearest) < limit
        return SemanticCandidates(
            choice.plan, choice.reason, rows, total, breadth, nearest, under_filled
        )

    async def _few(
        self,
        connection: Connection,
        scope: Scope,
        aims: Sequence[Aim],
        limit: int,
        rows_max: int,
    ) -> tuple[list[Near] | None, int]:
        """Compare vectors with all that a filter leaves if it is few, and count it: both need it found, once."""
        filtering = (scope.workspace, scope.filter, scope.kinds)
        if self._statistics.leaves_more(*filtering, rows_max):
            return None, rows_max + 1
        first, *others = aims
        where = (connection, scope, first.value, limit, rows_max + 1)
        nearest, rows = await nearest_exact(*where)
        if rows > rows_max:
            self._statistics.remember_more(*filtering, rows_max)
            return None, rows
        found = [first.measured(nearest), await find_exactly(connection, scope, others, limit)]
        return unite(found)[:limit], rows


async def find_exactly(
    connection: Connection,
    scope: Scope,
    aims: Sequence[Aim],
    limit: int,
) -> list[Near]:
    """Compare vectors with everything that satisfies a filter."""
    found = []
    for aim in aims:
        nearest, _ = await nearest_exact(connection, scope, aim.value, limit)
        found.append(aim.measured(nearest))
    return unite(found)[:limit]


def scan_breadth(chosen: Filter, limit: int) -> int:
    """How many candidates an index scan keeps: more if many are wanted, or if a filter will drop some."""
    if chosen.is_empty and limit <= SCAN_BREADTH:
        return SCAN_BREADTH
    return FILTERED_SCAN_BREADTH


def scan_settings(chosen: Filter, limit: int) -> Local:
    """The settings of a transaction in which SemanticLeg.find may walk the index."""
    breadth = scan_breadth(chosen, limit)
    return () if breadth == SCAN_BREADTH else (("hnsw.ef_search", str(breadth)),)


async def _nearest_hnsw(
    connection: Connection,
    scope: Scope,
    aim: Aim,
    limit: int,
) -> list[Near]:
    """Ask the index for more until there are enough subjects: a long text has several vectors."""
    asked = limit if scope.filter.is_empty else max(limit, FILTERED_DEMAND_MIN)
    for _ in range(_ROUNDS_MAX):
        nearest, parts = await nearest_hnsw(connection, scope, aim.value, asked)
        if len(nearest) >= limit or parts < asked:
            break
        asked *= 4
    return aim.measured(nearest[:limit])


def choose_plan(rows: int, *, filtered: bool) -> Choice:
    """Choose how to read the vectors of some rows."""
    if rows <= EXACT_ROWS_MAX:
        return Choice(Plan.EXACT, f"at most {EXACT_ROWS_MAX:,} rows are compared one by one")
    if filtered:
        reason = "the index is walked on until enough rows satisfy the filter"
        return Choice(Plan.HNSW_ITERATIVE, reason)
    return Choice(Plan.HNSW, "nothing is filtered, so the index finds the nearest by itself")
