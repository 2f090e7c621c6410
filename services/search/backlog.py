"""What waits for its vector, looked at a part at a time: after an import it may be millions."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search.reads import Reads
from services.search.statements import statement
from services.search.store import Generation, Row

# How many tasks of each state a search looks at, in a few milliseconds, and how many are counted in one statement.
LOOKED_AT_MAX: Final = 2_000
COUNTED_MAX: Final = 20_000
_STATES: Final = ("dead", "leased", "ready")
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How much waits for its vectors, and up to when everything has them."""

    pending: int
    searchable_up_to: datetime | None
    dead: int = 0


async def look(
    connection: Connection, workspace: UUID, generation: Generation | None
) -> tuple[Freshness, bool]:
    """Return what waits for its vector, and whether that is all; without a serving generation everything waits."""
    if generation is None:
        pending: int = await connection.fetchval(_text("count_missing"), workspace, LOOKED_AT_MAX)
        return Freshness(pending, None), pending < LOOKED_AT_MAX
    text = _text("freshness")
    (row,) = await connection.fetch(text, generation.id, _STATES, _FIRST, LOOKED_AT_MAX)
    return Freshness(row["pending"], row["searchable_up_to"], row["dead"]), row["is_all"]


async def count(reads: Reads, workspace: UUID, generation: Generation | None) -> Freshness:
    """Return all that waits, counted a part after another: what is embedded meanwhile may be counted or not."""
    if generation is None:
        async with reads.reading(workspace) as connection:
            pending: int = await connection.fetchval(_text("count_missing"), workspace, None)
        return Freshness(pending, None)
    pending, dead, oldest = 0, 0, list[datetime]()
    for state in _STATES:
        async for row in _parts(reads, workspace, generation, state):
            pending, dead = pending + row["pending"], dead + row["dead"]
            oldest.append(row["searchable_up_to"])
    return Freshness(pending, min(oldest), dead)


async def _parts(
    reads: Reads, workspace: UUID, generation: Generation, state: str
) -> AsyncIterator[Row]:
    """Yield what is seen of part after part of the tasks in a state, each in a transaction of its own."""
    after = _FIRST
    while True:
        async with reads.reading(workspace) as connection:
            text = _text("freshness")
            (row,) = await connection.fetch(text, generation.id, [state], after, COUNTED_MAX)
        yield row
        if row["is_all"]:
            return
        after = row["last"]


async def waits_until(
    connection: Connection, generation: Generation, moment: datetime
) -> tuple[bool, bool]:
    """Return whether embeddings of what was accepted up to a time are still to be made, and whether any have died."""
    (row,) = await connection.fetch(_text("pending_until"), generation.id, moment)
    return row["pending"], row["dead"]


async def embedding_state(connection: Connection, generation: UUID, message: UUID) -> str | None:
    """Return whether a message is searchable, pending or dead; None if there is no such live message."""
    state: str | None = await connection.fetchval(_text("embedding_state"), generation, message)
    return state


def _text(name: str) -> str:
    return statement(name)[0]
