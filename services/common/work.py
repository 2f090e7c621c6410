"""What a stage of tasks is: what a service does for one, and what comes of it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from services.common.database import Connection
from services.common.errors import ItemFailed
from services.common.outbox import Task

R = TypeVar("R")

ALONE_FROM_ATTEMPT: Final = 3
# However often a task may fail and however long a lease is: whoever mends what it fails of wants to see it tried.
RETRY_SECONDS_MAX: Final = 3600.0
_DOUBLINGS_MAX: Final = 30


@dataclass(frozen=True)
class Result(Generic[R]):
    """What one task came to: its value, and how many rows the value makes.

    Unless the provider of the stage `answered`, it says nothing about the provider.
    """

    task: Task
    value: R
    count: int
    answered: bool = True


@dataclass(frozen=True)
class Failed:
    """A task that the stage found to be at fault by itself, whatever came of those beside it."""

    task: Task
    error: ItemFailed


@dataclass(frozen=True)
class Reason:
    """Why tasks wait, for people and for who wakes them, and how long they do if nobody does."""

    error_class: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Parked:
    """A task that is woken by somebody, such as a replica that can do it.

    Whoever cannot do such tasks takes only so many a second, to leave them to those who can.
    """

    task: Task
    reason: Reason


class Stage(Protocol[R]):
    """What a service does for one stage of tasks."""

    name: str

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[R] | Failed | Parked]:
        """Work on tasks of one workspace outside any transaction, all or nothing but for those Failed or Parked.

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


@runtime_checkable
class Divided(Protocol):
    """A stage whose tasks need several providers, of which one that fails holds up nobody but its own tasks.

    It raises ProviderFailing for such a one, and leaves it alone by itself.
    """

    def divide(self, tasks: Sequence[Task]) -> Sequence[Sequence[Task]]:
        """Return the tasks in parts, each to be performed and committed by itself; what may fail comes last."""

    def has_open_breaker(self) -> bool:
        """Whether a provider has been left alone because it kept failing, and has not answered since."""


def attempted_together(tasks: Sequence[Task]) -> list[list[Task]]:
    """Tasks as they are attempted: together, and alone what failed too often to be beside others."""
    together = [task for task in tasks if task.attempts < ALONE_FROM_ATTEMPT]
    alone = [[task] for task in tasks if task.attempts >= ALONE_FROM_ATTEMPT]
    return [together, *alone] if together else alone


def retry_seconds(first_seconds: float, attempts: int) -> float:
    """After how long what has failed so often is tried again: each time about twice as long, up to an hour."""
    seconds = first_seconds * 2.0 ** min(attempts - 1, _DOUBLINGS_MAX)
    return min(seconds, RETRY_SECONDS_MAX) * random.uniform(0.8, 1.2)  # noqa: S311
