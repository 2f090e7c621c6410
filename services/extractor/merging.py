"""The stage `merge`: an atom or topic with a vector is compared with what is known, and the conclusion is written at
once.

Comparing and writing are one step under the lock of the workspace's knowledge, so of two that say the same, whichever
replica read them, the one that is compared later finds the other.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.errors import ItemFailed
from services.common.outbox import Task, enqueue, enqueue_embedding
from services.common.vectors import of_segments
from services.common.work import Result
from services.extractor import bonds, rules, store, topic_bonds
from services.extractor.comparing import Claim
from services.extractor.deciding import Compared, Decision, decide
from services.extractor.pairs import Pair, pair_of
from services.extractor.rules import ApprovalRule
from services.extractor.scale import SAMPLE_MAX, Scale, measure
from services.extractor.topic_deciding import ComparedTopic, TopicClaim, decide_topic

QUERIES = sql.load(Path(__file__).with_name("merging.sql"))
NEAREST_MAX: Final = 12
# Up to so many vectors of a kind every one is looked at; beyond, the graph is.
EXACT_MAX: Final = 4000
SCALE_SECONDS: Final = 300.0
_AGAIN: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What a task asks: compare a subject as long as it has this text."""

    subject: UUID
    kind: str
    text_sha256: bytes

    @classmethod
    def read(cls, task: Task) -> "MergeRequest":
        """Read a spec: `atom:<sha256>` or `topic:<sha256>`; ItemFailed for anything else."""
        kind, _, digest = task.spec.partition(":")
        try:
            sha256 = bytes.fromhex(digest)
        except ValueError:
            sha256 = b""
        if kind not in ("atom", "topic") or len(sha256) != 32:
            raise ItemFailed("malformed_spec", f"not a spec of the stage merge: {task.spec}")
        return cls(task.subject, kind, sha256)


@dataclass(frozen=True, slots=True)
class _Generation:
    id: UUID
    dimensions: int
    bounds: Sequence[str]


class MergeStage:
    """Compares atoms and topics with what is known."""

    name = "merge"

    def __init__(
        self,
        rule: ApprovalRule,
        kick: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rule, self.after_commit, self._clock = rule, kick, clock
        self._scales: dict[tuple[UUID, UUID, str], tuple[float, Scale]] = {}

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[MergeRequest]]:
        """Read what is asked."""
        return [Result(task, MergeRequest.read(task), 0) for task in tasks]

    async def lock(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[MergeRequest]]
    ) -> None:
        """Let nobody erase meanwhile, and nobody else conclude."""
        await store.lock_for_writing(connection, workspace)
        await bonds.lock(connection, workspace)

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[MergeRequest]]
    ) -> None:
        """Compare and conclude, one after the other."""
        row = await connection.fetchrow(QUERIES["serving"])
        if row is None:
            return
        generation = _Generation(row["id"], row["dimensions"], row["bounds"])
        # Distances are all that the graph is asked for, and a filter lets few of its first answers through.
        await connection.execute("set local hnsw.iterative_scan = strict_order")
        for result in sorted(results, key=lambda result: result.task.subject):
            request = result.value
            if await self._is_current(connection, workspace, request):
                await self._place(connection, workspace, generation, request)

    async def _is_current(
        self, connection: Connection, workspace: UUID, request: MergeRequest
    ) -> bool:
        """Whether the subject is live with the text that was asked about; otherwise a newer task asks."""
        rows = await connection.fetch(QUERIES["text_of"], workspace, request.subject)
        return (request.kind, request.text_sha256) in {(r["kind"], r["text_sha256"]) for r in rows}

    async def _place(
        self,
        connection: Connection,
        workspace: UUID,
        generation: _Generation,
        request: MergeRequest,
    ) -> None:
        scale = await self._scale(connection, workspace, generation, request.kind)
        near = await self._nearest(connection, workspace, generation, request)
        if request.kind == "topic":
            done = await _place_topic(connection, workspace, generation, request, near, scale)
        else:
            done = await _place_atom(connection, workspace, generation, request, near, scale)
        if not done:
            # Its vector went after the task was made; whoever writes it again asks again, unless this task was then
            # held.
            await self._ask_again(connection, workspace, request)
        elif request.kind == "atom":
            await rules.apply(connection, workspace, self._rule, done)

    async def _ask_again(
        self, connection: Connection, workspace: UUID, request: MergeRequest
    ) -> None:
        spec = f"{request.kind}:{request.text_sha256.hex()}"
        moment = await connection.fetchval("select now() + $1::interval", _AGAIN)
        subjects = [request.subject]
        await enqueue(connection, workspace, self.name, subjects, [spec], moment, reopen=True)

    async def _scale(
        self, connection: Connection, workspace: UUID, generation: _Generation, kind: str
    ) -> Scale:
        key = (workspace, generation.id, kind)
        known = self._scales.get(key)
        if known and self._clock() - known[0] < SCALE_SECONDS:
            return known[1]
        rows = await connection.fetch(QUERIES["sample"], workspace, generation.id, kind, SAMPLE_MAX)
        scale = measure([row["embedding"] for row in rows])
        if len(rows) == SAMPLE_MAX:
            self._scales[key] = (self._clock(), scale)
        return scale

    async def _nearest(
        self,
        connection: Connection,
        workspace: UUID,
        generation: _Generation,
        request: MergeRequest,
    ) -> list[UUID]:
        place, kind, subject = (workspace, generation.id), request.kind, request.subject
        count = await connection.fetchval(QUERIES["count_vectors"], *place, kind, EXACT_MAX + 1)
        if count <= EXACT_MAX:
            rows = await connection.fetch(
                QUERIES["nearest_exact"], *place, kind, subject, NEAREST_MAX
            )
        else:
            query = of_segments(QUERIES["nearest_hnsw"], generation.bounds).format(
                generation=generation.id, dimensions=generation.dimensions
            )
            rows = await connection.fetch(query, workspace, kind, subject, NEAREST_MAX)
        return [row["id"] for row in rows]


async def _place_atom(
    connection: Connection,
    workspace: UUID,
    generation: _Generation,
    request: MergeRequest,
    near: Sequence[UUID],
    scale: Scale,
) -> list[UUID] | None:
    """Compare an atom and write the conclusion; the live atoms it concerns, or None if its vector is missing."""
    place = (workspace, request.subject)
    alike = await connection.fetch(QUERIES["same_text"], *place, request.text_sha256, NEAREST_MAX)
    sharing = await connection.fetch(QUERIES["same_evidence"], *place, NEAREST_MAX)
    ids = {request.subject, *near, *(row["id"] for row in (*alike, *sharing))}
    rows = await connection.fetch(
        QUERIES["claims"], workspace, sorted(ids), generation.id, request.subject
    )
    subjects = [row for row in rows if row["id"] == request.subject]
    if not subjects or subjects[0]["cosine"] is None:
        return None
    known = [
        Compared(_claim(row), _related(row["cosine"], scale))
        for row in rows
        if row["id"] != request.subject
    ]
    apart = await _kept_apart(connection, workspace, ids)
    # Long texts take up to a second to compare.
    decision = await asyncio.to_thread(decide, _claim(subjects[0]), known, apart)
    await _conclude(connection, workspace, request.subject, decision)
    return [decision.into or request.subject]


async def _conclude(
    connection: Connection, workspace: UUID, subject: UUID, decision: Decision
) -> None:
    if decision.into is not None:
        await bonds.join(connection, workspace, decision.into, decision.merged, "meaning")
        hashes: list[bytes | None] = [None] * len(decision.merged)
        await enqueue_embedding(connection, workspace, "atom", decision.merged, hashes, reopen=True)
    for ending in decision.endings:
        await bonds.end(connection, workspace, ending.atom, ending.moment, ending.by)
    await bonds.link(connection, workspace, decision.links)


async def _place_topic(
    connection: Connection,
    workspace: UUID,
    generation: _Generation,
    request: MergeRequest,
    near: Sequence[UUID],
    scale: Scale,
) -> list[UUID] | None:
    """Compare a topic and write the conclusion; None if its vector is missing."""
    place = (workspace, request.subject, request.text_sha256, NEAREST_MAX)
    alike = await connection.fetch(QUERIES["same_title"], *place)
    ids = {request.subject, *near, *(row["id"] for row in alike)}
    rows = await connection.fetch(
        QUERIES["topic_claims"], workspace, sorted(ids), generation.id, request.subject
    )
    subjects = [row for row in rows if row["id"] == request.subject]
    if not subjects or subjects[0]["cosine"] is None:
        return None
    known = [
        ComparedTopic(_topic_claim(row), _related(row["cosine"], scale))
        for row in rows
        if row["id"] != request.subject
    ]
    apart = await _kept_apart(connection, workspace, ids)
    decision = decide_topic(_topic_claim(subjects[0]), known, apart)
    if decision is not None:
        await topic_bonds.join(connection, workspace, decision.into, decision.merged, "meaning")
        hashes: list[bytes | None] = [None] * len(decision.merged)
        await enqueue_embedding(
            connection, workspace, "topic", decision.merged, hashes, reopen=True
        )
    return [request.subject]


async def _kept_apart(connection: Connection, workspace: UUID, ids: Iterable[UUID]) -> set[Pair]:
    """The pairs among some atoms or topics that people keep apart."""
    rows = await connection.fetch(QUERIES["kept_apart"], workspace, sorted(ids))
    return {pair_of(row["first_id"], row["second_id"]) for row in rows}


def _related(cosine: float | None, scale: Scale) -> float | None:
    return None if cosine is None else scale.relatedness(cosine)


def _claim(row: Any) -> Claim:
    return Claim(
        row["id"],
        row["type"],
        row["title"],
        row["content"],
        row["window_id"],
        frozenset(row["messages"]),
        row["valid_from"],
        row["valid_to"],
        row["judgement"],
        frozenset(row["speakers"]),
    )


def _topic_claim(row: Any) -> TopicClaim:
    windows = frozenset(row["windows"])
    return TopicClaim(row["id"], row["title"], row["title_key"], windows, row["is_named"])
