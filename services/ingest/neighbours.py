"""A score does not depend on what came first: whoever comes late has the scores after it made again.

A message is scored by the REACH_MESSAGES before it in its conversation and by whether the one it
replies to asks something. So a message that comes before others, an edit, or an older version than
the stored one disturbs at most as many after each place, and replies if it asks something only now or
no longer; their scores are made again from what is stored, in the same transaction. Batches in order,
the usual case, cost two short queries; where a batch falls among what is stored, only the places
between the two are looked at, and if the sender knows those others, having just sent them newest
first or with a clock that ran ahead, not even these.

What is deleted was said all the same, and is kept: others are scored by it as before. What is erased is
not kept, and neither is what it did to the scores after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.common.outbox import enqueue
from services.ingest import places, revisions, store
from services.ingest.gate import differs, input_of_row, stored_score
from services.ingest.memory import NOTHING, Around
from services.ingest.messages import Draft, order_of
from services.ingest.reading import strides
from services.ingest.scoring import Thresholds, weigh
from services.ingest.store import Place, Score, Stored
from services.ingest.wording import CONTEXT_MESSAGES, REACH_MESSAGES, Context, Reading, asks, read

# With all that depends on them, at most some ten thousand messages are held at once.
PLACES_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Where scores may be wrong, and whether others are stored around the batch than its sender knew."""

    places: Sequence[Place]
    is_surprise: bool


NONE = Disturbance((), is_surprise=False)


class Neighbours:
    """Keeps the scores around changed messages right."""

    def __init__(self, thresholds: Thresholds, version: str) -> None:
        self._thresholds, self._version = thresholds, version

    async def disturbed(
        self,
        connection: Connection,
        workspace: UUID,
        source_id: UUID,
        drafts: Mapping[str, Draft],
        stored: Sequence[Stored],
        around: Mapping[str, Around],
        *,
        is_sure: bool,
    ) -> Disturbance:
        """Where scores may be wrong now that a batch is stored.

        `around` is what was known around it by thread; `is_sure` says that it was scored by what is stored.
        """
        if is_sure and not stored:
            return NONE
        place = (connection, workspace, source_id)
        left = _left(drafts, stored)
        stand = _in_order([*((*_now_at(each), key) for key, each in drafts.items()), *left])
        later = await self._replies(*place, drafts, stored)
        if not is_sure or len(stored) < len(drafts):
            return Disturbance(stand + later, is_surprise=True)
        known = [*drafts, *chain.from_iterable(each.among for each in around.values())]
        first = [(each, around.get(each[0], NOTHING).after) for each in _first_of_each(stand)]
        threads = await places.disturbed_threads(*place, first, known)
        among = [each for each in stand if each[0] in threads]
        again = [*left, *_overtaken(around), *later]
        if not among:
            # The sender remembers those that have moved where they were.
            return Disturbance(again, is_surprise=bool(left))
        interrupted = await places.interrupted_places(*place, among)
        return Disturbance([*interrupted, *again], is_surprise=True)

    async def _replies(
        self,
        connection: Connection,
        workspace: UUID,
        source_id: UUID,
        drafts: Mapping[str, Draft],
        stored: Sequence[Stored],
    ) -> list[Place]:
        """Where messages stand that are not of the batch and hear something else of what they reply to.

        There may be any number of them, and most changes are not heard.
        """
        changed = [each.external_id for each in stored]
        found = await store.replies_to(connection, workspace, source_id, changed)
        replied = {parent for parent, _ in found}
        heard = {
            each.external_id
            for each in stored
            if each.external_id in replied and _is_heard(each, drafts[each.external_id])
        }
        return [place for parent, place in found if parent in heard and place[2] not in drafts]

    async def outlive(
        self, connection: Connection, workspace: UUID, source_id: UUID, erased: Mapping[Place, str]
    ) -> None:
        """Make the scores that depended on erased messages of a source, given with their old texts, again."""
        place = (connection, workspace, source_id)
        await revisions.raise_source_revision(*place)
        disturbed = await places.followed_places(*place, list(erased))
        questions = [key for (_, _, key), text in erased.items() if asks(text)]
        disturbed += [reply for _, reply in await store.replies_to(*place, questions)]
        _, risen = await self.settle(*place, disturbed)
        await self.ask_for_windows(connection, workspace, risen)

    async def ask_for_windows(
        self, connection: Connection, workspace: UUID, risen: Sequence[UUID]
    ) -> None:
        """Ask that the windows be read of messages that are no longer noise."""
        if risen:
            specs = [f"changed:importance:{self._version}"] * len(risen)
            await enqueue(connection, workspace, "window", risen, specs, reopen=True)

    async def settle(
        self, connection: Connection, workspace: UUID, source_id: UUID, disturbed: Iterable[Place]
    ) -> tuple[dict[str, Score], list[UUID]]:
        """Score again what depends on places; return the new scores by key, and whose are no longer noise."""
        ordered = _in_order(disturbed)
        again: dict[str, Score] = {}
        risen: set[UUID] = set()
        for start in range(0, len(ordered), PLACES_AT_ONCE):
            some = ordered[start : start + PLACES_AT_ONCE]
            scores, ids = await self._settle(connection, workspace, source_id, some)
            again |= scores
            risen.update(ids)
        return again, sorted(risen)

    async def _settle(
        self, connection: Connection, workspace: UUID, source_id: UUID, ordered: Sequence[Place]
    ) -> tuple[dict[str, Score], list[UUID]]:
        place = (connection, workspace, source_id)
        rows = await places.around_places(*place, ordered, REACH_MESSAGES)
        replied = {row["reply_to_external_id"] for row in rows if row["depends"]} - {""}
        parents = {
            row["external_id"]: read(input_of_row(row), Context())
            for row in await store.messages_by_key(*place, sorted(replied))
        }
        scored = await self._score(rows, parents)
        changed = [pair for pair in scored if differs(*pair, self._version)]
        changed.sort(key=lambda pair: pair[0]["external_id"])
        by_id = [(row["id"], score) for row, score in changed]
        if by_id:
            await store.set_scores(connection, workspace, by_id, self._version)
        risen = [
            row["id"]
            for row, score in changed
            if row["importance_label"] == "noise" != score.label and row["deleted_at"] is None
        ]
        return {row["external_id"]: score for row, score in changed}, risen

    async def _score(
        self, rows: Sequence[Any], parents: Mapping[str, Reading]
    ) -> list[tuple[Any, Score]]:
        scored: list[tuple[Any, Score]] = []
        tails: dict[str, list[Reading]] = {}
        async for stride in strides(rows):
            for row in stride:
                tail = tails.setdefault(row["thread_id"], [])
                context = Context(
                    tail[-CONTEXT_MESSAGES:], parents.get(row["reply_to_external_id"])
                )
                reading = read(input_of_row(row), context)
                tail.append(reading)
                if row["depends"]:
                    scored.append((row, stored_score(weigh(reading, context, self._thresholds))))
        return scored


def _is_heard(stored: Stored, draft: Draft) -> bool:
    """Whether a message asks something now and did not before it was stored, or the other way round."""
    return stored.text_changed and asks(draft.text) != asks(stored.old_text or "")


def _left(drafts: Mapping[str, Draft], stored: Sequence[Stored]) -> list[Place]:
    """Where messages stood that have moved."""
    return [
        (each.old_thread_id, each.old_sent_at, each.external_id)
        for each in stored
        if each.old_thread_id is not None
        and each.old_sent_at is not None
        and (each.old_thread_id, each.old_sent_at) != _now_at(drafts[each.external_id])
    ]


def _in_order(stand: Iterable[Place]) -> list[Place]:
    """Different places in the order of talk, thread by thread."""
    return sorted(set(stand), key=lambda each: (each[0], *order_of(each[1], each[2])))


def _now_at(draft: Draft) -> tuple[str, datetime]:
    return draft.thread_id, draft.sent_at


def _first_of_each(places: Sequence[Place]) -> list[Place]:
    """The first place of each thread."""
    first: dict[str, Place] = {}
    for each in places:
        first.setdefault(each[0], each)
    return list(first.values())


def _overtaken(around: Mapping[str, Around]) -> list[Place]:
    """The places directly after which others come that were known."""
    return [
        (thread, sent_at, key)
        for thread, each in around.items()
        for sent_at, _, key in each.overtaken
    ]
