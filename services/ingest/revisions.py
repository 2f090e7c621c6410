"""How often a source was written to, and locks on it, which writers take after those on its messages."""

from typing import NamedTuple
from uuid import UUID

from services.common.database import Connection
from services.ingest.store import QUERIES


class SourceState(NamedTuple):
    """How many writes of messages of a source are committed, its title and its external id."""

    revision: int
    title: str
    external_id: str


async def source_revision(connection: Connection, workspace: UUID, source_id: UUID) -> int:
    """Return how many writes of messages of a source are committed."""
    found: int = await connection.fetchval(QUERIES["source_revision"], workspace, source_id)
    return found


async def raise_source_revision(
    connection: Connection, workspace: UUID, source_id: UUID
) -> SourceState:
    """Count a write, once those before it are committed; return how many those were."""
    [row] = await connection.fetch(QUERIES["raise_source_revision"], workspace, source_id)
    return SourceState(*row)


async def hold_source_revision(
    connection: Connection, workspace: UUID, source_id: UUID
) -> SourceState:
    """Return the same without counting a write, and keep others from counting one."""
    [row] = await connection.fetch(QUERIES["hold_source_revision"], workspace, source_id)
    return SourceState(*row)


async def hold_source_key(connection: Connection, workspace: UUID, source_id: UUID) -> SourceState:
    """Return the same, and keep others only from moving the source."""
    [row] = await connection.fetch(QUERIES["hold_source_key"], workspace, source_id)
    return SourceState(*row)
