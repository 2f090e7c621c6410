"""A worker ends what it took, hands back what it cannot, and keeps no task that it has lost."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.errors import ItemFailed
from services.common.metrics import REGISTRY
from services.common.outbox import Task, TaskStore
from services.common.work import Parked, Reason, Result
from services.common.worker import PARKED_PER_SECOND
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


async def _taken_over(
    deployment: Deployment, store: TaskStore, ids: Sequence[UUID]
) -> Sequence[Task]:
    """The tasks, claimed after their leases ran out."""
    await deployment.admin.execute("update spine.task set lease_until = now() - interval '1 s'")
    return await store.claim(deployment.workspace, STAGE, ids, uuid4())


OUTCOMES = ("done", "failed", "dead", "postponed", "lost")


def _ended(outcome: str) -> float:
    labels = {"stage": STAGE, "outcome": outcome}
    return REGISTRY.get_sample_value("winnow_tasks_ended_total", labels) or 0


def _held() -> float:
    return REGISTRY.get_sample_value("winnow_tasks_held", {"stage": STAGE}) or 0


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


class Parking(Recorder):
    """A stage that can do nothing of what it is given, for an hour."""

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Parked]:  # type: ignore[override]
        """Put everything off."""
        self.calls.append(len(tasks))
        return [Parked(task, Reason("away", "its model is not here", 3600)) for task in tasks]


async def test_what_has_just_ended_is_not_lost(deployment: Deployment) -> None:
    """A heartbeat that finds none of its tasks held since all have ended stops nothing, and counts none twice."""
    before = {outcome: _ended(outcome) for outcome in OUTCOMES}
    stage, number = Parking(), PARKED_PER_SECOND // 2
    # The worker rests for half a second once they are parked, in which its heart beats several times.
    async with running(stage, task_lease_seconds=0.3):
        await make(deployment, *(f"parked {n}" for n in range(number)))
        await eventually(lambda: sum(stage.calls) == number and not _held())
    ended = {each: _ended(each) - before[each] for each in OUTCOMES}
    assert ended == dict.fromkeys(OUTCOMES, 0) | {"postponed": number}


async def test_long_work_keeps_its_lease(deployment: Deployment) -> None:
    """Work that takes longer than its lease is done once, by one worker."""
    stage = Recorder(seconds=9)
    limits = {"again_seconds": 0.2, "task_lease_seconds": 6}
    async with running(stage, **limits), running(stage, **limits):
        await make(deployment, "slow")
        await until(deployment.admin, done=1)
    assert stage.calls == [1]
    assert await deployment.admin.fetchval("select fence from spine.task") == 1


async def test_a_heartbeat_that_fails_is_told_and_goes_on(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody thought of keeps a lease from being extended once, not from then on, and is in the log at once."""
    stage, admin = Recorder(seconds=3600), deployment.admin
    extend = "execute on function spine.extend"
    async with running(stage, task_lease_seconds=0.9) as parts:
        await make(deployment, "slow")
        await stage.started.wait()
        await admin.execute(f"revoke {extend} from winnow_embedder")
        await eventually(lambda: "permission denied" in caplog.text)
        await admin.execute(f"grant {extend} to winnow_embedder")
        until_now = await admin.fetchval("select lease_until from spine.task")
        await until_true(admin, f"lease_until > '{until_now}' from spine.task")
        parts.working.cancel()


async def test_every_slot_comes_back(deployment: Deployment) -> None:
    """However many batches fail, the worker takes the next one."""
    stage = Recorder(poison=frozenset(f"bad{n}" for n in range(12)))
    async with running(stage, task_attempts_max=1):
        for n in range(12):
            await make(deployment, f"bad{n}")
        await until(deployment.admin, dead=12)
        await make(deployment, "good")
        await until(deployment.admin, dead=12, done=1)
