"""What a copy of a workspace's vectors is made of, and how it learns what was written since."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from services.common.database import Connection
from services.common.vectors import Matrix, from_halfvecs
from services.search.statements import KINDS, statement
from services.search.store import Generation

_BATCH: Final = 2_000


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot of the database: of which server, and which transactions it does not show.

    Those are all from a number on, and some before it that were under way.
    """

    server: datetime
    until: int
    under_way: tuple[int, ...]

    @classmethod
    def of(cls, server: datetime, snapshot: str) -> Self:
        """Read what PostgreSQL writes as xmin:xmax:xip_list."""
        _, until, under_way = snapshot.split(":")
        return cls(server, int(until), tuple(int(each) for each in under_way.split(",") if each))

    @property
    def arguments(self) -> tuple[str, list[str]]:
        """What a statement needs to find what the snapshot does not show."""
        return str(self.until), [str(each) for each in self.under_way]


@dataclass(frozen=True, slots=True)
class Written:
    """Vectors of one kind: the ids of their subjects, 16 bytes each, and an (n, d) array."""

    kind: str
    ids: bytes
    vectors: Matrix


async def count(connection: Connection, workspace: UUID, generation: Generation) -> int:
    """Return how many vectors there are."""
    rows: int = await connection.fetchval(_text("count_vectors", generation), workspace)
    return rows


async def everything(
    connection: Connection, workspace: UUID, generation: Generation
) -> AsyncIterator[tuple[Moment, list[Written]]]:
    """Yield all vectors a few thousand at a time, each time with the snapshot that shows them, which is the same."""
    text = _text("every_vector", generation)
    cursor = await connection.cursor(text, workspace)
    while rows := await cursor.fetch(_BATCH):
        yield _moment(rows), _written(rows)


async def since(
    connection: Connection, workspace: UUID, generation: Generation, moment: Moment, limit: int
) -> tuple[Moment, list[Written]]:
    """Return what was written since a snapshot, and a new snapshot that shows it; if it is limited, not all of it."""
    text = _text("vectors_since", generation)
    rows = await connection.fetch(text, workspace, *moment.arguments, limit)
    return _moment(rows), _written(rows)


def _text(name: str, generation: Generation) -> str:
    return statement(name, KINDS, None, generation.id, generation.dimensions)[0]


def _moment(rows: Sequence[Any]) -> Moment:
    return Moment.of(rows[0]["server"], rows[0]["snapshot"])


def _written(rows: Sequence[Any]) -> list[Written]:
    of_kind: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row["kind"]:
            of_kind[row["kind"]].append(row)
    return [
        Written(
            kind,
            b"".join([row["subject_id"].bytes for row in each]),
            from_halfvecs([row["embedding"] for row in each]),
        )
        for kind, each in of_kind.items()
    ]
