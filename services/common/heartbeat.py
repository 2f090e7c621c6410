"""Keeps what a worker holds while it works, and stops work on what others hold by now."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from services.common.errors import Unavailable
from services.common.failpoints import reach
from services.common.hints import TRANSIENT, Hint
from services.common.outbox import Task, TaskStore

log = logging.getLogger(__name__)


class Heartbeat:
    """Extends leases and hints of one worker every so many seconds.

    A task that has just ended is held no more either: which those are is told here, so that none is taken for lost.
    """

    def __init__(self, stage: str, store: TaskStore, every_seconds: float) -> None:
        self._stage, self._store, self._every_seconds = stage, store, every_seconds
        # What has not ended, and of which whether it is being written what became of it.
        self._is_ending: dict[Task, bool] = {}

    def work_on(self, tasks: Iterable[Task]) -> None:
        """Take note of tasks that are worked on from now on."""
        self._is_ending.update(dict.fromkeys(tasks, False))

    def end(self, tasks: Iterable[Task]) -> None:
        """Take note of tasks whose end is being written: their fence will say whether others hold them."""
        self._is_ending.update(dict.fromkeys(tasks, True))

    def ended(self, tasks: Iterable[Task]) -> None:
        """Take note of tasks that are no longer worked on."""
        for task in tasks:
            self._is_ending.pop(task, None)

    def left(self, tasks: Iterable[Task]) -> list[Task]:
        """Those of some tasks that have not ended."""
        return [task for task in tasks if task in self._is_ending]

    async def beat(
        self, tasks: Sequence[Task], hints: Sequence[Hint], lease: asyncio.Timeout
    ) -> None:
        """Extend leases and hints until cancelled; stop the work once others hold all that is still worked on."""
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                held = await self._store.extend(tasks)
                if not held and not all(self._is_ending.get(task, True) for task in tasks):
                    lease.reschedule(0)
                    return
                await reach("worker.extended", self._stage)
                for hint in hints:
                    await hint.in_progress()
            except (Unavailable, *TRANSIENT) as error:
                log.warning("%s: heartbeat: %s", self._stage, error)
            except Exception:
                # Whatever it was, a heart that stood still would lose the work.
                log.exception("%s: heartbeat", self._stage)
