"""Erasing: what ingest knows of messages goes at once, and the owners of what was made of them get tasks."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.common.ids import uuid7
from services.common.outbox import announce, enqueue
from services.ingest import store
from services.ingest.operations import QUERIES
from winnow.events.v1.events_pb2 import MessagesDeleted

CHUNK_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Target:
    """Which messages: some by key, all by an author, or all of a source with its title."""

    source_id: UUID | None
    external_ids: Sequence[str] = ()
    author_external_id: str = ""

    @property
    def is_whole_source(self) -> bool:
        """Whether nothing but the source is named."""
        return not self.external_ids and not self.author_external_id


async def erase(connection: Connection, workspace: UUID, operation: UUID, target: Target) -> None:
    """Erase the messages' content, keep their keys so that they stay erased, and make the tasks of the others."""
    keys = sorted(set(target.external_ids))
    if keys and target.source_id:
        unknown = [(uuid7(), key) for key in keys]
        now = datetime.now(UTC)
        await store.delete_messages(connection, workspace, target.source_id, unknown, now)
    if target.is_whole_source:
        await connection.execute(QUERIES["forget_source_title"], workspace, target.source_id)
    found = await connection.fetch(
        QUERIES["messages_to_erase"],
        workspace,
        target.source_id,
        keys or None,
        target.author_external_id,
    )
    messages = [row["id"] for row in found]
    for chunk, start in enumerate(range(0, len(messages), CHUNK_MESSAGES)):
        some = messages[start : start + CHUNK_MESSAGES]
        rows = await connection.fetch(QUERIES["erase_messages"], workspace, some)
        if known := sorted(row["id"] for row in rows if row["was_known"]):
            await _follow(connection, workspace, operation, chunk, known)
        await _announce(connection, workspace, rows)


async def _follow(
    connection: Connection, workspace: UUID, operation: UUID, chunk: int, messages: Sequence[UUID]
) -> None:
    await connection.execute(QUERIES["add_erasure"], workspace, operation, chunk, messages)
    await enqueue(connection, workspace, "erase_extractor", [operation], [str(chunk)])
    await enqueue(connection, workspace, "erase_embedder", [operation], [f"messages:{chunk}"])


async def _announce(connection: Connection, workspace: UUID, rows: Sequence[Any]) -> None:
    live: dict[UUID, list[str]] = defaultdict(list)
    for row in rows:
        if row["was_live"]:
            live[row["source_id"]].append(str(row["id"]))
    for source, ids in sorted(live.items()):
        fact = MessagesDeleted(source_id=str(source), message_ids=sorted(ids))
        await announce(connection, workspace, "messages_deleted", fact)
