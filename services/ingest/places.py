"""Places in conversations: what comes between them, follows them, or is within reach of them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise, zip_longest
from operator import itemgetter
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.ingest.messages import Order
from services.ingest.store import QUERIES, Place, by_index

# As asyncpg writes them.
_INFINITY = datetime.max.replace(tzinfo=UTC)
_MINUS_INFINITY = datetime.min.replace(tzinfo=UTC)


def _columns(places: Sequence[Place]) -> tuple[list[str], list[datetime], list[str]]:
    return [p[0] for p in places], [p[1] for p in places], [p[2] for p in places]


async def disturbed_threads(
    connection: Connection,
    workspace: UUID,
    source_id: UUID,
    places: Sequence[tuple[Place, Order | None]],
    besides: Sequence[str],
) -> set[str]:
    """Return the threads in which a message other than some keys comes after a place and not after another."""
    until = [end for _, end in places]
    found = await connection.fetch(
        QUERIES["disturbed_threads"],
        workspace,
        source_id,
        *_columns([place for place, _ in places]),
        [end[0] if end else _INFINITY for end in until],
        [end and end[2] for end in until],
        besides,
    )
    return {row["thread_id"] for row in found}


async def interrupted_places(
    connection: Connection, workspace: UUID, source_id: UUID, places: Sequence[Place]
) -> set[Place]:
    """Return the places of a batch, in order within each thread, between which others come."""
    followed = [
        after if after and after[0] == each[0] else None
        for each, after in zip_longest(places, places[1:])
    ]
    found = await connection.fetch(
        QUERIES["interrupted_places"],
        workspace,
        source_id,
        *_columns(places),
        [each[1] if each else _INFINITY for each in followed],
        [each and each[2] for each in followed],
    )
    numbers = [row["number"] - 1 for row in found]
    resumed = {after for number in numbers if (after := followed[number])}
    return resumed | {places[number] for number in numbers}


async def followed_places(
    connection: Connection, workspace: UUID, source_id: UUID, places: Sequence[Place]
) -> list[Place]:
    """Return the places of what is erased directly after which something stays."""
    async with by_index(connection):
        found = await connection.fetch(
            QUERIES["followed_places"], workspace, source_id, *_columns(places)
        )
    return [places[row["number"] - 1] for row in found]


async def around_places(
    connection: Connection, workspace: UUID, source_id: UUID, places: Sequence[Place], reach: int
) -> list[Any]:
    """Return the messages within reach of places of a source, `depends` those to score; both in the order of talk."""
    runs = list(_runs(places))
    async with by_index(connection):
        found = await connection.fetch(
            QUERIES["around_places"],
            workspace,
            source_id,
            [thread for thread, _, _ in runs],
            [first[1] if first else _MINUS_INFINITY for _, first, _ in runs],
            [first and first[2] for _, first, _ in runs],
            [after[1] if after else _INFINITY for _, _, after in runs],
            [after and after[2] for _, _, after in runs],
            reach,
        )
    return list(found)


def _runs(places: Sequence[Place]) -> Iterator[tuple[str, Place | None, Place | None]]:
    """What is between each two places of a thread that follow one another, before the first, and after the last."""
    for thread, among in groupby(places, key=itemgetter(0)):
        yield from ((thread, *ends) for ends in pairwise([None, *among, None]))
