"""A database that is away, locked or too slow costs no task its attempts, but for one that is always too slow."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from services.common.breaker import Breaker
from services.common.database import Connection, Database, DatabaseSettings
from services.common.errors import DatabaseUnavailable
from services.common.metrics import REGISTRY
from services.common.outbox import Task
from services.common.work import (
    Result,
)
from tests.common.stages import (
    STAGE,
    Recorder,
    eventually,
    make,
    running,
    states,
    until,
)
from tests.conftest import Deployment


class Slow(Recorder):
    """A stage that asks more of the database, reading or writing, than it may take for tasks that are called so."""

    def __init__(self, database: Database, slow_writes: int = 0) -> None:
        super().__init__()
        self._database, self._slow_writes = database, slow_writes

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Return results, after a while if a task is slow to read."""
        results = await super().perform(tasks)
        async with self._database.transaction(tasks[0].workspace) as connection:
            await _take_long(connection, "slow to read" in (task.spec for task in tasks))
        return results

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[str]]
    ) -> None:
        """Write, after a while if a task is slow to write, or so many times."""
        self._slow_writes -= 1
        is_slow = "slow to write" in (result.value for result in results)
        await _take_long(connection, is_slow or self._slow_writes >= 0)
        await super().write(connection, workspace, results)


async def _take_long(connection: Connection, takes_long: bool) -> None:
    await connection.execute("select pg_sleep($1)", 60.0 if takes_long else 0.0)


class Away(Recorder):
    """A stage that cannot read the database."""

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Say so."""
        self.calls.append(len(tasks))
        raise DatabaseUnavailable("away")


async def test_a_stage_without_its_database_is_no_failure(deployment: Deployment) -> None:
    """When a stage cannot read the database its tasks are given back, uncounted, and nobody blames its provider."""
    stage, provider = Away(), Breaker()
    async with running(stage, breaker=provider, task_attempts_max=1):
        await make(deployment, "a")
        await eventually(lambda: len(stage.calls) >= 2)
    assert (provider.failures, provider.last_error) == (0, "")
    assert await states(deployment.admin) in ({"ready": 1}, {"leased": 1})
    assert await deployment.admin.fetchval("select attempts from spine.task") <= 1


@pytest.mark.parametrize("slow", ["slow to read", "slow to write"])
async def test_what_always_takes_too_long_dies_as_any_poison(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """A task whose statement is stopped every time is not tried for ever; its neighbours are done, and it says why."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "1.5")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        running(Slow(database), task_attempts_max=2, task_lease_seconds=5) as parts,
    ):
        await make(deployment, "a", slow, "b")
        await until(deployment.admin, done=2, dead=1)
        assert not parts.working.done()
    row = await deployment.admin.fetchrow(
        "select spec, attempts, error_class, error from spine.task where state = 'dead'"
    )
    assert tuple(row)[:3] == (slow, 2, "StatementTooSlow")
    assert "WINNOW_STATEMENT_TIMEOUT_SECONDS" in row["error"]


async def test_what_is_too_slow_to_write_is_not_performed_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a batch that takes too long to write the results are halved, which may have cost much, until one is alone."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "1.5")
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        stage = Slow(database)
        async with running(stage, task_attempts_max=1, task_lease_seconds=5):
            await make(deployment, "a", "b", "c", "slow to write", "d", "e", "f", "g")
            await until(deployment.admin, done=7, dead=1)
    assert stage.calls == [8]


async def test_a_database_that_stops_everything_is_left_alone(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three tasks in a row that are stopped alone the others of a batch are given back, uncounted."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "1.5")
    ended = "winnow_tasks_ended_total", {"stage": STAGE, "outcome": "given_back"}
    before = REGISTRY.get_sample_value(*ended) or 0
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        stage = Slow(database, slow_writes=len("8 4 2 1 1 2 1".split()))
        async with running(stage, task_attempts_max=1, task_lease_seconds=5):
            await make(deployment, *"abcdefgh")
            await until(deployment.admin, dead=3, done=5)
    assert (stage.calls[0], sum(stage.calls)) == (8, 8 + 5)
    assert (REGISTRY.get_sample_value(*ended) or 0) - before == 5


@pytest.mark.parametrize(("lease_seconds", "locked_seconds"), [(20, 3), (1, 5)])
async def test_a_database_that_is_locked_kills_nothing(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    lease_seconds: int,
    locked_seconds: int,
) -> None:
    """While the database lets nobody write, also for longer than a lease, tasks wait, however few attempts they have.

    Then they are done: what becomes of one is said however late, for an attempt that ended without a word would count.
    """
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "0.8")
    stage = Recorder(seconds=0.5)
    async with running(stage, task_attempts_max=1, task_lease_seconds=lease_seconds):
        await make(deployment, "a")
        await stage.started.wait()
        async with deployment.admin.transaction():
            await deployment.admin.execute("lock table spine.task in access exclusive mode")
            await asyncio.sleep(locked_seconds)
        await until(deployment.admin, done=1)
