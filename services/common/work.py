"""What a stage of tasks is: what a service does for one, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from services.common.database import Connection
from services.common.errors import ItemFailed
from services.common.outbox import Task

R = TypeVar("R")


@dataclass(frozen=True)
class Result(Generic[R]):
    """What one task came to: its value, and how many rows the value makes."""

    task: Task
    value: R
    count: int


@dataclass(frozen=True)
class Failed:
    """A task that the stage found to be at fault by itself, whatever came of those beside it."""

    task: Task
    error: ItemFailed


class Stage(Protocol[R]):
    """What a service does for one stage of tasks."""

    name: str

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[R] | Failed]:
        """Work on tasks of one workspace outside any transaction, all or nothing but for those that are Failed.

        A task without an outcome is given back for later: it cannot be done now, and nobody is at fault.
        Raises Unavailable when a provider or the database is at fault, ItemFailed or anything else when a task is.
        """

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[R]]
    ) -> None:
        """Write the results whose tasks were completed in this same transaction."""

    def after_commit(self) -> None:
        """Called once the results are committed."""


@runtime_checkable
class Locking(Protocol):
    """A stage that makes tasks under a lock.

    It takes the lock before its tasks are completed: who waits for it must not hold a task that its holder asks for.
    """

    async def lock(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Any]]
    ) -> None:
        """Take the locks under which the results will be written."""


@dataclass(frozen=True)
class Reason:
    """Why tasks without a result wait, for people and for who wakes them, and how long they do if nobody does."""

    error_class: str
    text: str
    seconds: float


@runtime_checkable
class Parking(Protocol):
    """A stage whose tasks without a result are woken by somebody, such as a replica that can do them.

    Whoever cannot do them takes only so many a second, to leave them to those who can.
    """

    parked: Reason
