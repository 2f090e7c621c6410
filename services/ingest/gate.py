"""The importance gate: scores messages in the order they were sent, each in the light of those before it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.common.database import Database
from services.ingest import revisions, store
from services.ingest.memory import Around, Recalled, Tail
from services.ingest.messages import Draft, order_of
from services.ingest.reading import strides
from services.ingest.scoring import Importance, Thresholds, weigh
from services.ingest.sources import Sources
from services.ingest.store import Score, SourceKey
from services.ingest.wording import (
    CONTEXT_MESSAGES,
    REACH_MESSAGES,
    Context,
    ScoredInput,
    by_itself,
    read,
)


@dataclass(frozen=True, slots=True)
class Scored:
    """What the messages of a batch get, by their keys, and by thread what was known around them."""

    scores: Mapping[str, Score]
    around: Mapping[str, Around]


class Gate:
    """Scores batches; what the sender's memory does not hold is read from the database in one go."""

    def __init__(self, database: Database, sources: Sources, thresholds: Thresholds) -> None:
        self._database, self._sources, self._thresholds = database, sources, thresholds

    async def score(
        self, workspace: UUID, source: SourceKey, ordered: Sequence[Draft], recalled: Recalled
    ) -> Scored:
        """Score drafts of different messages of one source, in the order of sending, by what is recalled around them.

        What is scored is added to that; what is not complete can be read, as all that was sent of it is stored.
        """
        together = {each.external_id: each for each in ordered}
        if not recalled.is_complete:
            await self._ask(workspace, source, ordered, recalled)
        scores: dict[str, Score] = {}
        async for stride in strides(ordered):
            scores |= {each.external_id: self._score(each, recalled, together) for each in stride}
        around = {thread: tail.around() for thread, tail in recalled.tails.items()}
        return Scored(scores, around)

    def _score(self, each: Draft, recalled: Recalled, together: Mapping[str, Draft]) -> Score:
        """Score the next message of its conversation; it may reply to one that comes later in the batch."""
        tail, order = recalled.tails[each.thread_id], order_of(each.sent_at, each.external_id)
        tail.reach(order)
        parent = recalled.messages.get(each.reply_to_external_id)
        if parent is not None:
            parent = by_itself(parent)
        elif each.reply_to_external_id in together:
            parent = read(_input_of(together[each.reply_to_external_id]), Context())
        context = Context(tail.readings[-CONTEXT_MESSAGES:], parent)
        reading = read(_input_of(each), context)
        tail.add(reading, order)
        recalled.messages[each.external_id] = reading
        return stored_score(weigh(reading, context, self._thresholds))

    async def _ask(
        self, workspace: UUID, source: SourceKey, ordered: Sequence[Draft], recalled: Recalled
    ) -> None:
        """Read what was said before a batch; its own messages may be stored already in other versions."""
        async with self._database.transaction(workspace) as connection:
            known = await self._sources.find(connection, workspace, source)
            if known is None:
                recalled.revision = 0
                for thread in recalled.cold_threads:
                    recalled.tails[thread].has_first = True
                return
            place = (connection, workspace, known.id)
            recalled.revision = await revisions.source_revision(*place)
            replied = await store.messages_by_key(*place, recalled.unknown_keys)
            threads = list(recalled.cold_threads.items())
            besides = [each.external_id for each in ordered]
            earlier = await store.conversation_tails(*place, threads, besides, REACH_MESSAGES)
        for row in replied:
            recalled.messages[row["external_id"]] = read(input_of_row(row), Context())
        for row in earlier:
            _add_row(recalled.tails[row["thread_id"]], row)
        for thread in recalled.cold_threads:
            tail = recalled.tails[thread]
            tail.has_first = len(tail.readings) < REACH_MESSAGES


def _add_row(tail: Tail, row: Any) -> None:
    context = Context(tail.readings[-CONTEXT_MESSAGES:])
    order = order_of(row["sent_at"], row["external_id"])
    tail.add(read(input_of_row(row), context), order)


def _input_of(each: Draft) -> ScoredInput:
    return ScoredInput(
        each.author_name or each.author_external_id,
        each.text,
        each.author_is_bot,
        each.external_id,
        each.reply_to_external_id,
    )


def input_of_row(row: Any) -> ScoredInput:
    """A stored message as the scorer sees it."""
    return ScoredInput(
        row["author_name"] or row["author_external_id"],
        row["text"],
        row["author_is_bot"],
        row["external_id"],
        row["reply_to_external_id"],
    )


def stored_score(importance: Importance) -> Score:
    """An importance as it is stored."""
    factors = ", ".join(map(_MEMBERS.__getitem__, importance.factors))
    return Score(importance.score, importance.label, f"{{{factors}}}")


def differs(row: Any, score: Score, version: str) -> bool:
    """Whether a stored importance is another than the one that a message gets."""
    return (
        (row["importance_label"], row["importance_version"]) != (score.label, version)
        or abs(row["importance_score"] - score.score) > 1e-6
        or _members(row["importance_factors"]) != _members(score.factors)
    )


def _members(factors: str) -> set[str]:
    """The members of an object of factors, which PostgreSQL renders as they are here, in an order of its own."""
    return set(factors[1:-1].split(", "))


class _Members(dict[tuple[str, float], str]):
    """Factors as members of a JSON object; addends are few, and writing a float is dear."""

    def __missing__(self, factor: tuple[str, float]) -> str:
        name, value = factor
        member = self[factor] = f"{json.dumps(name)}: {value!r}"
        return member


_MEMBERS = _Members()
