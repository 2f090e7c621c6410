"""Ingest's tables: sources and messages."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.ingest.messages import Draft
from services.ingest.renumbering import Renumbering

T = TypeVar("T")

QUERIES = sql.load(Path(__file__).with_name("store.sql"))


@dataclass(frozen=True, slots=True)
class SourceKey:
    """What names a source; an empty title says nothing about it."""

    kind: str
    external_id: str
    title: str = ""


class KnownSource(NamedTuple):
    """A source, its external id, and what its messages are called by the key that it was asked for by."""

    id: UUID
    external_id: str
    renumbering: Renumbering


class Kept(NamedTuple):
    """A stored message: its id, the hash of all that is kept of it, zeros for what was erased, and if it is deleted."""

    id: UUID
    content_sha256: bytes
    deleted: bool


class Stored(NamedTuple):
    """A row that a write has made or changed; it is live unless the message is deleted.

    The old text is there if there was one and it is another now.
    """

    external_id: str
    id: UUID
    created: bool
    live: bool
    text_changed: bool
    old_thread_id: str | None
    old_sent_at: datetime | None
    old_text: str | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """A row that a deletion has made or changed: remembered if the message was not known, deleted if it was live."""

    id: UUID
    remembered: bool
    deleted: bool


class Score(NamedTuple):
    """An importance as it is stored; factors are JSON."""

    score: float
    label: str
    factors: str


Row = tuple[str, Draft, Score]
"""A message to be saved, with the id that it gets if it is new, as hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages to list; None lets everything through, and so does empty, but for a thread."""

    source_id: UUID | None
    sent_after: datetime
    sent_before: datetime
    author_external_id: str
    label: str
    include_deleted: bool
    thread_id: str | None


async def find_source(
    connection: Connection, workspace: UUID, source: SourceKey
) -> KnownSource | None:
    """Return a source if it is known by this key, or was."""
    row = await connection.fetchrow(
        QUERIES["find_source"], workspace, source.kind, source.external_id
    )
    if row is None:
        return None
    return KnownSource(row["id"], row["external_id"], Renumbering(*row[2:]))


async def make_source(connection: Connection, workspace: UUID, source: SourceKey) -> UUID | None:
    """Make a source; None if another made it first."""
    made: UUID | None = await connection.fetchval(
        QUERIES["make_source"], workspace, source.kind, source.external_id, source.title
    )
    return made


async def retitle_source(
    connection: Connection, workspace: UUID, source_id: UUID, title: str
) -> None:
    """Give a source another title."""
    await connection.execute(QUERIES["retitle_source"], workspace, source_id, title)


async def put_messages(
    connection: Connection,
    workspace: UUID,
    source_id: UUID,
    scorer_version: str,
    rows: Sequence[Row],
) -> list[Stored]:
    """Save drafts of different messages with the ids they get if they are new; return what was made or changed."""
    drafts = [row[1] for row in rows]
    scores = [row[2] for row in rows]
    found = await connection.fetch(
        QUERIES["put_messages"],
        workspace,
        source_id,
        scorer_version,
        [row[0] for row in rows],
        [each.external_id for each in drafts],
        _said([each.thread_id for each in drafts]),
        _said([each.reply_to_external_id for each in drafts]),
        _said([each.author_external_id for each in drafts]),
        _said([each.author_name for each in drafts]),
        _said([each.author_is_bot for each in drafts]),
        [each.text for each in drafts],
        [each.sent_at for each in drafts],
        _said([each.edited_at for each in drafts]),
        _said([each.entities for each in drafts]),
        _said([each.attachments for each in drafts]),
        _said([each.forwarded_from for each in drafts]),
        [each.content_sha256 for each in drafts],
        [each.text_sha256 for each in drafts],
        [each.score for each in scores],
        [each.label for each in scores],
        [each.factors for each in scores],
        _said([each.zone_assumed for each in drafts]),
    )
    return [Stored._make(row) for row in found]


def _said(values: list[T]) -> list[T]:
    """A column of a batch, or none if no message says anything there: the driver looks at each item several times."""
    return values if any(values) else []


Place = tuple[str, datetime, str]
"""Thread, time and key: where a message stands or stood among the messages of its source."""


async def replies_to(
    connection: Connection, workspace: UUID, source_id: UUID, external_ids: Sequence[str]
) -> list[tuple[str, Place]]:
    """Return which of some messages others reply to, and where those stand."""
    found = await connection.fetch(QUERIES["replies_to"], workspace, source_id, external_ids)
    return [
        (row["reply_to_external_id"], (row["thread_id"], row["sent_at"], row["external_id"]))
        for row in found
    ]


@asynccontextmanager
async def by_index(connection: Connection) -> AsyncIterator[None]:
    """Have messages read in the order of an index.

    A table that was never analysed, or whose messages are mostly erased, seems to hold a row that counts, and sorting a
    whole chat to be free.
    """
    await connection.execute("set local enable_sort = off")
    yield
    await connection.execute("set local enable_sort = on")


async def set_scores(
    connection: Connection, workspace: UUID, scored: Sequence[tuple[UUID, Score]], version: str
) -> None:
    """Store importances by the ids of messages."""
    await connection.execute(
        QUERIES["set_scores"],
        workspace,
        [message for message, _ in scored],
        [score.score for _, score in scored],
        [score.label for _, score in scored],
        [score.factors for _, score in scored],
        version,
    )


async def kept_messages(
    connection: Connection, workspace: UUID, source_id: UUID, external_ids: Sequence[str]
) -> dict[str, Kept]:
    """Return what is stored of messages by their keys."""
    rows = await connection.fetch(QUERIES["kept_messages"], workspace, source_id, external_ids)
    return {
        row["external_id"]: Kept(row["id"], row["content_sha256"], row["deleted"]) for row in rows
    }


async def delete_messages(
    connection: Connection,
    workspace: UUID,
    source_id: UUID,
    rows: Sequence[tuple[UUID, str]],
    deleted_at: datetime,
) -> list[Deleted]:
    """Mark different messages as deleted, with the ids for those not known; return what was made or changed."""
    ids, external_ids = [row[0] for row in rows], [row[1] for row in rows]
    found = await connection.fetch(
        QUERIES["delete_messages"], workspace, source_id, ids, external_ids, deleted_at
    )
    return [Deleted(*row) for row in found]


async def conversation_tails(
    connection: Connection,
    workspace: UUID,
    source_id: UUID,
    threads: Sequence[tuple[str, datetime]],
    besides: Sequence[str],
    count: int,
) -> list[Any]:
    """Return the last messages of each thread until a time, oldest first, leaving out some keys."""
    if not threads:
        return []
    async with by_index(connection):
        found = await connection.fetch(
            QUERIES["conversation_tails"],
            workspace,
            source_id,
            [thread for thread, _ in threads],
            [until for _, until in threads],
            besides,
            count,
        )
    return list(found)


async def messages_by_key(
    connection: Connection, workspace: UUID, source_id: UUID, external_ids: Sequence[str]
) -> list[Any]:
    """Return messages as the scorer sees them, by their keys."""
    if not external_ids:
        return []
    return await connection.fetch(QUERIES["messages_by_key"], workspace, source_id, external_ids)


async def stored_draft(
    connection: Connection, workspace: UUID, source_id: UUID, external_id: str
) -> Any | None:
    """Return what the sender decided of one message."""
    return await connection.fetchrow(QUERIES["stored_draft"], workspace, source_id, external_id)


async def message_by_key(
    connection: Connection, workspace: UUID, source_id: UUID, external_id: str
) -> UUID | None:
    """Return the id of a message, which may be erased, by its key."""
    found: UUID | None = await connection.fetchval(
        QUERIES["message_by_key"], workspace, source_id, external_id
    )
    return found


async def get_message(connection: Connection, workspace: UUID, message_id: UUID) -> Any | None:
    """Return one message."""
    return await connection.fetchrow(QUERIES["get_message"], workspace, message_id)


async def list_messages(
    connection: Connection,
    workspace: UUID,
    wanted: MessageFilter,
    after: tuple[datetime, UUID],
    count: int,
) -> list[Any]:
    """Return messages in the order of (sent_at, id), after a position."""
    return await connection.fetch(
        QUERIES["list_messages"],
        workspace,
        *after,
        wanted.source_id,
        wanted.sent_after,
        wanted.sent_before,
        wanted.author_external_id,
        wanted.label,
        wanted.include_deleted,
        wanted.thread_id,
        count,
    )


async def list_sources(
    connection: Connection,
    workspace: UUID,
    after: UUID,
    count: int,
    kind: str = "",
    external_id: str = "",
) -> list[Any]:
    """Return sources in the order of their ids, after one; of a kind and with a key that they have or had, if given."""
    return await connection.fetch(
        QUERIES["list_sources"], workspace, after, count, kind, external_id
    )


def by_key(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by the key of their message, so that concurrent writes take locks in one order."""
    return sorted(rows, key=lambda row: row[1].external_id)
