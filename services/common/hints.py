"""What a hint is: which tasks it names, how it is read off a message, and how the broker is answered."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from services.common import metrics
from services.common.failpoints import reach
from winnow.events.v1.events_pb2 import TaskHint

log = logging.getLogger(__name__)

HINT_TASKS_MAX: Final = 64
# Both the client and the server may say that something is gone or cannot be reached in these ways.
TRANSIENT: Final = (NatsError, TimeoutError, OSError, asyncio.InvalidStateError)


@dataclass(frozen=True)
class Hint:
    """Ids of tasks of one workspace that may be ready, and how to say that they were seen."""

    workspace: UUID
    tasks: tuple[UUID, ...]
    _message: Msg

    async def acknowledge(self) -> None:
        """Drop the hint; a lost acknowledgement only repeats it."""
        await self._message.ack()

    async def in_progress(self) -> None:
        """Keep the hint from being delivered again while its tasks are worked on."""
        await self._message.in_progress()

    async def again(self, delay_seconds: float) -> None:
        """Ask for the hint again after a jittered delay."""
        await self._message.nak(delay=delay_seconds * random.uniform(0.8, 1.2))  # noqa: S311


@dataclass(frozen=True)
class HintStream:
    """When the broker made a stream, the numbers of its first and last message, and the consumers that have any.

    The first is one more than the last while it holds none.
    """

    created_at: datetime
    first: int
    last: int
    waiting: frozenset[str]


async def decode(message: Msg) -> Hint | None:
    """Read a hint; one that is not ours is dropped, since the task table knows all work."""
    try:
        delay = datetime.now(UTC) - message.metadata.timestamp
        stage = message.subject.rpartition(".")[2]
        metrics.HINT_DELAY.labels(stage).observe(max(0.0, delay.total_seconds()))
        hint = TaskHint.FromString(message.data)
        tasks = tuple(UUID(bytes=task) for task in hint.task_ids[:HINT_TASKS_MAX])
        return Hint(UUID(hint.workspace_id), tasks, message)
    except (DecodeError, ValueError, NatsError) as error:
        log.warning("nats: dropped a malformed hint: %s", error)
    try:
        await message.ack()
    except TRANSIENT as error:
        log.warning("nats: could not answer a hint: %s", error)
    return None


def by_workspace(hints: Sequence[Hint]) -> dict[UUID, list[UUID]]:
    """The tasks that hints name, once each, by workspace."""
    wanted: dict[UUID, dict[UUID, None]] = defaultdict(dict)
    for hint in hints:
        wanted[hint.workspace].update(dict.fromkeys(hint.tasks))
    return {workspace: list(ids) for workspace, ids in wanted.items()}


async def answer(hints: Sequence[Hint], stage: str, *, again: bool) -> None:
    """Answer hints; an answer that is lost only brings the hint back."""
    for hint in hints:
        await reach("worker.answering", stage)
        try:
            await (hint.again(1) if again else hint.acknowledge())
        except TRANSIENT as error:
            log.warning("nats: could not answer a hint: %s", error)
        await reach("worker.answered", stage)
