"""A lane: a bounded queue of work for a few contexts, each used by one thread at a time."""

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import PriorityQueue, SimpleQueue
from threading import BoundedSemaphore
from typing import Any, Final, Generic, Protocol, TypeVar

from services.common.errors import Overloaded
from services.common.llama.errors import ModelClosed

RETRY_SECONDS: Final = 1.0
BACKGROUND_NICENESS: Final = 10


def _step_back() -> None:
    """Let queries, servers and people go first; only Linux counts niceness by thread."""
    if sys.platform == "linux":
        os.nice(BACKGROUND_NICENESS)


class Closable(Protocol):
    """Something that holds memory of llama.cpp."""

    def close(self) -> None:
        """Free it."""


Context = TypeVar("Context", bound=Closable)
Result = TypeVar("Result")


class Lane(Generic[Context]):
    """Runs work on its contexts in order; at most `jobs_max` pieces wait or run at once.

    Work that can wait is run when no other waits.
    """

    def __init__(
        self,
        path: Path,
        purpose: str,
        contexts: Sequence[Context],
        jobs_max: int,
        *,
        background: bool,
    ) -> None:
        self._path = path
        self._purpose = purpose
        self._contexts = list(contexts)
        self._free: SimpleQueue[Context] = SimpleQueue()
        for context in self._contexts:
            self._free.put(context)
        self._room = BoundedSemaphore(jobs_max)
        self._threads = ThreadPoolExecutor(
            len(self._contexts), f"llama-{purpose}", _step_back if background else None
        )
        self._closed = False
        # Whether it can wait, its number, the work and its future; the number keeps the order and is never equal.
        self._jobs: PriorityQueue[tuple[bool, int, Callable[[Context], Any], Future[Any]]]
        self._jobs = PriorityQueue()
        self._numbers = itertools.count()

    async def run(
        self, works: Iterable[Callable[[Context], Result]], *, can_wait: bool = False
    ) -> list[Result]:
        """Return the results of all; if one fails or the caller leaves, the rest is dropped."""
        futures: list[Future[Result]] = []
        try:
            for work in works:  # one by one, so that what was submitted before a failure is known
                futures.append(self._submit(work, can_wait))  # noqa: PERF401
            return await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Let running work end, refuse the rest with ModelClosed, and close the contexts."""
        self._closed = True
        self._threads.shutdown(wait=True)
        while self._contexts:
            self._contexts.pop().close()

    def _submit(self, work: Callable[[Context], Result], can_wait: bool) -> Future[Result]:
        if self._closed:
            raise ModelClosed(self._path)
        if not self._room.acquire(blocking=False):
            raise Overloaded(f"too many {self._purpose} wait for the model", RETRY_SECONDS)
        future: Future[Result] = Future()
        future.add_done_callback(lambda _: self._room.release())
        self._jobs.put((can_wait, next(self._numbers), work, future))
        self._threads.submit(self._run_next)
        return future

    def _run_next(self) -> None:
        """Run the first job; there is one for every call."""
        _, _, work, future = self._jobs.get()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._perform(work))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)

    def _perform(self, work: Callable[[Context], Result]) -> Result:
        if self._closed:
            raise ModelClosed(self._path)
        context = self._free.get()
        try:
            return work(context)
        finally:
            self._free.put(context)
