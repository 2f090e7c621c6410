"""Erasing: what ingest knows of messages goes, and the owners of what was made of them get tasks.

Few messages are erased before the call returns. Many are written down by their ids in the call's transaction, which
takes microseconds a message and locks none of them: from its commit on no call returns them and no later version is
stored. Then the stage `erase` works them off, each task one chunk in one transaction behind the fence. All tasks are
made with the call, not each by the one before: so a chunk that fails holds up no other, replicas share the work, and
what is to be erased is decided at one moment, while messages go on coming in. What a chunk leaves behind is scored
again in its transaction: neighbours.py.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.common.failpoints import reach
from services.common.ids import uuid7
from services.common.outbox import Task, announce, enqueue
from services.common.work import Result
from services.ingest.neighbours import Neighbours
from services.ingest.operations import QUERIES
from services.ingest.store import Place
from winnow.events.v1.events_pb2 import MessagesDeleted

STAGE = "erase"
CHUNK_MESSAGES = 1_000
# As many are erased before the call returns: about a fifth of a second of PostgreSQL, and two to three seconds a
# thousand if each stood alone among others, whose scores are made again.
INLINE_MESSAGES_MAX = 2_000
# Written down by one statement.
LISTED_MESSAGES = 50 * CHUNK_MESSAGES
NOWHERE = UUID(int=0)


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

    def filters(self) -> tuple[UUID | None, list[str] | None, str]:
        """The source, keys and author as the queries take them."""
        return self.source_id, sorted(set(self.external_ids)) or None, self.author_external_id


@dataclass(frozen=True, slots=True)
class Chunk:
    """The messages that an operation has written down between two ids, both included."""

    operation: UUID
    number: int
    first: UUID
    last: UUID

    @classmethod
    def read(cls, task: Task) -> "Chunk":
        """Read a task: its spec is `NUMBER:FIRST:LAST`; ValueError for anything else."""
        number, first, last = task.spec.split(":")
        return cls(task.subject, int(number), UUID(first), UUID(last))

    def spec(self) -> str:
        """The spec of the chunk's task."""
        return f"{self.number}:{self.first}:{self.last}"


class Eraser:
    """Erases what ingest knows of messages, and what they did to the scores of others."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    async def begin(
        self, connection: Connection, workspace: UUID, operation: UUID, target: Target
    ) -> None:
        """Erase messages or write down that they are to be; keys stay, so that what they name stays erased."""
        source, keys, _ = target.filters()
        if keys and source:
            ids = [uuid7() for _ in keys]
            await connection.execute(QUERIES["remember_keys"], workspace, source, ids, keys)
        messages = await _first(connection, workspace, target, INLINE_MESSAGES_MAX + 1)
        if len(messages) <= INLINE_MESSAGES_MAX:
            starts = range(0, len(messages), CHUNK_MESSAGES)
            chunks = [messages[start : start + CHUNK_MESSAGES] for start in starts]
            await self.erase(connection, workspace, operation, list(enumerate(chunks)))
        else:
            await _write_down(connection, workspace, operation, target)
        if target.is_whole_source:
            # Last, since every writer locks messages before their source.
            await connection.execute(QUERIES["forget_source_title"], workspace, source)

    async def erase(
        self,
        connection: Connection,
        workspace: UUID,
        operation: UUID,
        chunks: Sequence[tuple[int, Sequence[UUID]]],
    ) -> None:
        """Erase the messages of numbered chunks, and then make the scores that they had a part in again."""
        erased: dict[UUID, dict[Place, str]] = defaultdict(dict)
        for number, messages in chunks:
            for row in await _erase(connection, workspace, operation, number, messages):
                if row["was_known"]:
                    place = (row["thread_id"], row["sent_at"], row["external_id"])
                    erased[row["source_id"]][place] = row["text"]
        for source, texts in sorted(erased.items()):
            await self._neighbours.outlive(connection, workspace, source, texts)


async def _first(connection: Connection, workspace: UUID, target: Target, count: int) -> list[UUID]:
    """The first of the messages in the order in which every writer locks them."""
    query = QUERIES["messages_to_erase"]
    rows = await connection.fetch(query, workspace, *target.filters(), count)
    return [row["id"] for row in rows]


async def _write_down(
    connection: Connection, workspace: UUID, operation: UUID, target: Target
) -> None:
    """Write down which messages are to be erased, and make a task for each chunk of them."""
    source, _, author = target.filters()
    after, number = NOWHERE, 0
    while True:
        rows = await connection.fetch(
            QUERIES["write_down_messages"],
            *(workspace, operation, source, author, after, LISTED_MESSAGES, CHUNK_MESSAGES),
        )
        chunks = [
            Chunk(operation, number + at, row["first"], row["last"]) for at, row in enumerate(rows)
        ]
        specs = [chunk.spec() for chunk in chunks]
        await enqueue(connection, workspace, STAGE, [operation] * len(specs), specs)
        await reach("erase.written_down")
        if sum(row["messages"] for row in rows) < LISTED_MESSAGES:
            return
        after, number = chunks[-1].last, number + len(chunks)


class EraseStage:
    """Erases what an operation has written down, a chunk a task."""

    name = STAGE

    def __init__(self, eraser: Eraser, kick: Callable[[], None]) -> None:
        self._eraser = eraser
        self.after_commit = kick

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[Chunk]]:
        """Read what is asked: all else is one transaction with the task's end."""
        return [Result(task, Chunk.read(task), 0) for task in tasks]

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Chunk]]
    ) -> None:
        """Erase chunk after chunk; what another operation has erased meanwhile is left to its receipt."""
        for chunk in sorted((r.value for r in results), key=lambda c: (c.operation, c.number)):
            rows = await connection.fetch(
                QUERIES["take_chunk"], workspace, chunk.operation, chunk.first, chunk.last
            )
            await reach("erase.taken")
            messages = [row["message_id"] for row in rows]
            numbered = [(chunk.number, messages)]
            await self._eraser.erase(connection, workspace, chunk.operation, numbered)
            await reach("erase.followed")


async def _erase(
    connection: Connection, workspace: UUID, operation: UUID, chunk: int, messages: Sequence[UUID]
) -> Sequence[Any]:
    """Erase the content of a chunk's messages, make the tasks of the others, and return what was erased."""
    rows: Sequence[Any] = await connection.fetch(QUERIES["erase_messages"], workspace, messages)
    await reach("erase.erased")
    if known := sorted(row["id"] for row in rows if row["was_known"]):
        await connection.execute(QUERIES["add_erasure"], workspace, operation, chunk, known)
        await enqueue(connection, workspace, "erase_extractor", [operation], [str(chunk)])
        await enqueue(connection, workspace, "erase_embedder", [operation], [f"messages:{chunk}"])
    await _announce(connection, workspace, rows)
    return rows


async def _announce(connection: Connection, workspace: UUID, rows: Sequence[Any]) -> None:
    live: dict[UUID, list[str]] = defaultdict(list)
    for row in rows:
        if row["was_live"]:
            live[row["source_id"]].append(str(row["id"]))
    for source, ids in sorted(live.items()):
        fact = MessagesDeleted(source_id=str(source), message_ids=sorted(ids))
        await announce(connection, workspace, "messages_deleted", fact)
