"""What the semantic leg reads: which subjects are nearest to a vector, and what a filter leaves."""

from collections.abc import Sequence
from dataclasses import replace

from services.common.database import Connection
from services.common.vectors import of_segments
from services.search import store
from services.search.store import Near, Row, Scope, Subject


async def listed(connection: Connection, scope: Scope, limit: int) -> tuple[dict[str, bytes], int]:
    """Return what satisfies a filter, of each kind ids of 16 bytes, and how many that are, up to a limit."""
    scope = replace(scope, filter=scope.filter.enumerable)
    text, values = scope.statement("listed")
    arguments = (*scope.filter.arguments(), scope.workspace, limit)
    rows = await connection.fetch(text, *arguments, *values)
    return {row["kind"]: row["ids"] for row in rows}, sum(row["rows"] for row in rows)


async def nearest_exact(
    connection: Connection,
    scope: Scope,
    vector: bytes,
    limit: int,
    rows_limit: int | None = None,
) -> tuple[list[Near], int]:
    """Compare a vector with everything that satisfies a filter; exact. Return how many rows that is as well.

    If there are as many rows as their limit, none is compared and none counted beyond it.
    """
    scope = replace(scope, filter=scope.filter.enumerable)
    text, values = scope.statement("nearest_exact")
    arguments = (scope.workspace, vector, limit, rows_limit)
    rows = await connection.fetch(text, *scope.filter.arguments(), *arguments, *values)
    return [_near(row) for row in rows if row["kind"]], rows[0]["rows"]


async def nearest_hnsw(
    connection: Connection,
    scope: Scope,
    vector: bytes,
    limit: int,
) -> tuple[list[Near], int]:
    """Walk each graph until enough parts satisfy a filter; return their subjects and how many parts there were."""
    text, values = scope.statement("nearest_hnsw")
    text = of_segments(text, scope.generation.bounds)
    arguments = (scope.workspace, vector, limit)
    rows = await connection.fetch(text, *scope.filter.arguments(), *arguments, *values)
    return [_near(row) for row in rows], rows[0]["parts"] if rows else 0


async def nearest_known(
    connection: Connection,
    scope: Scope,
    vector: bytes,
    limit: int,
    subjects: Sequence[Subject],
    since: tuple[str, list[str]],
    fresh_limit: int,
) -> tuple[list[Near], int]:
    """Return the nearest of some subjects and of what was written since a snapshot, and how many vectors that were.

    If these are as many as their limit, what is returned lacks some of them.
    """
    text, values = scope.statement("nearest_known")
    arguments = (scope.workspace, vector, limit, *store.parallel(subjects), *since, fresh_limit)
    rows = await connection.fetch(text, *scope.filter.arguments(), *arguments, *values)
    return [_near(row) for row in rows if row["kind"]], rows[0]["fresh"]


def unite(lists: Sequence[list[Near]]) -> list[Near]:
    """Join lists of subjects, each with its best cosine, best first."""
    if len(lists) == 1:
        return lists[0]
    best: dict[Subject, float] = {}
    for near in (near for each in lists for near in each):
        best[near.subject] = max(near.cosine, best.get(near.subject, -1.0))
    joined = [Near(subject, cosine) for subject, cosine in best.items()]
    return sorted(joined, key=lambda near: (-near.cosine, near.subject.id))


def _near(row: Row) -> Near:
    return Near(Subject(row["kind"], row["id"]), 1.0 - row["distance"])
