"""Moving a source to another key: it keeps its id, so all that was made of its messages stays as it is.

A basic group of Telegram that becomes a supergroup begins to count its messages anew. So the messages that it has get
the numbers that exports of the supergroup give them, and the key that it had is remembered with how they were
numbered: who still sends by it means the same source and the same messages (intake.py).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from services.common import sql
from services.common.database import Connection, Database, Duplicate
from services.common.errors import AlreadyExists, Conflict, NotFound, TooMuchAtOnce
from services.common.failpoints import reach
from services.ingest import store
from services.ingest.messages import NO_CONTENT_SHA256, canonical, draft
from services.ingest.renumbering import Renumbering
from services.ingest.sources import Sources
from services.ingest.store import SourceKey

QUERIES = sql.load(Path(__file__).with_name("moving.sql"))
# Some 17 s of a busy machine with two cores: a third of what a call may take.
MESSAGES_MAX = 100_000
CHUNK_MESSAGES = 2_000


@dataclass(frozen=True, slots=True)
class Moved:
    """The id of a source that has moved, and how many of its messages are called otherwise now."""

    source_id: UUID
    renumbered: int


class Mover:
    """Moves sources, each in one transaction."""

    def __init__(self, database: Database, sources: Sources) -> None:
        self._database, self._sources = database, sources

    async def move(
        self, workspace: UUID, source: SourceKey, to: SourceKey, renumbering: Renumbering
    ) -> Moved:
        """Give a source another key; raises NotFound, AlreadyExists, Conflict or TooMuchAtOnce."""

        async def attempt() -> Moved:
            async with self._database.transaction(workspace) as connection:
                return await _move(connection, workspace, source, to, renumbering)

        try:
            moved = await self._database.retrying(attempt)
        except Duplicate as error:
            raise AlreadyExists(
                f"source or message with a key that {to.external_id} needs"
            ) from error
        self._sources.forget(moved.source_id)
        await reach("move.committed")
        return moved


async def _move(
    connection: Connection,
    workspace: UUID,
    source: SourceKey,
    to: SourceKey,
    renumbering: Renumbering,
) -> Moved:
    known = await store.find_source(connection, workspace, source)
    if known is None:
        raise NotFound("source", source.external_id)
    if known.external_id != source.external_id:
        if (known.external_id, known.renumbering) == (to.external_id, renumbering):
            return Moved(known.id, 0)
        raise Conflict(f"source {source.external_id} has moved to {known.external_id}")
    there = await store.find_source(connection, workspace, to)
    if there is not None and (there.id, there.external_id) == (known.id, to.external_id):
        # Another has moved it since it was found.
        return await _move(connection, workspace, source, to, renumbering)
    if there is not None:
        raise AlreadyExists(f"source {to.external_id}")
    place = (connection, workspace, known.id, renumbering)
    # Like every writer, messages before their source.
    renumbered = await _renumber(*place)
    await reach("move.renumbered")
    moved = (workspace, known.id, source.external_id, to.external_id, to.title)
    if await connection.fetchval(QUERIES["move_source"], *moved) is None:
        # Another has moved it meanwhile, and all that it wrote is to be seen now.
        return await _move(connection, workspace, source, to, renumbering)
    # What others have saved since it was looked at; from now on they find that it has moved.
    renumbered += await _renumber(*place)
    former = (workspace, source.kind, source.external_id, known.id)
    await connection.execute(
        QUERIES["add_former_source"], *former, renumbering.shift, renumbering.suffix
    )
    await reach("move.moved")
    return Moved(known.id, renumbered)


async def _renumber(
    connection: Connection, workspace: UUID, source_id: UUID, renumbering: Renumbering
) -> int:
    """Give the messages that are called otherwise now their keys; return how many they are."""
    if not renumbering.shift:
        return 0
    query = QUERIES["numbered_messages"]
    rows = await connection.fetch(query, workspace, source_id, MESSAGES_MAX + 1)
    if len(rows) > MESSAGES_MAX:
        raise TooMuchAtOnce(f"the source has more than {MESSAGES_MAX:,} messages to renumber")
    ids = [row["id"] for row in rows]
    renumbered = 0
    for start in range(0, len(ids), CHUNK_MESSAGES):
        chunk = ids[start : start + CHUNK_MESSAGES]
        locked = await connection.fetch(QUERIES["lock_messages"], workspace, chunk)
        renumbered += await _rename(connection, workspace, locked, renumbering)
    return renumbered


async def _rename(
    connection: Connection, workspace: UUID, rows: Sequence[Any], renumbering: Renumbering
) -> int:
    changed: list[tuple[UUID, str, str, bytes]] = []
    renumbered = 0
    for row in rows:
        key = renumbering.key(row["external_id"])
        reply = renumbering.key(row["reply_to_external_id"])
        if (key, reply) != (row["external_id"], row["reply_to_external_id"]):
            changed.append((row["id"], key, reply, _content_sha256(row, reply)))
            renumbered += key != row["external_id"]
    if changed:
        columns = [list(column) for column in zip(*changed, strict=True)]
        await connection.execute(QUERIES["renumber_messages"], workspace, *columns)
    return renumbered


def _content_sha256(row: Any, reply: str) -> bytes:
    """The hash of what the sender decides with the message that it replies to called otherwise."""
    stored: bytes = row["content_sha256"]
    if stored == NO_CONTENT_SHA256 or reply == row["reply_to_external_id"]:
        return stored
    return draft(
        row["external_id"],
        row["thread_id"],
        reply,
        (row["author_external_id"], row["author_name"], row["author_is_bot"]),
        row["text"],
        row["sent_at"],
        row["edited_at"],
        *(_as_sent(row[name]) for name in ("entities", "attachments", "forwarded_from")),
    ).content_sha256


def _as_sent(stored: str | None) -> str | None:
    """Stored JSON as a draft has it: PostgreSQL orders and spaces it otherwise."""
    return None if stored is None else canonical(json.loads(stored))
