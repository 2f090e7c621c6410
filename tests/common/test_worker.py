"""A worker loses no task, keeps no task it has lost, tells no secrets, and stops when it is asked to."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.bus import Hint, HintReader
from services.common.database import Connection, Database, DatabaseSettings
from services.common.errors import DatabaseUnavailable, ItemFailed, ProviderFailing
from services.common.metrics import REGISTRY
from services.common.outbox import Task, TaskStore
from services.common.work import (
    RETRY_SECONDS_MAX,
    Failed,
    Parked,
    Reason,
    Result,
    retry_seconds,
)
from services.common.worker import Worker, WorkerSettings
from tests.common.stages import (
    STAGE,
    Recorder,
    eventually,
    make,
    running,
    states,
    store_of,
    until,
    until_true,
)
from tests.conftest import Deployment


class Failing(Recorder):
    """A stage that fails with one error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Raise the error."""
        self.calls.append(len(tasks))
        raise self.error


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


class Postponing(Recorder):
    """A stage that gives no result for some tasks."""

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Return results for what is not called `later`."""
        return [result for result in await super().perform(tasks) if result.value != "later"]


class Finding(Recorder):
    """A stage that finds out by itself which tasks are at fault."""

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str] | Failed]:  # type: ignore[override]
        """Return results for what is not called `bad`."""
        results = await super().perform(tasks)
        error = ItemFailed("poison", "it is bad")
        return [
            Failed(each.task, error) if each.value.startswith("bad") else each for each in results
        ]


class Dividing(Recorder):
    """A stage with two providers, of which one fails or is left alone, as its tasks are called."""

    def divide(self, tasks: Sequence[Task]) -> Sequence[Sequence[Task]]:
        """Return the tasks by their names, those of the provider that works last."""
        parts = [[task for task in tasks if task.spec.startswith(name)] for name in "fpw"]
        return [part for part in parts if part]

    def has_open_breaker(self) -> bool:
        """Say so."""
        return True

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str] | Parked]:  # type: ignore[override]
        """Fail, park or return results."""
        names = {task.spec[0] for task in tasks}
        if names == {"f"}:
            self.calls.append(len(tasks))
            raise ProviderFailing("HTTP 500", 60)
        if names == {"p"}:
            return [Parked(task, Reason("left_alone", "it fails", 600)) for task in tasks]
        return await super().perform(tasks)


async def test_a_defect_is_logged_with_its_place(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """A task's error says that the logs have it: they must say where it happened."""
    async with running(Failing(KeyError("never heard of"))):
        await make(deployment, "task")
        await eventually(lambda: "never heard of" in caplog.text)
    assert "in perform" in caplog.text


async def test_a_drained_worker_ends_what_it_took(deployment: Deployment) -> None:
    """Asked to stop, a worker finishes and commits what it holds, and takes nothing new."""
    stage = Recorder(seconds=0.5)
    async with running(stage) as parts:
        await make(deployment, "taken")
        await stage.started.wait()
        parts.worker.drain()
        await make(deployment, "left")
        await parts.working
        assert await states(deployment.admin) == {"done": 1, "ready": 1}
    assert stage.written == ["taken"]


async def test_a_drained_worker_leaves_what_a_hint_names_further(deployment: Deployment) -> None:
    """A hint may name more than can be done before a process has to end: the rest is others', and soon."""
    stage = Recorder(seconds=0.3)
    async with running(stage, batch_max=1) as parts:
        await make(deployment, "taken", "left", "left too")
        await stage.started.wait()
        parts.worker.drain()
        await parts.working
        assert await states(deployment.admin) == {"done": 1, "ready": 2}
    async with running(Recorder()):
        await until(deployment.admin, done=3)


async def test_a_cancelled_worker_hands_its_tasks_back(deployment: Deployment) -> None:
    """A worker that may not finish gives its tasks back at once and uncounted; nobody waits for the lease."""
    stage = Recorder(seconds=3600)
    async with running(stage, task_lease_seconds=600) as parts:
        await make(deployment, "a", "b")
        await stage.started.wait()
        parts.working.cancel()
        await until_true(deployment.admin, "bool_and(state = 'ready') from spine.task")
    row = await deployment.admin.fetchrow("select max(attempts), min(error_class) from spine.task")
    assert tuple(row) == (0, "stopped")
    second = Recorder()
    async with running(second):
        await until(deployment.admin, done=2)


async def test_work_on_lost_tasks_is_stopped(deployment: Deployment) -> None:
    """Once others hold all of its tasks, a worker stops working on them and goes on with other work."""
    stage = Recorder(seconds=3600)
    async with running(stage, task_lease_seconds=0.9) as parts:
        ids = await make(deployment, "lost")
        await stage.started.wait()
        async with store_of(lease=600) as store:
            # Its worker may extend the lease in between.
            while not (taken := await _taken_over(deployment, store, ids)):
                pass
            [task] = taken
            await eventually(lambda: stage.cancelled == 1)
            stage.seconds = 0
            await make(deployment, "other")
            await until(deployment.admin, done=1, leased=1)
            assert await store.extend([task]) == {task.id}
        assert not parts.working.done()
    assert stage.written == ["other"]


class Robbed(Recorder):
    """A stage whose first task others take while it works; it fails if it is told to."""

    def __init__(self, admin: asyncpg.Connection, error: Exception | None) -> None:
        super().__init__()
        self._admin, self._error = admin, error

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Return results, or fail, after somebody else was given the first task."""
        if not self.calls:
            lost = tasks[0].id
            await self._admin.execute("update spine.task set fence = fence + 1 where id = $1", lost)
        self.calls.append(len(tasks))
        if self._error:
            raise self._error
        return await super().perform(tasks)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [(None, {"done": 1, "lost": 1}), (ItemFailed("bad", "no"), {"dead": 1, "lost": 1})],
)
async def test_what_others_hold_is_counted_as_lost(
    deployment: Deployment, error: Exception | None, wanted: dict[str, int]
) -> None:
    """Of what a worker performed, or failed at, that alone counts as ended whose fence still held."""
    before = {outcome: _ended(outcome) for outcome in OUTCOMES}
    stage = Robbed(deployment.admin, error)
    async with running(stage, task_attempts_max=1):
        await make(deployment, "a", "b")
        await eventually(lambda: sum(_ended(each) - before[each] for each in OUTCOMES) >= 2)
    assert {each: _ended(each) - before[each] for each in wanted} == wanted


OUTCOMES = ("done", "failed", "dead", "lost")


def _ended(outcome: str) -> float:
    labels = {"stage": STAGE, "outcome": outcome}
    return REGISTRY.get_sample_value("winnow_tasks_ended_total", labels) or 0


def test_a_task_is_tried_again_within_the_hour() -> None:
    """However often a task failed, and however long a lease is, the next attempt is at most about an hour away."""
    assert 0.8 * 2 <= retry_seconds(2, 1) <= 1.2 * 2
    assert 0.8 * 16 <= retry_seconds(2, 4) <= 1.2 * 16
    assert retry_seconds(600, 10) <= 1.2 * RETRY_SECONDS_MAX
    assert retry_seconds(2, 100_000) <= 1.2 * RETRY_SECONDS_MAX


async def _taken_over(
    deployment: Deployment, store: TaskStore, ids: Sequence[UUID]
) -> Sequence[Task]:
    """The tasks, claimed after their leases ran out."""
    await deployment.admin.execute("update spine.task set lease_until = now() - interval '1 s'")
    return await store.claim(deployment.workspace, STAGE, ids, uuid4())


async def test_long_work_keeps_its_lease(deployment: Deployment) -> None:
    """Work that takes longer than its lease is done once, by one worker."""
    stage = Recorder(seconds=9)
    limits = {"again_seconds": 0.2, "task_lease_seconds": 6}
    async with running(stage, **limits), running(stage, **limits):
        await make(deployment, "slow")
        await until(deployment.admin, done=1)
    assert stage.calls == [1]
    assert await deployment.admin.fetchval("select fence from spine.task") == 1


async def test_results_that_are_not_there_come_later(deployment: Deployment) -> None:
    """A task without a result is given back uncounted, and its neighbours are done."""
    stage = Postponing()
    async with running(stage):
        await make(deployment, "now", "later")
        await until(deployment.admin, done=1, ready=1)
    row = await deployment.admin.fetchrow(
        """select attempts, error_class, available_at > now() + interval '20 s' as later
           from spine.task where state = 'ready'"""
    )
    assert tuple(row) == (0, "postponed", True)
    assert stage.written == ["now"]


async def test_what_a_stage_found_to_be_at_fault_fails_alone(deployment: Deployment) -> None:
    """Tasks that a stage names are counted against, and nothing is done twice for those beside them."""
    stage = Finding()
    async with running(stage, task_attempts_max=1):
        await make(deployment, "good", "bad 1", "fine", "bad 2")
        await until(deployment.admin, done=2, dead=2)
    assert (stage.calls, sorted(stage.written)) == ([4], ["fine", "good"])
    dead = await deployment.admin.fetch(
        "select error_class, error from spine.task where state = 'dead'"
    )
    assert {tuple(row) for row in dead} == {("poison", "it is bad")}


async def test_failures_tell_callers_no_secrets(deployment: Deployment) -> None:
    """The text of an unforeseen exception stays in the logs; callers who list tasks see its class."""
    async with running(Failing(RuntimeError("postgres://u:hunter2@db")), task_attempts_max=1):
        await make(deployment, "a")
        await until(deployment.admin, dead=1)
    row = await deployment.admin.fetchrow("select error_class, error from spine.task")
    assert row["error_class"] == "RuntimeError"
    assert "hunter2" not in row["error"]


async def test_any_failure_can_be_recorded(deployment: Deployment) -> None:
    """A failure whose text PostgreSQL cannot store, or that is very long, ends the task all the same."""
    error = ItemFailed("odd", "NUL \0, a lone surrogate \udc00, and " + "ї" * 10_000)
    async with running(Failing(error), task_attempts_max=1):
        await make(deployment, "a")
        await until(deployment.admin, dead=1)
    text = await deployment.admin.fetchval("select error from spine.task")
    assert text.startswith("NUL , a lone surrogate ?, and їїї")
    assert len(text) == 2000


async def test_the_attempts_run_out(deployment: Deployment) -> None:
    """A task that fails by itself is tried as often as allowed, then it is dead."""
    stage = Failing(ItemFailed("bad", "no"))
    async with running(stage, task_attempts_max=4, task_retry_seconds=0.01):
        await make(deployment, "a")
        await until(deployment.admin, dead=1)
    assert stage.calls == [1, 1, 1, 1]
    assert await deployment.admin.fetchval("select attempts from spine.task") == 4


async def test_a_stage_without_its_database_is_no_failure(deployment: Deployment) -> None:
    """When a stage cannot read the database its tasks are given back, uncounted."""
    stage = Failing(DatabaseUnavailable("away"))
    async with running(stage, task_attempts_max=1):
        await make(deployment, "a")
        await eventually(lambda: len(stage.calls) >= 2)
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


async def test_a_database_that_is_locked_kills_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database lets nobody write, tasks wait, however few attempts they have; then they are done."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "0.8")
    stage = Recorder(seconds=0.5)
    async with running(stage, task_attempts_max=1, task_lease_seconds=20):
        await make(deployment, "a")
        await stage.started.wait()
        async with deployment.admin.transaction():
            await deployment.admin.execute("lock table spine.task in access exclusive mode")
            await asyncio.sleep(3)
        await until(deployment.admin, done=1)


async def test_every_slot_comes_back(deployment: Deployment) -> None:
    """However many batches fail, the worker takes the next one."""
    stage = Recorder(poison=frozenset(f"bad{n}" for n in range(12)))
    async with running(stage, task_attempts_max=1):
        for n in range(12):
            await make(deployment, f"bad{n}")
        await until(deployment.admin, dead=12)
        await make(deployment, "good")
        await until(deployment.admin, dead=12, done=1)


class Probed(Recorder):
    """A stage that notes what the metric says of its breaker whenever its provider is tried."""

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Note it, and work or fail as it is told."""
        self.shown.append(open_breakers())
        return await super().perform(tasks)

    def __init__(self) -> None:
        super().__init__(outage=True)
        self.shown: list[float] = []


def open_breakers() -> float:
    """What the metric says of the stage."""
    return REGISTRY.get_sample_value("winnow_breaker_open", {"stage": STAGE}) or 0


async def test_a_breaker_is_shown_as_open_while_its_provider_is_tried(
    deployment: Deployment,
) -> None:
    """The metric is 1 from the failure that opens the breaker until the provider answers, so that an alert lasts."""
    stage = Probed()
    async with running(stage, again_seconds=0.2):
        await make(deployment, "one")
        await eventually(lambda: len(stage.shown) >= 5)
        stage.outage = False
        await until(deployment.admin, done=1)
        await eventually(lambda: open_breakers() == 0)
    assert stage.shown[:3] == [0, 0, 0]
    assert set(stage.shown[3:]) == {1}


class NothingToDo:
    """Hints of another lane, of which there are none; notes what the metric says whenever it is asked for some."""

    def __init__(self) -> None:
        self.shown: list[float] = []

    async def fetch(self, hints_max: int) -> list[Hint]:
        """Return none after a moment."""
        self.shown.append(open_breakers())
        await asyncio.sleep(0.01)
        return []

    def leave(self) -> None:
        """Nothing is waited for."""

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_breaker_is_shown_as_open_beside_a_worker_that_has_nothing_to_do(
    deployment: Deployment,
) -> None:
    """A process has two workers of a stage, of which one may be idle: that does not hide what the other meets."""
    stage, idle = Recorder(outage=True), NothingToDo()
    none: Any = None
    other = Worker(stage, cast(HintReader, idle), none, none, WorkerSettings())
    async with running(stage, again_seconds=0.2):
        working = asyncio.create_task(other.run())
        await make(deployment, "one")
        await eventually(lambda: sum(idle.shown) >= 20)
        stage.outage = False
        await until(deployment.admin, done=1)
        await eventually(lambda: open_breakers() == 0)
        other.drain()
        await working
    first = idle.shown.index(1)
    assert set(idle.shown[first : first + 20]) == {1}


async def test_a_failing_provider_holds_up_its_own_tasks_alone(deployment: Deployment) -> None:
    """However often one provider of a stage fails, others' tasks are done at once, beside its own and after them."""
    stage = Dividing()
    async with running(stage):
        # A breaker of the worker would be open for half a minute by now.
        for turn in range(8):
            await make(deployment, f"fails {turn}")
            failed = "count(*) from spine.task where error_class = 'ProviderFailing'"
            await until_true(deployment.admin, f"{turn + 1} = {failed}")
        async with asyncio.timeout(20):
            await make(deployment, "fails", "parked", "works")
            await until(deployment.admin, done=1, ready=10)
    rows = await deployment.admin.fetch(
        """select left(spec, 1) as name, attempts, error_class, error, available_at > now() + interval '5 min' as later
           from spine.task where state = 'ready'"""
    )
    assert {tuple(row) for row in rows} == {
        ("f", 0, "ProviderFailing", "HTTP 500", False),
        ("p", 0, "left_alone", "it fails", True),
    }
    assert stage.written == ["works"]
