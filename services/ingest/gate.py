"""The importance gate: scores messages in the order they were sent, each in the light of those before it."""

import json
from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from services.common.database import Database
from services.ingest import store
from services.ingest.features import CONTEXT_MESSAGES, Context, Reading, ScoredInput, read
from services.ingest.memory import Memory, Recalled
from services.ingest.messages import Draft
from services.ingest.reading import strides
from services.ingest.scoring import Importance, Scorer
from services.ingest.sources import Sources
from services.ingest.store import Score, SourceKey


class Gate:
    """Scores batches; what the sender's memory does not hold is read from the database in one go."""

    def __init__(self, database: Database, sources: Sources, scorer: Scorer) -> None:
        self._database, self._sources, self._scorer = database, sources, scorer

    async def score(
        self, workspace: UUID, source: SourceKey, drafts: Sequence[Draft], memory: Memory
    ) -> list[Score]:
        """Score drafts of different messages of one source; the scores are in the order of the drafts."""
        ordered = sorted(drafts, key=attrgetter("sent_at"))
        recalled = memory.recall(source, ordered)
        if not recalled.is_complete:
            await self._ask(workspace, source, ordered, recalled)
        scores: dict[str, Score] = {}
        async for stride in strides(ordered):
            for each in stride:
                reading = read(_input(each))
                scores[each.external_id] = self._score(each, reading, recalled)
                memory.keep_message(source, each.external_id, reading)
        memory.keep(source, recalled)
        return [scores[each.external_id] for each in drafts]

    def _score(self, each: Draft, reading: Reading, recalled: Recalled) -> Score:
        """Score the next message of its conversation."""
        tail = recalled.tails[each.thread_id]
        parent = recalled.messages.get(each.reply_to_external_id)
        context = Context(tail.readings[-CONTEXT_MESSAGES:], parent)
        tail.add(each.external_id, reading, each.sent_at)
        recalled.messages[each.external_id] = reading
        return _stored(self._scorer.score(reading, context))

    async def _ask(
        self, workspace: UUID, source: SourceKey, ordered: Sequence[Draft], recalled: Recalled
    ) -> None:
        """Read what was said before a batch; its own messages may be stored already in another version."""
        async with self._database.transaction(workspace) as connection:
            source_id = await self._sources.find(connection, workspace, source)
            if source_id is None:
                return
            place = (connection, workspace, source_id)
            rows: list[Any] = []
            if recalled.unknown_keys:
                rows = await store.messages_by_key(*place, recalled.unknown_keys)
            threads = list(recalled.cold_threads.items())
            besides = [each.external_id for each in ordered]
            earlier = await store.conversation_tails(*place, threads, besides, CONTEXT_MESSAGES)
        for row in rows:
            recalled.messages[row["external_id"]] = read(_input(row))
        for row in earlier:
            tail = recalled.tails[row["thread_id"]]
            tail.add(row["external_id"], read(_input(row)), row["sent_at"])
