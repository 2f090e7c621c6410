"""What search does about an embedder that takes questions and answers none: it does not wait for each of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from services.common.errors import ModelUnavailable, Unanswered

log = logging.getLogger(__name__)
T = TypeVar("T")

# How long a search waits for an embedder that was silent: one that is well again takes some tens of milliseconds.
PATIENCE_SECONDS: Final = 0.25


class Silence:
    """Remembers that a question was not answered in time; from then on one at a time finds out whether that is over.

    That one is given all its time though nobody waits so long for it, so that a slow answer ends the silence as well.
    """

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._is_silent = False
        self._probe: asyncio.Task[object] | None = None
        self._patient_until = 0.0

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a question; raise what it raises, and ModelUnavailable soon while there is silence."""
        if self._is_silent and self._probe is not None:
            await self._wait_for(self._probe)
            if self._is_silent:
                raise _unanswered()
        if not self._is_silent:
            return await self._put(question)
        probe = asyncio.create_task(self._put(question))
        self._probe = probe
        self._patient_until = asyncio.get_running_loop().time() + self._patience_seconds
        probe.add_done_callback(self._ended)
        await self._wait_for(probe)
        if not probe.done() or probe.cancelled():
            raise _unanswered()
        return probe.result()

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._probe is not None:
            self._probe.cancel()

    async def _put(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            answer = await question()
        except Unanswered:
            if not self._is_silent:
                log.warning("embedder: silent: searches do without it until it answers one of them")
            self._is_silent = True
            raise
        if self._is_silent:
            log.warning("embedder: answers again")
        self._is_silent = False
        return answer

    async def _wait_for(self, probe: asyncio.Task[object]) -> None:
        """Wait for the one question that is put, as long as there is patience with it."""
        left = self._patient_until - asyncio.get_running_loop().time()
        await asyncio.wait([probe], timeout=max(0.0, left))

    def _ended(self, probe: asyncio.Task[object]) -> None:
        self._probe = None
        if not probe.cancelled():
            # What it raised concerns whoever waited for it, and there may be nobody.
            probe.exception()


def _unanswered() -> ModelUnavailable:
    return ModelUnavailable("the embedder has not answered for a while")
