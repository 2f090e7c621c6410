"""Waiting until what was accepted can be found by meaning, so that a caller finds what it has just written."""

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.common.errors import NotFound
from services.search import backlog
from services.search.freshness import Serving
from services.search.question import Wait
from services.search.reads import Reads

_FIRST_PAUSE_SECONDS: Final = 0.01
_PAUSE_SECONDS_MAX: Final = 0.2
# What was accepted before a backlog of millions takes long to tell from it: a look may take one fifth of the time.
_REST_FACTOR: Final = 4


class Outcome(StrEnum):
    """What became of waiting."""

    REACHED = "reached"
    TIMED_OUT = "timed_out"
    DEAD = "dead"


class Waiting:
    """Asks the database again and again; a look costs less than a millisecond, but beside a backlog."""

    def __init__(
        self,
        reads: Reads,
        serving: Serving,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reads, self._serving, self._clock = reads, serving, clock

    async def until(self, workspace: UUID, wait: Wait) -> Outcome:
        """Wait for what is asked. Raises NotFound when it is a message that is not there."""
        deadline, pause = self._clock() + wait.seconds, _FIRST_PAUSE_SECONDS
        while True:
            started = self._clock()
            outcome = await self._look(workspace, wait)
            ended = self._clock()
            left = deadline - ended
            if outcome is not None or left <= 0:
                return outcome or Outcome.TIMED_OUT
            await asyncio.sleep(min(max(pause, _REST_FACTOR * (ended - started)), left))
            pause = min(1.5 * pause, _PAUSE_SECONDS_MAX)

    async def _look(self, workspace: UUID, wait: Wait) -> Outcome | None:
        """Return what there is to say, None while it is not there yet."""
        async with self._reads.reading(workspace) as connection:
            generation = await self._serving.generation(connection, None)
            if wait.message is not None:
                # Without a generation nothing has a vector, but an unknown message is unknown all the same.
                known = generation.id if generation else UUID(int=0)
                state = await backlog.embedding_state(connection, known, wait.message)
                if state is None:
                    raise NotFound("message", str(wait.message))
                outcomes = {"searchable": Outcome.REACHED, "dead": Outcome.DEAD}
                return outcomes.get(state)
            if generation is None or wait.accepted_until is None:
                return None
            waits, dead = await backlog.waits_until(connection, generation, wait.accepted_until)
        if waits:
            return None
        return Outcome.DEAD if dead else Outcome.REACHED
