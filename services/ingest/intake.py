"""What a batch goes through: read, keep the latest version of each message, score, save."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import protovalidate

from services.common.database import Connection, Database
from services.common.errors import InvalidFields, NotFound
from services.ingest import store
from services.ingest.gate import Gate, Scored
from services.ingest.limits import Turn
from services.ingest.memory import Memory, Recalled
from services.ingest.messages import Draft, latest, order_of
from services.ingest.reading import Rejected, read_message, read_messages, stored_input
from services.ingest.renumbering import AS_SENT, Renumbering
from services.ingest.saving import Saved, Saver
from services.ingest.sources import Sources
from services.ingest.store import KnownSource, SourceKey
from winnow.ingest.v1 import ingest_pb2 as pb


class Sender:
    """One caller of one call: what it has just sent, and whose turn it is to write.

    `surprises` counts how often what it sent turned out not to be what is stored before the next; `is_disordered` says
    that it did when what it has last sent was saved.
    """

    def __init__(self) -> None:
        self.memory = Memory()
        self.surprises = 0
        self.is_disordered = False
        self._writing, self._committing = asyncio.Lock(), asyncio.Lock()
        self._is_stale = False
        self._counted: Batch | None = None
        self._unsaved: list[Batch] = []
        self._all_saved = asyncio.Event()

    def turn(self) -> Turn:
        """The next write's turn."""
        return Turn(self._writing, self._committing)

    def surprised(self) -> None:
        """Believe nothing that was sent; batches that were scored by it must be scored again."""
        self.surprises += 1
        self._is_stale = True

    def knows(self, batch: "Batch", revision: int, changes: bool) -> bool:
        """Whether a batch was scored by what is stored at a revision of its source; the next one is what it changes.

        One that changes nothing has no scores that matter, so only others can have disturbed what it holds. One that is
        asked of again was rolled back, and what others have written since is counted as it was.
        """
        agreed = self._counted is not batch and self.memory.agrees_with(batch.source, revision)
        self._counted = batch
        self.memory.wrote(batch.source, revision + changes)
        return agreed and (not changes or batch.surprises == self.surprises)

    async def remember(self) -> Memory:
        """What was sent; after a surprise nothing, once all that was sent is stored and can be read.

        Read earlier, the next batch would miss what is being saved and be a surprise itself, and so on for ever.
        """
        if self._is_stale:
            await self._everything_saved()
            self._is_stale = False
            self.memory.forget()
        return self.memory

    async def recall(self, source: SourceKey, ordered: Sequence[Draft]) -> Recalled:
        """What is known around a batch in the order of sending; all that was sent of what is not known can be read."""
        while True:
            recalled = (await self.remember()).recall(source, ordered)
            if await self.can_be_read(recalled):
                return recalled

    async def can_be_read(self, recalled: Recalled) -> bool:
        """Wait until all that was sent of what is not recalled is stored; False if the rest may be outdated by then."""
        threads, keys = recalled.cold_threads, recalled.unknown_keys
        for batch in self._unsaved:
            if not batch.winners.keys().isdisjoint(keys) or any(
                each.thread_id in threads for each in batch.winners.values()
            ):
                await self._everything_saved()
                return False
        return True

    async def _everything_saved(self) -> None:
        while self._unsaved:
            self._all_saved.clear()
            await self._all_saved.wait()

    def prepared(self, batch: "Batch") -> None:
        """Take note of a batch that will be saved."""
        self._unsaved.append(batch)

    def saved(self, batch: "Batch") -> None:
        """A batch is saved, or never will be."""
        self.is_disordered = batch.surprises != self.surprises
        self._unsaved.remove(batch)
        if not self._unsaved:
            self._all_saved.set()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Messages of one source, ready to be saved: all as they were sent, and what those that count are scored.

    `called` has the keys under which they were sent, of those that are called otherwise since their source has moved.
    """

    sender: Sender
    source: SourceKey
    sent: Sequence[Draft | Rejected]
    winners: dict[str, Draft]
    scored: Scored
    surprises: int
    called: Mapping[str, str]


class Intake:
    """Prepares batches and saves them."""

    def __init__(
        self,
        database: Database,
        sources: Sources,
        validator: protovalidate.Validator,
        gate: Gate,
        saver: Saver,
    ) -> None:
        self._database, self._sources, self._validator = database, sources, validator
        self._gate, self._saver = gate, saver

    async def prepare(
        self,
        workspace: UUID,
        source: SourceKey,
        messages: Sequence[pb.MessageInput],
        sender: Sender,
    ) -> Batch:
        """Read and score a batch; messages of a source that has moved get the keys that they have now."""
        source, renumbering = await self.now(workspace, source)
        called = _renumber(messages, renumbering)
        sent = await read_messages(self._validator, messages)
        return await self._score(workspace, source, sent, sender, called)

    async def prepare_edit(
        self, workspace: UUID, source: SourceKey, request: pb.UpdateMessageRequest
    ) -> Batch:
        """Make the next version of a stored message; raises NotFound or InvalidFields."""
        async with self._database.snapshot(workspace) as connection:
            known, key = await _as_it_is(connection, workspace, source, request.external_id)
            row = await store.stored_draft(connection, workspace, known.id, key)
        if row is None:
            raise NotFound("message", request.external_id)
        edited = read_message(self._validator, stored_input(row, request))
        if isinstance(edited, Rejected):
            raise InvalidFields(edited.violation)
        if known.external_id != source.external_id:
            source = SourceKey(source.kind, known.external_id)
        called = {key: request.external_id}
        return await self._score(workspace, source, [edited], Sender(), called)

    async def find(self, workspace: UUID, source: SourceKey, external_id: str) -> UUID:
        """The id of a message, which may be erased, by the key under which it was sent; raises NotFound."""
        async with self._database.snapshot(workspace) as connection:
            known, key = await _as_it_is(connection, workspace, source, external_id)
            found = await store.message_by_key(connection, workspace, known.id, key)
        if found is None:
            raise NotFound("message", external_id)
        return found

    async def now(self, workspace: UUID, source: SourceKey) -> tuple[SourceKey, Renumbering]:
        """The key that a source has now, and what its messages are called now, by those that they were sent with."""
        known = self._sources.recall(workspace, source)
        if known is None:
            async with self._database.transaction(workspace) as connection:
                known = await self._sources.find(connection, workspace, source)
            if known is None:
                return source, AS_SENT
            self._sources.remember(workspace, source, known)
        if known.external_id == source.external_id:
            return source, AS_SENT
        # Who knows it by the key that it had knows its title of then.
        return SourceKey(source.kind, known.external_id), known.renumbering

    async def save(self, workspace: UUID, batch: Batch, *, all_kept: bool) -> Saved:
        """Save a batch; returns after the commit."""
        if not batch.winners:
            return Saved({}, {})
        drafts, sender = list(batch.winners.values()), batch.sender
        try:
            return await self._saver.save(
                workspace,
                batch.source,
                drafts,
                batch.scored,
                sender.turn(),
                is_sure=partial(sender.knows, batch),
                on_surprise=sender.surprised,
                all_kept=all_kept,
            )
        finally:
            sender.saved(batch)

    async def _score(
        self,
        workspace: UUID,
        source: SourceKey,
        sent: Sequence[Draft | Rejected],
        sender: Sender,
        called: Mapping[str, str],
    ) -> Batch:
        winners = latest(each for each in sent if isinstance(each, Draft))
        ordered = sorted(
            winners.values(), key=lambda each: order_of(each.sent_at, each.external_id)
        )
        recalled = await sender.recall(source, ordered)
        surprises = sender.surprises
        scored = await self._gate.score(workspace, source, ordered, recalled)
        sender.memory.keep(source, ordered, recalled)
        batch = Batch(sender, source, sent, winners, scored, surprises, called)
        if winners:
            sender.prepared(batch)
        return batch


async def _as_it_is(
    connection: Connection, workspace: UUID, source: SourceKey, external_id: str
) -> tuple[KnownSource, str]:
    """A source and what its message is called, asked anew: what is remembered may have moved; raises NotFound.

    Who writes by what is remembered is told so at the commit, and who reads would be told nothing, or another message.
    """
    known = await store.find_source(connection, workspace, source)
    if known is None:
        raise NotFound("source", source.external_id)
    return known, known.renumbering.key(external_id)


def _renumber(messages: Iterable[pb.MessageInput], renumbering: Renumbering) -> dict[str, str]:
    """Give messages the keys that they have now; return those that they were sent with by these."""
    called: dict[str, str] = {}
    if renumbering != AS_SENT:
        for each in messages:
            key = renumbering.key(each.external_id)
            called[key], each.external_id = each.external_id, key
            each.reply_to_external_id = renumbering.key(each.reply_to_external_id)
    return called
