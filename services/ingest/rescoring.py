"""Rescoring: batch after batch in the order of conversations, each batch one task that makes the next."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import ItemFailed
from services.common.outbox import Task, enqueue
from services.common.work import Result
from services.ingest import revisions
from services.ingest.gate import differs, input_of_row, stored_score
from services.ingest.neighbours import Neighbours
from services.ingest.operations import QUERIES
from services.ingest.reading import strides
from services.ingest.scoring import Thresholds, weigh
from services.ingest.store import Score
from services.ingest.wording import CONTEXT_MESSAGES, REACH_MESSAGES, Context, Reading, read

STAGE = "rescore"
BATCH_MESSAGES = 500

Conversation = tuple[UUID, str]
"""The ids of a source and of a thread."""


async def begin(connection: Connection, workspace: UUID, operation: UUID) -> None:
    """Make the task of the first batch."""
    await enqueue(connection, workspace, STAGE, [operation], ["0"])


@dataclass(frozen=True, slots=True)
class Rescored:
    """One batch: its messages as they were stored, and the scores that those get which are not deleted."""

    dry_run: bool
    rows: Sequence[Any]
    scored: Sequence[tuple[Any, Score]]
    version: str

    def changed(self) -> list[tuple[Any, Score]]:
        """The messages whose stored importance differs from what they get, in the order of their ids."""
        found = [pair for pair in self.scored if differs(*pair, self.version)]
        return sorted(found, key=lambda pair: pair[0]["id"])


class RescoreStage:
    """Scores batches of stored messages with the scorer of this release."""

    name = STAGE

    def __init__(
        self,
        database: Database,
        thresholds: Thresholds,
        version: str,
        neighbours: Neighbours,
        kick: Callable[[], None],
    ) -> None:
        self._database, self._thresholds, self._version = database, thresholds, version
        self._neighbours = neighbours
        self.after_commit = kick

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[Rescored]]:
        """Read and score the batch of each task."""
        results = []
        for task in tasks:
            rescored = await self._rescore(task)
            results.append(Result(task, rescored, len(rescored.scored)))
        return results

    async def _rescore(self, task: Task) -> Rescored:
        workspace = task.workspace
        async with self._database.transaction(workspace) as connection:
            asked = await connection.fetchrow(
                QUERIES["rescore"], workspace, task.subject, int(task.spec)
            )
            if asked is None:
                raise ItemFailed("no_operation", f"no operation {task.subject}")
            after = [asked[f"after_{name}"] for name in ("source", "thread", "sent_at", "message")]
            period = (asked["source_id"], asked["sent_after"], asked["sent_before"])
            rows = await connection.fetch(
                QUERIES["messages_to_rescore"], workspace, *after, *period, BATCH_MESSAGES
            )
            before = await _said_before(connection, workspace, rows)
            parents = await _replied_to(connection, workspace, rows)
        scored = await self._score(rows, before, parents)
        return Rescored(asked["dry_run"], rows, scored, self._version)

    async def _score(
        self,
        rows: Sequence[Any],
        tails: dict[Conversation, list[Reading]],
        parents: dict[tuple[UUID, str], Reading],
    ) -> list[tuple[Any, Score]]:
        scored = []
        async for stride in strides(rows):
            for row in stride:
                tail = tails.setdefault((row["source_id"], row["thread_id"]), [])
                parent = parents.get((row["source_id"], row["reply_to_external_id"]))
                context = Context(tail[-CONTEXT_MESSAGES:], parent)
                reading = read(input_of_row(row), context)
                tail.append(reading)
                if row["deleted_at"] is None:
                    scored.append((row, stored_score(weigh(reading, context, self._thresholds))))
        return scored

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Rescored]]
    ) -> None:
        """Store what has changed, count it, and ask for the next batch and for windows worth reading now."""
        for result in sorted(results, key=lambda result: result.task.id):
            rescored = result.value
            if not rescored.rows:
                continue
            changed = rescored.changed()
            if changed and not rescored.dry_run:
                changed = await self._put(
                    connection, workspace, result.task, rescored.rows, changed
                )
            batch = int(result.task.spec)
            await _report(connection, workspace, result, changed)
            if len(rescored.rows) == BATCH_MESSAGES:
                following = [str(batch + 1)]
                await enqueue(connection, workspace, STAGE, [result.task.subject], following)

    async def _put(
        self,
        connection: Connection,
        workspace: UUID,
        task: Task,
        rows: Sequence[Any],
        changed: Sequence[tuple[Any, Score]],
    ) -> list[tuple[Any, Score]]:
        """Store scores, except of messages that were edited or deleted since; return those stored."""
        found = await connection.fetch(
            QUERIES["put_scores"],
            workspace,
            [row["id"] for row, _ in changed],
            [row["content_sha256"] for row, _ in changed],
            [score.score for _, score in changed],
            [score.label for _, score in changed],
            [score.factors for _, score in changed],
            self._version,
        )
        stored = {row["id"] for row in found}
        again, risen = await self._settle(connection, workspace, rows)
        settled = [
            (row, again.get((row["source_id"], row["external_id"]), score))
            for row, score in changed
        ]
        kept = [
            pair for pair in settled if pair[0]["id"] in stored and differs(*pair, self._version)
        ]
        risen |= {
            row["id"]
            for row, score in kept
            if row["importance_label"] == "noise" and score.label != "noise"
        }
        spec = f"changed:rescored:{task.subject}"
        await enqueue(connection, workspace, "window", sorted(risen), [spec] * len(risen))
        return kept

    async def _settle(
        self, connection: Connection, workspace: UUID, rows: Sequence[Any]
    ) -> tuple[dict[tuple[UUID, str], Score], set[UUID]]:
        """Score again by what is stored now, in sources that others have written to since the rows were read.

        Whoever writes later finds the rows unlocked. Returns scores by source and key, and whose are no longer noise.
        """
        again: dict[tuple[UUID, str], Score] = {}
        risen: set[UUID] = set()
        for source, group in groupby(rows, key=itemgetter("source_id")):
            some = list(group)
            state = await revisions.hold_source_revision(connection, workspace, source)
            if state.revision != some[0]["source_revision"]:
                places = [(row["thread_id"], row["sent_at"], row["external_id"]) for row in some]
                scores, ids = await self._neighbours.settle(connection, workspace, source, places)
                again |= {(source, key): score for key, score in scores.items()}
                risen.update(ids)
        return again, risen


async def _report(
    connection: Connection,
    workspace: UUID,
    result: Result[Rescored],
    changed: Sequence[tuple[Any, Score]],
) -> None:
    labels = Counter(s.label for row, s in changed if s.label != row["importance_label"])
    last = result.value.rows[-1]
    await connection.execute(
        QUERIES["add_rescored_batch"],
        workspace,
        result.task.subject,
        int(result.task.spec),
        last["source_id"],
        last["thread_id"],
        last["sent_at"],
        last["id"],
        len(result.value.scored),
        len(changed),
        *(labels[label] for label in ("noise", "weak", "signal")),
    )


async def _said_before(
    connection: Connection, workspace: UUID, rows: Sequence[Any]
) -> dict[Conversation, list[Reading]]:
    """The last messages of each conversation before the first of it among the rows."""
    first: dict[Conversation, tuple[datetime, str]] = {}
    for row in rows:
        place = (row["source_id"], row["thread_id"])
        first.setdefault(place, (row["sent_at"], row["external_id"]))
    found = await connection.fetch(
        QUERIES["said_before"],
        workspace,
        [source for source, _ in first],
        [thread for _, thread in first],
        [sent_at for sent_at, _ in first.values()],
        [key for _, key in first.values()],
        REACH_MESSAGES,
    )
    tails: dict[Conversation, list[Reading]] = {}
    for row in found:
        tail = tails.setdefault((row["source_id"], row["thread_id"]), [])
        tail.append(read(input_of_row(row), Context(tail[-CONTEXT_MESSAGES:])))
    return tails


async def _replied_to(
    connection: Connection, workspace: UUID, rows: Sequence[Any]
) -> dict[tuple[UUID, str], Reading]:
    """The messages that the rows reply to, by source and external id."""
    keys = {(r["source_id"], r["reply_to_external_id"]) for r in rows if r["reply_to_external_id"]}
    listed = sorted(keys)
    sources, external_ids = [key[0] for key in listed], [key[1] for key in listed]
    found = await connection.fetch(QUERIES["replied_to"], workspace, sources, external_ids)
    return {
        (row["source_id"], row["external_id"]): read(input_of_row(row), Context()) for row in found
    }
