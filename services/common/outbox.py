"""The task table as services use it, and the facts that they announce."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import DatabaseUnavailable
from services.common.ids import uuid7_texts
from winnow.events.v1.events_pb2 import Event

log = logging.getLogger(__name__)

FACTS = tuple(field.name for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields)


@dataclass(frozen=True)
class Task:
    """A leased piece of work; results may be written only while its fence holds."""

    workspace: UUID
    id: UUID
    subject: UUID
    spec: str
    fence: int
    attempts: int


@dataclass(frozen=True)
class Turn:
    """A workspace that waits, and what was leased of its tasks: nothing if others were faster."""

    workspace: UUID
    tasks: Sequence[Task]


class Fact(Protocol):
    """A message of winnow.events.v1 that Event can carry."""

    def SerializeToString(self) -> bytes:
        """Return the message's bytes."""


async def enqueue(
    connection: Connection,
    workspace: UUID,
    stage: str,
    subjects: Sequence[UUID],
    specs: Sequence[str],
    available_at: datetime | None = None,
    *,
    reopen: bool = False,
) -> int:
    """Make tasks in the caller's transaction; return how many are new, or reopened though they were done."""
    made: int = await connection.fetchval(
        "select spine.enqueue($1, $2, $3, $4, coalesce($5, now()), $6)",
        workspace,
        stage,
        subjects,
        specs,
        available_at,
        reopen,
    )
    return made


async def enqueue_extraction(
    connection: Connection,
    workspace: UUID,
    windows: Sequence[UUID],
    specs: Sequence[str],
    lanes: Sequence[int],
    *,
    reopen: bool,
    revive: bool,
) -> None:
    """Make the tasks that read windows, each in a lane.

    Those that were done are left so unless they are reopened, and those that are dead unless they are revived.
    """
    await connection.execute(
        "select spine.enqueue_extraction($1, $2, $3, $4, $5, $6)",
        workspace,
        windows,
        specs,
        lanes,
        reopen,
        revive,
    )


async def enqueue_embedding(
    connection: Connection,
    workspace: UUID,
    kind: str,
    subjects: Sequence[UUID],
    text_hashes: Sequence[bytes | None],
    *,
    reopen: bool = False,
) -> int:
    """Make the tasks that embed subjects in every live generation; a hash of None removes their vectors."""
    made: int = await connection.fetchval(
        "select spine.enqueue_embedding($1, $2, $3, $4, $5)",
        workspace,
        kind,
        subjects,
        text_hashes,
        reopen,
    )
    return made


async def enqueue_embedding_hinted(
    connection: Connection,
    workspace: UUID,
    kind: str,
    subjects: Sequence[UUID],
    text_hashes: Sequence[bytes | None],
    again_seconds: float,
    lane: int,
    *,
    are_new: bool = False,
) -> list[UUID]:
    """Make or reopen the tasks that embed subjects; return those that the caller hands to its relay after the commit.

    The others are backfill. A hint that is never published is replaced, at the latest after `again_seconds`. Subjects
    that the same transaction has made, each named once, are new: no tasks of theirs are looked for.
    """
    function = "enqueue_embedding_new" if are_new else "enqueue_embedding_hinted"
    rows = await connection.fetch(
        f"select spine.{function}($1, $2, $3, $4, $5, $6, $7) as id",
        workspace,
        kind,
        subjects,
        text_hashes,
        timedelta(seconds=again_seconds),
        lane,
        uuid7_texts(len(subjects)),
    )
    return [row["id"] for row in rows]


async def enqueue_backfill(
    connection: Connection,
    workspace: UUID,
    generation: UUID,
    kind: str,
    subjects: Sequence[UUID],
    text_hashes: Sequence[bytes | None],
    available_at: datetime | None = None,
    due_after: datetime | None = None,
) -> int:
    """Make or reopen the tasks that embed subjects in one generation, behind all that is fresh; return how many.

    Those that nobody has tried yet and that are due only after a time become available with them, if one is given.
    """
    made: int = await connection.fetchval(
        "select spine.plan_backfill($1, $2, $3, $4, $5, coalesce($6, now()), $7)",
        workspace,
        generation,
        kind,
        subjects,
        text_hashes,
        available_at,
        due_after,
    )
    return made


async def awaited(
    connection: Connection,
    workspace: UUID,
    stage: str,
    subject: UUID,
    prefix: str,
    most: int | None,
) -> list[str]:
    """The specs of at most so many open tasks about a subject that begin with a word, in order; None for all."""
    rows = await connection.fetch(
        "select spec from spine.awaited($1, $2, $3, $4, $5)",
        workspace,
        stage,
        subject,
        prefix,
        most,
    )
    return [row["spec"] for row in rows]


async def announce(connection: Connection, workspace: UUID, name: str, fact: Fact) -> None:
    """Announce a fact to the outside in the caller's transaction; name is the field of Event."""
    if name not in FACTS:
        raise ValueError(f"Event carries no fact called {name}")
    await connection.execute(
        "select spine.announce($1, $2, $3)", workspace, name, fact.SerializeToString()
    )


async def complete(
    connection: Connection, tasks: Sequence[Task], result_counts: Sequence[int]
) -> set[UUID]:
    """End the tasks of one workspace whose fence still holds; return their ids."""
    rows = await connection.fetch(
        "select id from spine.complete($1, $2, $3, $4)", *_keys(tasks), result_counts
    )
    return {row["id"] for row in rows}


async def traces(connection: Connection, workspace: UUID, tasks: Sequence[UUID]) -> dict[UUID, str]:
    """The W3C contexts of those tasks whose call is traced."""
    rows = await connection.fetch(
        "select * from spine.traces($1, $2)", [workspace] * len(tasks), tasks
    )
    return {row["id"]: row["traceparent"] for row in rows}


# One statement that binds its own transaction to the workspace, before the function that depends on it is called.
_BOUND = """with bound as materialized (
  select set_config('winnow.workspace_id', $1::uuid::text, true)::uuid as workspace)
select f.* from bound,"""


# Bound to the workspace whose turn it is: no row if it is nobody's, and one without a task if others were faster.
_TURN = """with turn as materialized (
  select nullif(
    set_config('winnow.workspace_id', spine.next_waiting($1, $2, $3, $4)::text, true), '')::uuid as workspace)
select turn.workspace, f.* from turn
left join lateral spine.claim_waiting(turn.workspace, $1, $2, $5, $6, $7, $8) f on true
where turn.workspace is not null"""


class TaskStore:
    """Leases tasks and reports what became of them, outside the transactions that write results."""

    def __init__(self, database: Database, lease_seconds: float, attempts_max: int) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._attempts_max = attempts_max

    async def claim(
        self, workspace: UUID, stage: str, ids: Sequence[UUID], owner: UUID
    ) -> list[Task]:
        """Lease those of the tasks that can be worked on now."""
        sql = f"{_BOUND} spine.claim(bound.workspace, $2, $3, $4, $5, $6) f"
        arguments = (workspace, stage, ids, owner, self._lease, self._attempts_max)
        return [_task(workspace, row) for row in await self._fetch(sql, *arguments)]

    async def claim_next(
        self,
        stage: str,
        lanes: Sequence[int],
        tasks_max: int,
        owner: UUID,
        *,
        after: UUID,
        before: UUID,
    ) -> Turn | None:
        """Lease tasks of the next workspace that waits in some lanes; None if there is none.

        It is looked for in the circle of all workspaces between two, or in all of it but one if they are the same.
        """
        circle = (stage, lanes, after, before)
        rows = await self._fetch(_TURN, *circle, tasks_max, owner, self._lease, self._attempts_max)
        if not rows:
            return None
        workspace = rows[0]["workspace"]
        return Turn(workspace, [_task(workspace, row) for row in rows if row["id"]])

    async def traces(self, tasks: Sequence[Task]) -> dict[UUID, str]:
        """The W3C contexts of those tasks of one workspace whose call is traced; none if the database does not tell."""
        try:
            async with self._database.connection() as connection:
                return await traces(connection, tasks[0].workspace, [task.id for task in tasks])
        except DatabaseUnavailable as error:
            log.warning("traces: %s", error)
            return {}

    async def extend(self, tasks: Sequence[Task]) -> set[UUID]:
        """Extend the leases that are still held; return their tasks' ids."""
        rows = await self._fetch(
            f"{_BOUND} spine.extend(bound.workspace, $2, $3, $4) f", *_keys(tasks), self._lease
        )
        return {row["id"] for row in rows}

    async def fail(
        self, tasks: Sequence[Task], error_class: str, error: str, delay_seconds: float
    ) -> dict[UUID, bool]:
        """Record a failure of the tasks' own; return of those whose fence still held whether they died of it."""
        rows = await self._fetch(
            f"{_BOUND} spine.fail(bound.workspace, $2, $3, $4, $5, $6, $7) f",
            *_keys(tasks),
            error_class,
            _storable(error),
            timedelta(seconds=delay_seconds),
            self._attempts_max,
        )
        return {row["id"]: row["dead"] for row in rows}

    async def release(
        self, tasks: Sequence[Task], error_class: str, error: str, delay_seconds: float
    ) -> None:
        """Give tasks back without counting the attempt."""
        delay = timedelta(seconds=delay_seconds)
        await self._fetch(
            f"{_BOUND} spine.release(bound.workspace, $2, $3, $4, $5, $6) f",
            *_keys(tasks),
            delay,
            error_class,
            _storable(error),
        )

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        async def attempt() -> list[Any]:
            async with self._database.connection() as connection:
                return list(await connection.fetch(sql, *arguments))

        return await self._database.retrying(attempt)


def _task(workspace: UUID, row: Any) -> Task:
    columns = ("id", "subject_id", "spec", "fence", "attempts")
    return Task(workspace, *(row[name] for name in columns))


def _keys(tasks: Sequence[Task]) -> tuple[UUID, list[UUID], list[int]]:
    """The workspace, ids and fences of tasks, which must be of one workspace."""
    (workspace,) = {task.workspace for task in tasks}
    return workspace, [task.id for task in tasks], [task.fence for task in tasks]


def _storable(text: str) -> str:
    """The text without what PostgreSQL cannot store: a failure must be recorded whatever it says."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
