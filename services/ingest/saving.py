"""The transactions of ingest: messages, their tasks and the facts that announce them are one commit."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.common.database import Connection, Database
from services.common.ids import uuid7
from services.common.outbox import announce, enqueue, enqueue_embedding
from services.ingest import store
from services.ingest.limits import CommitSlots
from services.ingest.messages import NO_TEXT_SHA256, Draft
from services.ingest.store import Score, SourceKey, Stored
from winnow.events.v1.events_pb2 import MessagesDeleted, MessagesIngested

_WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a batch: the rows made or changed by key, and, if asked for, the ids of the others."""

    changed: dict[str, Stored]
    unchanged: dict[str, UUID]


@dataclass(frozen=True, slots=True)
class Removed:
    """How many messages a deletion found live, and how many it did not know."""

    deleted: int
    remembered: int


class Sources:
    """The ids of sources; those of committed ones are remembered, the least used are forgotten."""

    def __init__(self, remembered_max: int = 10_000) -> None:
        self._known: OrderedDict[tuple[UUID, str, str], tuple[UUID, str]] = OrderedDict()
        self._remembered_max = remembered_max

    def id_of(self, workspace: UUID, source: SourceKey) -> UUID | None:
        """Return the id of a source if it and its title are remembered."""
        known = self._known.get((workspace, source.kind, source.external_id))
        return known[0] if known and source.title in ("", known[1]) else None

    def remember(self, workspace: UUID, source: SourceKey, found: tuple[UUID, str]) -> None:
        """Remember a source that is committed."""
        key = (workspace, source.kind, source.external_id)
        self._known[key] = found
        self._known.move_to_end(key)
        if len(self._known) > self._remembered_max:
            self._known.popitem(last=False)


class Saver:
    """Writes batches of one source, each in one transaction; a call returns after the commit."""

    def __init__(
        self, database: Database, slots: CommitSlots, scorer_version: str, kick: Callable[[], None]
    ) -> None:
        self._database, self._slots, self._kick = database, slots, kick
        self._scorer_version, self._sources = scorer_version, Sources()

    async def save(
        self,
        workspace: UUID,
        source: SourceKey,
        drafts: Sequence[Draft],
        scores: Sequence[Score],
        *,
        all_ids: bool,
    ) -> Saved:
        """Save drafts of different messages; all_ids asks for the ids of unchanged ones too."""
        ids = sorted(uuid7() for _ in drafts)
        rows = store.by_key(zip(ids, drafts, scores, strict=True))

        async def write(connection: Connection, source_id: UUID) -> Saved:
            version = self._scorer_version
            stored = await store.put_messages(connection, workspace, source_id, version, rows)
            await _ask_for_work(connection, workspace, source_id, stored, rows)
            changed = {each.external_id: each for each in stored}
            others = [row[1].external_id for row in rows if row[1].external_id not in changed]
            unchanged = {}
            if all_ids and others:
                unchanged = await store.message_ids(connection, workspace, source_id, others)
            return Saved(changed, unchanged)

        return await self._commit(workspace, source, write)

    async def delete(
        self, workspace: UUID, source: SourceKey, external_ids: Iterable[str], deleted_at: datetime
    ) -> Removed:
        """Mark messages as deleted; those that are not known stay deleted when they come."""
        rows = [(uuid7(), key) for key in sorted(set(external_ids))]

        async def write(connection: Connection, source_id: UUID) -> Removed:
            found = await store.delete_messages(connection, workspace, source_id, rows, deleted_at)
            gone = sorted(each.id for each in found if each.deleted)
            if gone:
                await enqueue_embedding(
                    connection, workspace, "message", gone, [None] * len(gone), reopen=True
                )
                specs = ["changed:deleted"] * len(gone)
                await enqueue(connection, workspace, _WINDOW, gone, specs)
                fact = MessagesDeleted(source_id=str(source_id), message_ids=map(str, gone))
                await announce(connection, workspace, "messages_deleted", fact)
            return Removed(len(gone), sum(each.remembered for each in found))

        return await self._commit(workspace, source, write)
