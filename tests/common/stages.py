"""A stage that keeps what it was given, and the relay and worker that run it on a deployment's servers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from services.common.breaker import Breaker
from services.common.bus import Bus, BusSettings
from services.common.database import Connection, Database, DatabaseSettings
from services.common.errors import ItemFailed, ModelUnavailable
from services.common.outbox import Task, TaskStore, enqueue
from services.common.relay import Relay, RelaySettings
from services.common.waiting import end
from services.common.work import Result
from services.common.worker import STOP_SECONDS, Worker, WorkerSettings
from tests.conftest import Deployment

STAGE = "embed"


@dataclass
class Recorder:
    """A stage that keeps what it was given, and fails where it is told to."""

    name: str = STAGE
    poison: frozenset[str] = frozenset()
    outage: bool = False
    calls: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    seconds: float = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Return each task's spec, after a while."""
        self.calls.append(len(tasks))
        self.started.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.outage:
            raise ModelUnavailable("the model is away")
        for task in tasks:
            if task.spec in self.poison:
                raise ItemFailed("poison", f"{task.spec} is bad")
        return [Result(task, task.spec, 1) for task in tasks]

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[str]]
    ) -> None:
        """Remember the specs that were committed."""
        self.written += [result.value for result in results]

    def after_commit(self) -> None:
        """Nothing follows."""


@dataclass
class Running:
    """A relay and a worker that run."""

    relay: Relay
    worker: Worker[str]
    relaying: asyncio.Task[None]
    working: asyncio.Task[None]


@asynccontextmanager
async def running(
    stage: Recorder,
    again_seconds: float = 5,
    batch_max: int = 256,
    breaker: Breaker | None = None,
    **settings: float,
) -> AsyncIterator[Running]:
    """Run a relay and a worker on the deployment's servers; either of them failing fails the test."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as relay_database,
        Bus.open(BusSettings.read(), "test") as bus,
    ):
        limits = WorkerSettings(**{"task_retry_seconds": 0.05, **settings})
        store = TaskStore(database, limits.task_lease_seconds, limits.task_attempts_max)
        relay = Relay(relay_database, bus, RelaySettings(relay_again_seconds=again_seconds))
        reader = bus.hints(stage.name, 100)
        parts = (stage, reader, store, database, limits)
        worker = Worker(*parts, hints_max=8, batch_max=batch_max, breaker=breaker)
        async with asyncio.TaskGroup() as group:
            relaying = group.create_task(relay.run())
            working = group.create_task(worker.run())
            try:
                yield Running(relay, worker, relaying, working)
            finally:
                worker.drain()
                await end([relaying])
                await end([working], again_seconds=2 * STOP_SECONDS)


@asynccontextmanager
async def store_of(lease: float = 60, attempts: int = 5) -> AsyncIterator[TaskStore]:
    """A task store under the role of the embedder."""
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        yield TaskStore(database, lease, attempts)


async def make(deployment: Deployment, *specs: str) -> list[UUID]:
    """Make a task a spec and return their ids."""
    subjects = [uuid4() for _ in specs]
    await enqueue(deployment.admin, deployment.workspace, STAGE, subjects, specs)
    rows = await deployment.admin.fetch("select id from spine.task order by created_at, id")
    return [row["id"] for row in rows]


async def states(admin: asyncpg.Connection) -> dict[str, int]:
    """How many tasks are in each state."""
    rows = await admin.fetch("select state, count(*) from spine.task group by 1")
    return {row["state"]: row["count"] for row in rows}


async def until(admin: asyncpg.Connection, **wanted: int) -> None:
    """Wait for the tasks to be in these states and no others."""
    for _ in range(1200):
        if await states(admin) == wanted:
            return
        await asyncio.sleep(0.05)
    assert await states(admin) == wanted


async def until_true(admin: asyncpg.Connection, condition: str, seconds: float = 60) -> None:
    """Wait for a condition in SQL to hold."""
    async with asyncio.timeout(seconds):
        while not await admin.fetchval(f"select {condition}"):  # noqa: ASYNC110 - rows have no event
            await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition to hold."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - what changes has no event
                await asyncio.sleep(0.02)
    assert holds()
