"""The transactions of ingest: messages, their tasks and the facts that announce them are one commit."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import SourceMoved
from services.common.failpoints import reach
from services.common.ids import uuid7, uuid7_texts
from services.common.outbox import announce, enqueue, enqueue_embedding, enqueue_embedding_hinted
from services.common.relay import Hints, Relay
from services.common.stages import FRESH, HISTORY
from services.ingest import revisions, store
from services.ingest.gate import Scored
from services.ingest.limits import CommitSlots, Turn
from services.ingest.messages import NO_TEXT_SHA256, Draft
from services.ingest.neighbours import Neighbours
from services.ingest.renumbering import AS_SENT
from services.ingest.revisions import SourceState
from services.ingest.sources import Sources
from services.ingest.store import Kept, KnownSource, Row, Score, SourceKey, Stored
from winnow.events.v1.events_pb2 import MessagesDeleted, MessagesIngested

T = TypeVar("T")

# What is older is history: its vectors are made when nobody waits for those of fresh messages.
FRESH_AGE = timedelta(hours=1)
# How many new messages one task puts into windows: a few such tasks are done in one transaction.
WINDOW_TASK_MESSAGES = 500


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a batch: the rows made or changed by key, and, if asked for, what is kept of the others."""

    changed: dict[str, Stored]
    unchanged: dict[str, Kept]
    scored_again: dict[str, Score] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many messages a deletion found live, and how many it did not know."""

    deleted: int
    remembered: int


class Saver:
    """Writes batches of one source, each in one transaction; a call returns after the commit."""

    def __init__(
        self,
        database: Database,
        sources: Sources,
        slots: CommitSlots,
        scorer_version: str,
        neighbours: Neighbours,
        relay: Relay,
    ) -> None:
        self._database, self._sources, self._slots = database, sources, slots
        self._scorer_version, self._neighbours, self._relay = scorer_version, neighbours, relay

    async def save(
        self,
        workspace: UUID,
        source: SourceKey,
        drafts: Sequence[Draft],
        scored: Scored,
        turn: Turn,
        *,
        is_sure: Callable[[int, bool], bool],
        on_surprise: Callable[[], None],
        all_kept: bool,
    ) -> Saved:
        """Save drafts of different messages when it is their turn; all_kept asks for what is kept of others too.

        `is_sure` says whether they were scored by what is stored at a revision of the source, of which the next one is
        then the sender's own if anything is changed; `on_surprise` is told when what is stored around them turns out to
        be something else.
        """
        ids = uuid7_texts(len(drafts))
        scores = [scored.scores[each.external_id] for each in drafts]
        rows = store.by_key(zip(ids, drafts, scores, strict=True))
        hints: list[Hints] = []

        async def write(connection: Connection, source_id: UUID) -> tuple[Saved, SourceState]:
            version = self._scorer_version
            stored = await store.put_messages(connection, workspace, source_id, version, rows)
            await reach("ingest.messages_put")
            await turn.after_last_commit()
            by_key = {draft.external_id: draft for _, draft, _ in rows}
            place = (connection, workspace, source_id)
            # Who has changed nothing is no writer, but has held messages that others would have scored again.
            count = revisions.raise_source_revision if stored else revisions.hold_source_revision
            state = await count(*place)
            sure = is_sure(state.revision, bool(stored))
            await reach("ingest.counted")
            disturbed = await self._neighbours.disturbed(
                *place, by_key, stored, scored.around, is_sure=sure
            )
            again: dict[str, Score] = {}
            if disturbed.is_surprise or len(stored) < len(rows) or not sure:
                on_surprise()
            if disturbed.places:
                again, risen = await self._neighbours.settle(*place, disturbed.places)
                await self._neighbours.ask_for_windows(connection, workspace, risen)
            turn.end()
            changed = {each.external_id: each for each in stored}
            in_order = [changed[each.external_id] for each in drafts if each.external_id in changed]
            hints[:] = await self._follow(connection, workspace, source_id, in_order, rows)
            others = [row[1].external_id for row in rows if row[1].external_id not in changed]
            unchanged = {}
            if all_kept and others:
                unchanged = await store.kept_messages(connection, workspace, source_id, others)
            return Saved(changed, unchanged, again), state

        async with turn:
            saved = await self._commit(workspace, source, write)
        for each in hints:
            self._relay.hand(each)
        return saved

    async def delete(
        self, workspace: UUID, source: SourceKey, external_ids: Iterable[str], deleted_at: datetime
    ) -> Removed:
        """Mark messages as deleted; those that are not known stay deleted when they come."""
        rows = [(uuid7(), key) for key in sorted(set(external_ids))]

        async def write(connection: Connection, source_id: UUID) -> tuple[Removed, SourceState]:
            found = await store.delete_messages(connection, workspace, source_id, rows, deleted_at)
            await reach("ingest.messages_deleted")
            gone = sorted(each.id for each in found if each.deleted)
            if gone:
                await _follow_deletion(connection, workspace, source_id, gone)
                await reach("ingest.deletion_followed")
            removed = Removed(len(gone), sum(each.remembered for each in found))
            return removed, await revisions.hold_source_key(connection, workspace, source_id)

        return await self._commit(workspace, source, write)

    async def _follow(
        self,
        connection: Connection,
        workspace: UUID,
        source_id: UUID,
        stored: Sequence[Stored],
        rows: Sequence[Row],
    ) -> list[Hints]:
        """Ask for the vectors and windows of what has changed; nothing follows a change of a deleted message."""
        live = [each for each in stored if each.live]
        if not live:
            return []
        drafts = {draft.external_id: draft for _, draft, _ in rows}
        is_fresh = max(row[1].sent_at for row in rows) >= datetime.now(UTC) - FRESH_AGE
        lane, again_seconds = FRESH if is_fresh else HISTORY, self._relay.again_seconds
        hints: list[Hints] = []
        for are_new in (True, False):
            of_kind = [each for each in live if each.created is are_new]
            subjects, wanted = _wanted_vectors(of_kind, drafts)
            if subjects:
                place = (connection, workspace, "message", subjects, wanted)
                tasks = await enqueue_embedding_hinted(*place, again_seconds, lane, are_new=are_new)
                hints.append(Hints(workspace, "embed", tasks, lane))
        await reach("ingest.vectors_asked")
        await _ask_for_windows(connection, workspace, source_id, live, drafts)
        await reach("ingest.windows_asked")
        ids = [str(each.id) for each in live]
        fact = MessagesIngested(source_id=str(source_id), message_ids=ids)
        await announce(connection, workspace, "messages_ingested", fact)
        await reach("ingest.announced")
        return hints

    async def _commit(
        self,
        workspace: UUID,
        source: SourceKey,
        write: Callable[[Connection, UUID], Awaitable[tuple[T, SourceState]]],
    ) -> T:
        """Write in one transaction; `write` returns its result and the source's state, locked against a move.

        Raises SourceMoved if it has moved since it was looked for: its messages may be called otherwise now.
        """

        async def attempt() -> tuple[UUID, T, str]:
            async with self._database.transaction(workspace) as connection:
                found = await self._sources.resolve(connection, workspace, source)
                await reach("ingest.source_found")
                result, state = await write(connection, found)
                if state.external_id != source.external_id:
                    self._sources.forget(found)
                    raise SourceMoved(source.external_id)
                return found, result, state.title

        async with self._slots.one(workspace):
            found, result, title = await self._database.retrying(attempt)
            await reach("ingest.committed")
        # An id is no better than no title, and both leave the stored one alone.
        if source.title not in ("", title, source.external_id if title else ""):
            # In the transaction of the messages it would lock the source before them; others lock it after theirs.
            async with self._database.transaction(workspace) as connection:
                await store.retitle_source(connection, workspace, found, source.title)
        known = KnownSource(found, source.external_id, AS_SENT)
        self._sources.remember(workspace, source, known)
        self._relay.kick()
        return result


def _wanted_vectors(
    live: Sequence[Stored], drafts: dict[str, Draft]
) -> tuple[list[UUID], list[bytes | None]]:
    """Which messages get another vector, by the hash of their text, or lose the one they have (None)."""
    subjects: list[UUID] = []
    wanted: list[bytes | None] = []
    for each in live:
        text_sha256 = drafts[each.external_id].text_sha256
        has_text = text_sha256 != NO_TEXT_SHA256
        if has_text if each.created else each.text_changed:
            subjects.append(each.id)
            wanted.append(text_sha256 if has_text else None)
    return subjects, wanted


async def _ask_for_windows(
    connection: Connection,
    workspace: UUID,
    source_id: UUID,
    live: Sequence[Stored],
    drafts: dict[str, Draft],
) -> None:
    """Ask for windows of what is new, and for another reading where something else was said, or at another time."""
    rewritten = [
        each
        for each in live
        if not each.created
        and (each.text_changed or each.old_sent_at != drafts[each.external_id].sent_at)
    ]
    subjects = [each.id for each in rewritten]
    specs = [f"changed:{drafts[each.external_id].text_sha256.hex()}" for each in rewritten]
    created = sorted(each.id for each in live if each.created)
    for start in range(0, len(created), WINDOW_TASK_MESSAGES):
        run = created[start : start + WINDOW_TASK_MESSAGES]
        subjects.append(source_id)
        specs.append(f"new:{run[0]}:{run[-1]}")
    await enqueue(connection, workspace, "window", subjects, specs, reopen=True)


async def _follow_deletion(
    connection: Connection, workspace: UUID, source_id: UUID, gone: Sequence[UUID]
) -> None:
    """Ask that what was made of the messages be removed."""
    no_text = [None] * len(gone)
    await enqueue_embedding(connection, workspace, "message", gone, no_text, reopen=True)
    await enqueue(connection, workspace, "window", gone, ["changed:deleted"] * len(gone))
    fact = MessagesDeleted(source_id=str(source_id), message_ids=[str(each) for each in gone])
    await announce(connection, workspace, "messages_deleted", fact)
