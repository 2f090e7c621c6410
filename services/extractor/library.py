"""Reads what was extracted, for those who ask."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from services.common import sql
from services.common.database import Connection

QUERIES = sql.load(Path(__file__).with_name("library.sql"))
Row = Any


async def topics(
    connection: Connection,
    workspace: UUID,
    *,
    limit: int,
    source: UUID | None = None,
    ids: Sequence[UUID] | None = None,
    before: tuple[Any, UUID] | None = None,
) -> Sequence[Row]:
    """Live topics, the one with the latest message first; `before` is the last one's (last_at, id)."""
    position = before or (None, None)
    return await connection.fetch(QUERIES["topics"], workspace, source, ids, *position, limit)


async def topic_contents(
    connection: Connection, workspace: UUID, topic: UUID
) -> tuple[list[UUID], list[UUID]]:
    """The ids of a topic's live messages and atoms, oldest first."""
    messages = await connection.fetch(QUERIES["topic_messages"], workspace, topic)
    atoms = await connection.fetch(QUERIES["topic_atoms"], workspace, topic)
    return [row["message_id"] for row in messages], [row["id"] for row in atoms]


async def atoms(
    connection: Connection,
    workspace: UUID,
    *,
    limit: int,
    type_name: str = "",
    topic: UUID | None = None,
    source: UUID | None = None,
    ids: Sequence[UUID] | None = None,
    before: UUID | None = None,
    state: str = "",
    only_invalidated: bool = False,
) -> Sequence[Row]:
    """Live atoms, newest first; `before` is the last one's id. Invalidated ones if asked for, or by id."""
    filters = (type_name, topic, source, ids, before, limit, only_invalidated, state)
    return await connection.fetch(QUERIES["atoms"], workspace, *filters)


async def evidence(
    connection: Connection, workspace: UUID, atom_ids: Sequence[UUID]
) -> dict[UUID, list[Row]]:
    """The passages that atoms rest on, by atom, in order."""
    found: dict[UUID, list[Row]] = {atom: [] for atom in atom_ids}
    for row in await connection.fetch(QUERIES["evidence"], workspace, atom_ids):
        found[row["atom_id"]].append(row)
    return found


async def messages(
    connection: Connection, workspace: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, Row]:
    """Messages by id."""
    rows = await connection.fetch(QUERIES["messages"], workspace, message_ids)
    return {row["id"]: row for row in rows}


async def links(connection: Connection, workspace: UUID, atom: UUID) -> Sequence[Row]:
    """An atom's links to and from live atoms."""
    return await connection.fetch(QUERIES["links"], workspace, atom)


async def versions(
    connection: Connection, workspace: UUID, atom: UUID, *, limit: int, before: int | None
) -> Sequence[Row]:
    """An atom's versions, newest first."""
    return await connection.fetch(QUERIES["versions"], workspace, atom, before, limit)


async def runs(
    connection: Connection, workspace: UUID, *, limit: int, outcome: str, before: UUID | None
) -> Sequence[Row]:
    """Extraction runs, newest first."""
    return await connection.fetch(QUERIES["runs"], workspace, outcome, before, limit)


async def feed_end(connection: Connection, workspace: UUID) -> int:
    """The position of the last change."""
    position: int = await connection.fetchval(QUERIES["feed_end"], workspace)
    return position


async def changes(connection: Connection, workspace: UUID, after: int, limit: int) -> Sequence[Row]:
    """What changed after a position, in order: position, kind and subject of each."""
    return await connection.fetch(QUERIES["changes"], workspace, after, limit)
