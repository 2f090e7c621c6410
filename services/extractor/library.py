"""Reads what was extracted, for those who ask."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.moments import Span

QUERIES = sql.load(Path(__file__).with_name("library.sql"))
Row = Any
# So many messages are looked at for each topic of a page, then up to so many times as many, before all topics are.
_MESSAGES_PER_TOPIC: Final = 20
_WIDENING_MAX: Final = 10
# Of the newest messages, which may wait to be read, so many are looked at for one that has a topic.
_UNREAD_MAX: Final = 50_000
_END: Final = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


async def topics(
    connection: Connection,
    workspace: UUID,
    *,
    limit: int,
    source: UUID | None = None,
    ids: Sequence[UUID] | None = None,
    before: tuple[Any, UUID] | None = None,
    as_of: datetime | None = None,
) -> Sequence[Row]:
    """Live topics, the one with the latest message first; `before` is the last one's (last_at, id).

    With `as_of` as far as they had been talked about then.
    """
    if ids is None:
        rows = await _latest_topics(connection, workspace, limit, source, before, as_of)
        if rows is not None:
            return rows
    place = (source, ids, *(before or (None, None)), limit, as_of)
    return await connection.fetch(QUERIES["topics"], workspace, *place)


async def _latest_topics(
    connection: Connection,
    workspace: UUID,
    limit: int,
    source: UUID | None,
    before: tuple[Any, UUID] | None,
    as_of: datetime | None,
) -> Sequence[Row] | None:
    """A page of topics as the messages before it tell; None where they lie too far apart for that."""
    start = min(before or _END, (as_of, _END[1]) if as_of else _END)
    first = messages = limit * _MESSAGES_PER_TOPIC
    since = start[0]
    for _ in range(3):
        walk = (source, *start, limit, messages, as_of, since)
        rows = await connection.fetch(QUERIES["latest_topics"], workspace, *walk)
        if len(rows) == limit or (rows and rows[0]["is_all"]):
            return rows
        wider = 1 + 2 * limit // max(1, len(rows))
        if wider <= _WIDENING_MAX and messages == first:
            messages *= wider
        elif wider > _WIDENING_MAX and since == start[0]:
            place = (workspace, since, _UNREAD_MAX)
            since = await connection.fetchval(QUERIES["last_discussed"], *place)
            if since in (None, start[0]):
                return None
        else:
            return None
    return None


async def topic_messages(
    connection: Connection,
    workspace: UUID,
    topic: UUID,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    as_of: datetime | None = None,
) -> Sequence[Row]:
    """A topic's live messages, oldest first: id and time; `after` is the last one's (sent_at, id).

    With `as_of` those of that time.
    """
    place = (topic, as_of, *(after or (None, None)), limit)
    return await connection.fetch(QUERIES["topic_messages"], workspace, *place)


async def topic_atoms(
    connection: Connection,
    workspace: UUID,
    topic: UUID,
    *,
    limit: int,
    as_of: datetime | None = None,
) -> list[UUID]:
    """The ids of a topic's live atoms that are not rejected, oldest first; those that held at a time if given."""
    rows = await connection.fetch(QUERIES["topic_atoms"], workspace, topic, as_of, limit)
    return [row["id"] for row in rows]


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
    as_of: datetime | None = None,
) -> Sequence[Row]:
    """Live atoms, newest first; `before` is the last one's id. Invalidated ones if asked for, merged ones too by id.

    With `as_of` what held then, for all that is known now.
    """
    filters = (type_name, topic, source, ids, before, limit, only_invalidated, state, as_of)
    return await connection.fetch(QUERIES["atoms"], workspace, *filters)


async def evidence(
    connection: Connection,
    workspace: UUID,
    atom_ids: Sequence[UUID],
    as_of: datetime | None = None,
) -> dict[UUID, list[Row]]:
    """The passages that atoms rest on, by atom, in order; only those said by a time if one is given."""
    found: dict[UUID, list[Row]] = {atom: [] for atom in atom_ids}
    for row in await connection.fetch(QUERIES["evidence"], workspace, atom_ids, as_of):
        found[row["atom_id"]].append(row)
    return found


async def messages(
    connection: Connection, workspace: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, Row]:
    """Messages by id."""
    rows = await connection.fetch(QUERIES["messages"], workspace, message_ids)
    return {row["id"]: row for row in rows}


async def links(
    connection: Connection,
    workspace: UUID,
    atoms: Sequence[UUID],
    types: Sequence[str] = (),
    confidence_min: float = 0.0,
    as_of: datetime | None = None,
) -> Sequence[Row]:
    """Links of atoms to and from live ones: of some types, at least so sure, none to what came after a time."""
    filters = (types, confidence_min, as_of)
    return await connection.fetch(QUERIES["links"], workspace, atoms, *filters)


async def versions(
    connection: Connection, workspace: UUID, atom: UUID, *, limit: int, before: int | None
) -> Sequence[Row]:
    """An atom's versions, newest first."""
    return await connection.fetch(QUERIES["versions"], workspace, atom, before, limit)


async def topic_versions(
    connection: Connection, workspace: UUID, topic: UUID, *, limit: int, before: int | None
) -> Sequence[Row]:
    """A topic's versions, newest first."""
    return await connection.fetch(QUERIES["topic_versions"], workspace, topic, before, limit)


async def runs(
    connection: Connection,
    workspace: UUID,
    *,
    limit: int,
    outcome: str,
    before: UUID | None,
    window: UUID | None,
    source: UUID | None,
    made: Span,
) -> Sequence[Row]:
    """Extraction runs, newest first; `made` is when they were committed."""
    place = (before or made.last_id(), limit)
    filters = (outcome, *place, window, made.first, made.end, made.first_id())
    if source is None:
        return await connection.fetch(QUERIES["runs"], workspace, *filters)
    return await connection.fetch(QUERIES["runs_of_source"], workspace, *filters, source)


async def feed_end(connection: Connection, workspace: UUID) -> int:
    """The position of the last change."""
    position: int = await connection.fetchval(QUERIES["feed_end"], workspace)
    return position


async def feed_before(connection: Connection, workspace: UUID, since: datetime) -> int:
    """The position of the last change before a time, 0 if there is none."""
    position: int = await connection.fetchval(QUERIES["feed_before"], workspace, since)
    return position


async def changes(
    connection: Connection,
    workspace: UUID,
    after: int,
    limit: int,
    kinds: Sequence[str],
    source: UUID | None,
    looks: int,
) -> Sequence[Row]:
    """What changed after a position, in order: position, kind and subject of each.

    At most `looks` changes are looked at for those of some kinds, or of all if there are none, and for those that are
    not of what lives in other sources alone.
    """
    filters = (limit, kinds, source, looks)
    return await connection.fetch(QUERIES["changes"], workspace, after, *filters)


async def looked_at(
    connection: Connection, workspace: UUID, after: int, looks: int
) -> tuple[int, int]:
    """How many changes `changes` looked at that did not fill its page, and the position of the last."""
    [row] = await connection.fetch(QUERIES["looked_at"], workspace, after, looks)
    return row["changes"], row["position"]
