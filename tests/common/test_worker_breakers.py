"""A provider that fails is left alone, which the metric shows, and holds up its own tasks alone."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from services.common.breaker import Breaker
from services.common.bus import Hint, HintReader
from services.common.errors import ProviderFailing
from services.common.metrics import REGISTRY
from services.common.outbox import Task
from services.common.work import (
    Parked,
    Reason,
    Result,
)
from services.common.worker import Worker, WorkerSettings
from tests.common.stages import (
    STAGE,
    Recorder,
    eventually,
    make,
    running,
    until,
    until_true,
)
from tests.conftest import Deployment


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


class Asking(Recorder):
    """A stage whose provider is away, and is not asked for tasks that are called so."""

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Fail unless nothing is asked."""
        if {task.spec for task in tasks} == {"nothing to ask"}:
            return [Result(task, task.spec, 0, answered=False) for task in tasks]
        return await super().perform(tasks)


class Heard(Breaker):
    """A breaker that counts how often its provider has answered."""

    answers = 0

    def succeeded(self) -> None:
        """Count it."""
        self.answers += 1
        super().succeeded()


async def test_a_task_that_asks_nothing_does_not_close_the_breaker(deployment: Deployment) -> None:
    """A provider that fails is left alone after three failures, whatever is done without it in between."""
    stage, breaker = Asking(outage=True), Heard()
    async with running(stage, again_seconds=0.2, batch_max=1, breaker=breaker):
        await make(deployment, "asks")
        await eventually(lambda: breaker.failures > 0)
        await make(deployment, "nothing to ask")
        await until(deployment.admin, done=1, ready=1)
        assert breaker.answers == 0
        stage.outage = False
        await until(deployment.admin, done=2)
        assert breaker.answers == 1


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
