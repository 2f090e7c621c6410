"""What fails is counted against the task at fault alone, is recorded whatever it says, and tells callers no secrets."""

from collections.abc import Sequence

import pytest

from services.common.errors import ItemFailed
from services.common.outbox import Task
from services.common.work import (
    Failed,
    Result,
)
from tests.common.stages import (
    Recorder,
    eventually,
    make,
    running,
    until,
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


async def test_a_defect_is_logged_with_its_place(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """A task's error says that the logs have it: they must say where it happened."""
    async with running(Failing(KeyError("never heard of"))):
        await make(deployment, "task")
        await eventually(lambda: "never heard of" in caplog.text)
    assert "in perform" in caplog.text


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
