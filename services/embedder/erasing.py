"""The stage `erase_embedder`: vectors of erased messages and of what was removed with them go, in all generations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.database import Connection, Database
from services.common.outbox import Task
from services.common.work import Result
from services.embedder import store


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of an erasure: the messages of a chunk, or the knowledge that was removed for it."""

    operation: UUID
    of_what: str
    number: int

    @classmethod
    def read(cls, task: Task) -> "Chunk":
        """Read a spec: `messages:<number>` or `knowledge:<number>`; ValueError for anything else."""
        of_what, _, number = task.spec.partition(":")
        if of_what not in ("messages", "knowledge"):
            raise ValueError(f"spec: {task.spec!r} asks for nothing known")
        return cls(task.subject, of_what, int(number))


class EraseStage:
    """Removes vectors."""

    name = "erase_embedder"

    def __init__(self, database: Database, after_commit: Callable[[], None]) -> None:
        self._database = database
        self.after_commit = after_commit

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[Chunk]]:
        """Read what is asked."""
        return [Result(task, Chunk.read(task), 0) for task in tasks]

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Chunk]]
    ) -> None:
        """Remove part after part, once nobody writes vectors of texts that were read before."""
        await store.lock_for_removing(connection, workspace)
        for chunk in sorted(
            (r.value for r in results), key=lambda c: (c.operation, c.of_what, c.number)
        ):
            await store.erase_vectors(
                connection, workspace, chunk.operation, chunk.of_what, chunk.number
            )
