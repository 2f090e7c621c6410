"""Turns hints into finished tasks: claim, work outside any transaction, write behind the fence, isolate poison."""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import Field

from services.common import metrics, tracing
from services.common.breaker import Breaker
from services.common.bus import BusUnavailable, HintReader
from services.common.database import Database
from services.common.errors import (
    DatabaseUnavailable,
    ItemFailed,
    Postponed,
    ProviderBusy,
    ProviderFailing,
    StatementTooSlow,
    Unavailable,
    WinnowError,
)
from services.common.failpoints import reach
from services.common.heartbeat import Heartbeat
from services.common.hints import Hint, answer, by_workspace
from services.common.outbox import Task, TaskStore, complete
from services.common.settings import Settings
from services.common.stages import FRESH
from services.common.waiting import wait_at_most
from services.common.work import (
    Divided,
    Failed,
    Locking,
    Parked,
    Reason,
    Result,
    Stage,
    attempted_together,
    retry_seconds,
)

log = logging.getLogger(__name__)
R = TypeVar("R")
T = TypeVar("T")

POSTPONED = Reason("postponed", "", 30.0)
PARKED_PER_SECOND = 256
PAUSE_SECONDS = 0.5
STOP_SECONDS = 2.0


class WorkerSettings(Settings):
    """How long a task may be silent, and how often it may fail."""

    task_lease_seconds: float = Field(default=60, gt=0)
    task_attempts_max: int = Field(default=5, ge=1)
    task_retry_seconds: float = Field(default=2, gt=0)


class Worker(Generic[R]):
    """Runs one stage until it is drained."""

    def __init__(
        self,
        stage: Stage[R],
        reader: HintReader,
        store: TaskStore,
        database: Database,
        settings: WorkerSettings,
        *,
        hints_max: int = 4,
        batch_max: int = 256,
        parallel: int = 1,
        lanes: Sequence[int] = (FRESH,),
        breaker: Breaker | None = None,
    ) -> None:
        self._stage, self._reader, self._store, self._database = stage, reader, store, database
        self._settings, self._hints_max = settings, hints_max
        self._batch_max, self._parallel, self._lanes = batch_max, parallel, lanes
        self._owner = uuid4()
        self._breaker = breaker or Breaker()
        # Fails when the database is away, and with each task that stands alone and whose statement is stopped; succeeds
        # with each commit.
        self._statements = Breaker()
        self._draining = asyncio.Event()
        self._heartbeat = Heartbeat(stage.name, store, settings.task_lease_seconds / 3)

    def drain(self) -> None:
        """Take no more work; `run` returns when what was taken is done."""
        self._draining.set()
        self._reader.leave()

    async def run(self) -> None:
        """Work until drained; everything that fails is left to a later hint."""
        with metrics.breaker_of(self._stage.name, self._owner):
            async with asyncio.TaskGroup() as group:
                slots = asyncio.Semaphore(self._parallel)
                while not self._draining.is_set():
                    await slots.acquire()
                    hints = [] if self._draining.is_set() else await self._next_hints()
                    if not hints:
                        slots.release()
                        continue
                    work = group.create_task(self._handle(hints))
                    work.add_done_callback(lambda _: slots.release())
        await self._reader.close()

    async def _next_hints(self) -> list[Hint]:
        wait = self._wait_seconds()
        has_failed = self._breaker.is_open or self._statements.is_open
        is_open = wait > 0 or has_failed or self._has_open_breaker()
        metrics.show_breaker(self._stage.name, self._owner, is_open=is_open)
        if wait:
            await self._pause(min(wait, 1))
            return []
        try:
            hints = await self._reader.fetch(self._hints_max)
        except BusUnavailable as error:
            log.warning("%s: %s", self._stage.name, error)
            await self._pause(PAUSE_SECONDS)
            return []
        if hints:
            await reach("worker.fetched", self._stage.name)
        return hints

    def _wait_seconds(self) -> float:
        return max(self._breaker.wait_seconds(), self._statements.wait_seconds())

    def _must_leave(self) -> bool:
        return self._wait_seconds() > 0 or self._draining.is_set()

    def _has_open_breaker(self) -> bool:
        return isinstance(self._stage, Divided) and self._stage.has_open_breaker()

    async def _pause(self, seconds: float) -> None:
        await wait_at_most(self._draining, seconds)

    async def _handle(self, hints: Sequence[Hint]) -> None:
        """Finish the tasks that some hints name, batch by batch; the hints are answered last."""
        try:
            for workspace, ids in by_workspace(hints).items():
                for start in range(0, len(ids), self._batch_max):
                    if self._must_leave():
                        # What the hints name further is left alone as well; they come again.
                        await answer(hints, self._stage.name, again=True)
                        return
                    chunk = ids[start : start + self._batch_max]
                    name = self._stage.name
                    tasks = await self._store.claim(workspace, name, chunk, self._owner)
                    await self._finish(tasks, hints)
                    if tasks:
                        await self._let_others(workspace, hints)
        except Unavailable as error:
            log.warning("%s: %s", self._stage.name, error)
            await answer(hints, self._stage.name, again=True)
            await self._pause(PAUSE_SECONDS)
        except asyncio.CancelledError:
            # Otherwise nobody is given them before the broker has waited for an answer.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await answer(hints, self._stage.name, again=True)
            raise
        else:
            await answer(hints, self._stage.name, again=False)

    async def _let_others(self, workspace: UUID, hints: Sequence[Hint]) -> None:
        """Finish a batch of each other workspace that waits, once around the circle of all of them."""
        at = workspace
        wanted = (self._stage.name, self._lanes, self._batch_max, self._owner)
        while not self._must_leave():
            turn = await self._store.claim_next(*wanted, after=at, before=workspace)
            if turn is None:
                return
            await self._finish(turn.tasks, hints)
            at = turn.workspace

    async def _finish(self, tasks: Sequence[Task], hints: Sequence[Hint]) -> None:
        """Finish claimed tasks; those that failed before run alone, so that poison takes no neighbours."""
        await reach("worker.claimed", self._stage.name)
        if not tasks:
            return
        divided = self._stage.divide(tasks) if isinstance(self._stage, Divided) else [tasks]
        batches = [batch for part in divided for batch in attempted_together(part)]
        parents = await self._store.traces(tasks) if tracing.is_on() else {}
        held = metrics.TASKS_HELD.labels(self._stage.name)
        held.inc(len(tasks))
        self._heartbeat.work_on(tasks)
        try:
            async with asyncio.timeout(None) as lease:
                with tracing.batch_span(self._stage.name, parents, len(tasks)):
                    await self._attempt_alive(batches, hints, lease)
        except TimeoutError:
            if not lease.expired():
                raise
            left = self._heartbeat.left(tasks)
            self._ended(left, "lost")
            log.warning(
                "%s: stopped work on %d tasks: others hold them", self._stage.name, len(left)
            )
        except asyncio.CancelledError:
            await self._hand_back(tasks)
            raise
        finally:
            self._heartbeat.ended(tasks)
            held.dec(len(tasks))

    def _ended(self, tasks: Sequence[Task], outcome: str) -> None:
        self._heartbeat.ended(tasks)
        metrics.TASKS_ENDED.labels(self._stage.name, outcome).inc(len(tasks))

    async def _attempt_alive(
        self, batches: Sequence[Sequence[Task]], hints: Sequence[Hint], lease: asyncio.Timeout
    ) -> None:
        """Attempt batch after batch while leases and hints are extended; the lease runs out when every task is lost."""
        tasks = [task for batch in batches for task in batch]
        beat = asyncio.create_task(self._heartbeat.beat(tasks, hints, lease))
        try:
            for batch in batches:
                await self._attempt(batch)
        finally:
            beat.cancel()
            await asyncio.wait([beat])

    async def _hand_back(self, tasks: Sequence[Task]) -> None:
        """Give back what was cut off by the end of the process, so that others need not wait for the leases."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._store.release(tasks, "stopped", "the worker stopped", 0)
        except (TimeoutError, Unavailable) as error:
            log.warning("%s: could not give tasks back: %s", self._stage.name, error)

    async def _attempt(self, tasks: Sequence[Task]) -> None:
        """Perform and commit; halve a failing batch until the culprit stands alone."""
        self._heartbeat.work_on(tasks)
        try:
            await self._perform_and_commit(tasks)
        except Postponed as error:
            await self._put_off(tasks, Reason("postponed", str(error), error.retry_seconds))
        except Exception as error:  # noqa: BLE001 - whatever a task does, its neighbours go on
            if isinstance(error, Unavailable) and not isinstance(error, StatementTooSlow):
                await self._give_back(tasks, error)
                return
            if len(tasks) == 1:
                await self._fail(tasks[0], error)
                return
            await self._halve(tasks, error, self._attempt)

    async def _halve(
        self,
        tasks: Sequence[Task],
        error: Exception,
        attempt: Callable[[Sequence[Task]], Awaitable[None]],
    ) -> None:
        """Attempt either half; a database that stops one task after another is left alone with what remains."""
        log.warning("%s: halving a batch of %d: %r", self._stage.name, len(tasks), error)
        middle = len(tasks) // 2
        for half in (tasks[:middle], tasks[middle:]):
            if isinstance(error, StatementTooSlow) and self._statements.wait_seconds():
                await self._release(half, error)
            else:
                await attempt(half)

    async def _perform_and_commit(self, tasks: Sequence[Task]) -> None:
        name = self._stage.name
        metrics.BATCH_TASKS.labels(name).observe(len(tasks))
        with metrics.timed(metrics.PERFORM_SECONDS.labels(name)), tracing.span(f"{name} perform"):
            outcomes = await self._stage.perform(tasks)
        results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        parked = [outcome for outcome in outcomes if isinstance(outcome, Parked)]
        await reach("worker.performed", name)
        if failures or any(result.answered for result in results):
            self._breaker.succeeded()
        if results:
            await self._save(
                {result.task.id: result for result in results}, [result.task for result in results]
            )
        for failure in failures:
            await self._fail(failure.task, failure.error)
        ended = {outcome.task.id for outcome in outcomes}
        if later := [task for task in tasks if task.id not in ended]:
            await self._put_off(later, POSTPONED)
        if parked:
            await self._park(parked)

    async def _save(self, performed: Mapping[UUID, Result[R]], tasks: Sequence[Task]) -> None:
        """Commit what was performed; halve what takes too long, which need not be performed again."""
        try:
            await self._commit([performed[task.id] for task in tasks])
        except StatementTooSlow as error:
            if len(tasks) == 1:
                await self._fail(tasks[0], error)
                return
            await self._halve(tasks, error, partial(self._save, performed))

    async def _commit(self, results: Sequence[Result[R]]) -> None:
        name = self._stage.name
        tasks = [result.task for result in results]
        workspace = tasks[0].workspace

        async def commit() -> set[UUID]:
            async with self._database.transaction(workspace) as connection:
                if isinstance(self._stage, Locking):
                    await self._stage.lock(connection, workspace, results)
                held = await complete(connection, tasks, [result.count for result in results])
                await reach("worker.completed", name)
                kept = [result for result in results if result.task.id in held]
                if kept:
                    await self._stage.write(connection, workspace, kept)
                await reach("worker.written", name)
            return held

        self._heartbeat.end(tasks)
        with metrics.timed(metrics.COMMIT_SECONDS.labels(name)), tracing.span(f"{name} commit"):
            done = await self._insist(lambda: self._database.retrying(commit), is_work=True)
        self._statements.succeeded()
        await reach("worker.committed", name)
        self._ended([task for task in tasks if task.id in done], "done")
        self._ended([task for task in tasks if task.id not in done], "lost")
        self._stage.after_commit()

    async def _park(self, parked: Sequence[Parked]) -> None:
        reasons: dict[Reason, list[Task]] = defaultdict(list)
        for each in parked:
            reasons[each.reason].append(each.task)
        for reason, tasks in reasons.items():
            await self._put_off(tasks, reason)
        await self._pause(len(parked) / PARKED_PER_SECOND)

    async def _put_off(self, tasks: Sequence[Task], why: Reason) -> None:
        """Give back what cannot be done now: for a while, or until it is woken."""
        self._ended(tasks, "postponed")
        await self._insist(
            lambda: self._store.release(tasks, why.error_class, why.text, why.seconds)
        )
        await reach("worker.postponed", self._stage.name)

    async def _insist(self, attempt: Callable[[], Awaitable[T]], *, is_work: bool = False) -> T:
        """Repeat what the database did not answer: work for as long as a lease lasts, so that it is not thrown away.

        Work that was stopped for taking too long is not repeated: it would take as long again. What becomes of tasks is
        said until the database has heard it, or others hold them: an attempt that ended without a word counts as one.
        """
        end = time.monotonic() + self._settings.task_lease_seconds
        while True:
            try:
                return await attempt()
            except DatabaseUnavailable as error:
                is_over = isinstance(error, StatementTooSlow) or time.monotonic() > end
                if is_work and is_over:
                    raise
                log.warning("%s: %s", self._stage.name, error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _give_back(self, tasks: Sequence[Task], error: Unavailable) -> None:
        if isinstance(error, DatabaseUnavailable):
            self._statements.failed(error=str(error))
        elif not isinstance(error, ProviderFailing):
            asked_seconds = error.retry_seconds if isinstance(error, ProviderBusy) else 0
            self._breaker.failed(asked_seconds, str(error))
        await self._release(tasks, error)

    async def _release(self, tasks: Sequence[Task], error: Unavailable) -> None:
        delay = max(self._wait_seconds(), error.retry_seconds)
        self._ended(tasks, "given_back")
        log.warning("%s: gave %d tasks back: %s", self._stage.name, len(tasks), error)
        name, text = type(error).__name__, str(error)
        await self._insist(lambda: self._store.release(tasks, name, text, delay))
        await reach("worker.given_back", self._stage.name)

    async def _fail(self, task: Task, error: Exception) -> None:
        error_class = error.error_class if isinstance(error, ItemFailed) else type(error).__name__
        text = str(error) if isinstance(error, WinnowError) else "internal error; the logs have it"
        first = self._settings.task_retry_seconds
        if isinstance(error, StatementTooSlow):
            # It may be that the database has more to do than it can: that passes, and is no fault of the task.
            first = self._settings.task_lease_seconds
            self._statements.failed(error=text)
        delay = retry_seconds(first, task.attempts)
        # A defect is looked for where it happened.
        defect = None if isinstance(error, WinnowError) else error
        log.warning("%s: task %s failed: %r", self._stage.name, task.id, error, exc_info=defect)
        self._heartbeat.end([task])
        ended = await self._insist(lambda: self._store.fail([task], error_class, text, delay))
        await reach("worker.failed", self._stage.name)
        died = ended.get(task.id)
        self._ended([task], "lost" if died is None else "dead" if died else "failed")
        if died:
            log.error("%s: task %s is dead: %s", self._stage.name, task.id, error_class)
