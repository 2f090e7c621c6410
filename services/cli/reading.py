"""Waits until conversations are read: for all reading that is open when it begins, and for none that comes later.

First the tasks that cut conversations into windows, whose end makes the tasks that read those; then the reading.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.cli.options import Session
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

POLL_SECONDS = 0.3
PAGE_TASKS = 500


@dataclass(frozen=True)
class Step:
    """How far it is: tasks that have ended, of how many that are known by now, and those of them that died."""

    done: int
    total: int
    dead: int = 0


async def read_through(session: Session) -> AsyncIterator[Step]:
    """Wait until all that is open has been read; a step at each look, the last one with what died."""
    awaited: set[str] = set()
    ended = 0
    for stage in ("window", "extract"):
        ids = await _open_tasks(session, stage)
        awaited |= ids
        while left := ids & await _open_tasks(session, stage):
            yield Step(ended + len(ids) - len(left), len(awaited))
            await asyncio.sleep(POLL_SECONDS)
        ended += len(ids)
    dead = awaited & await _tasks(session, "", pb.TASK_STATE_DEAD) if awaited else set()
    yield Step(len(awaited) - len(dead), len(awaited), len(dead))


async def _open_tasks(session: Session, stage: str) -> set[str]:
    """The tasks of a stage that are to be done, now or again, but not planned looks at open windows."""
    now = datetime.now(UTC)

    def counts(task: pb.Task) -> bool:
        is_planned = task.available_at.ToDatetime(UTC) > now
        return not (is_planned and task.spec.startswith("tail:"))

    found: set[str] = set()
    # One that is taken up or given back while both are listed is seen in one of three.
    for state in (pb.TASK_STATE_READY, pb.TASK_STATE_LEASED, pb.TASK_STATE_READY):
        found |= await _tasks(session, stage, state, counts)
    return found


async def _tasks(
    session: Session,
    stage: str,
    state: pb.TaskState.ValueType,
    counts: Callable[[pb.Task], bool] = lambda task: True,
) -> set[str]:
    found, token = set[str](), ""
    while True:
        request = pb.ListTasksRequest(
            stage=stage, state=state, page_size=PAGE_TASKS, page_token=token
        )
        page = await session.call("extractor", PipelineServiceStub, request)
        found.update(task.id for task in page.tasks if counts(task))
        token = page.next_page_token
        if not token:
            return found
