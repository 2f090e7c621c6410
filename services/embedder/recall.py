"""How much of what exact comparison finds a generation's index finds too."""

import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.common.database import Database
from services.common.errors import StatementTooSlow
from services.common.vectors import INDEX_SETTINGS, of_segments
from services.embedder.generations import Generation

log = logging.getLogger(__name__)

NEAREST: Final = 10
_QUERIES_MAX: Final = 50
# An exact comparison costs about 4 µs a row: ten seconds for all of them.
_COMPARISONS_MAX: Final = 2_500_000
# Vectors at the same distance may be found in any order.
_TIE: Final = 1e-6

_SAMPLE: Final = """
select v.embedding from embedder.vector v
where v.workspace_id = $1 and v.generation_id = '{generation}' and v.part = 0
order by md5(v.subject_id::text) limit $2"""
_BOUNDS: Final = (
    "select until::text as until from embedder.segment where generation_id = $1 order by until"
)
_NEAREST: Final = """
select distance from (/*segment*/
  (select (v.embedding::halfvec({dimensions})) <=> $2::halfvec({dimensions}) as distance
   from embedder.vector v where v.workspace_id = $1 and v.generation_id = '{generation}' and {segment}
   order by 1 limit {nearest})
  union all/*end segment*/
  (select (v.embedding::halfvec({dimensions})) <=> $2::halfvec({dimensions}) as distance
   from embedder.vector v where v.workspace_id = $1 and v.generation_id = '{generation}' and {outside}
   order by 1 limit {nearest})) x
order by distance limit {nearest}"""


@dataclass(frozen=True)
class Recall:
    """The mean share of the ten nearest that the index finds, and over how many queries; 0 if none could be made."""

    at_10: float
    queries: int


async def measure_recall(database: Database, workspace: UUID, generation: Generation) -> Recall:
    """Compare the index with exact comparison, vectors of the workspace itself being the queries.

    None is compared of so many vectors that one exact comparison takes longer than a statement may.
    """
    try:
        return await _measure(database, workspace, generation)
    except StatementTooSlow as error:
        log.warning("generation %s: its recall is not measured: %s", generation.id, error)
        return Recall(0.0, 0)


async def _measure(database: Database, workspace: UUID, generation: Generation) -> Recall:
    names = {
        "generation": generation.id,
        "dimensions": generation.model.dimensions,
        "nearest": NEAREST,
    }
    async with database.transaction(workspace) as connection:
        count = await connection.fetchval(
            "select count(*) from embedder.vector where workspace_id = $1 and generation_id = $2",
            workspace,
            generation.id,
        )
        wanted = max(1, min(_QUERIES_MAX, _COMPARISONS_MAX // max(count, 1)))
        rows = await connection.fetch(_SAMPLE.format(**names), workspace, wanted)
        queries = [row["embedding"] for row in rows]
        bounds = [r["until"] for r in await connection.fetch(_BOUNDS, generation.id)]
        nearest = of_segments(_NEAREST, bounds).format(**names)
        for name, value in (INDEX_SETTINGS | {"enable_seqscan": "off"}).items():
            await connection.execute("select set_config($1, $2, true)", name, value)
        found = [await connection.fetch(nearest, workspace, query) for query in queries]
        for name, value in {"enable_seqscan": "on", "enable_indexscan": "off"}.items():
            await connection.execute("select set_config($1, $2, true)", name, value)
        nearest = of_segments(_NEAREST, ()).format(**names)
        exact = [await connection.fetch(nearest, workspace, query) for query in queries]
    shares = [
        _share([row["distance"] for row in few], [row["distance"] for row in all_])
        for few, all_ in zip(found, exact, strict=True)
    ]
    return Recall(sum(shares) / len(shares) if shares else 0.0, len(shares))


def _share(found: list[float], exact: list[float]) -> float:
    """The share of the exact that was found, by distance."""
    if not exact:
        return 1.0
    return sum(distance <= exact[-1] + _TIE for distance in found) / len(exact)
