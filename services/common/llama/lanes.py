"""A lane: a bounded queue of work for a few contexts, each used by a thread of its own."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, Generic, Protocol, TypeVar

from services.common.errors import Overloaded
from services.common.llama.errors import ModelClosed

RETRY_SECONDS: Final = 1.0


class Closable(Protocol):
    """Something that holds memory of llama.cpp."""

    def close(self) -> None:
        """Free it."""


Context = TypeVar("Context", bound=Closable)
Result = TypeVar("Result")
_Job = tuple[Callable[[Any], Any], Future[Any]]


class Lane(Generic[Context]):
    """Runs work on its contexts in order; at most `jobs_max` pieces wait or run at once.

    Work that can wait is run when no other waits, and only on the contexts that step back for the rest of the machine.
    Those help with other work when there is more of it than the first contexts can begin at once: on a busy machine
    they are slow. They begin nothing while as many contexts work as there are of them: more than the machine is meant
    to give would take the processors' caches from each other.
    """

    def __init__(
        self,
        path: Path,
        purpose: str,
        contexts: Sequence[Context],
        jobs_max: int,
        *,
        background: Sequence[Context] = (),
    ) -> None:
        self._path = path
        self._purpose = purpose
        self._room = BoundedSemaphore(jobs_max)
        self._waiting: deque[_Job] = deque()
        self._patient: deque[_Job] = deque()
        self._changed = threading.Condition()
        # How many of the first contexts have nothing to do.
        self._idle = len(contexts)
        self._busy, self._background = 0, len(background)
        self._closed = False
        self._contexts = [*contexts, *background]
        self._threads = [
            threading.Thread(target=self._work, args=(context, back), name=f"llama-{purpose}")
            for group, back in ((contexts, False), (background, True))
            for context in group
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

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
        with self._changed:
            self._closed = True
            left = [*self._waiting, *self._patient]
            self._waiting.clear()
            self._patient.clear()
            self._changed.notify_all()
        for _, future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(ModelClosed(self._path))
        for thread in self._threads:
            thread.join()
        while self._contexts:
            self._contexts.pop().close()

    def _submit(self, work: Callable[[Context], Result], can_wait: bool) -> Future[Result]:
        if not self._room.acquire(blocking=False):
            raise Overloaded(f"too many {self._purpose} wait for the model", RETRY_SECONDS)
        future: Future[Result] = Future()
        future.add_done_callback(lambda _: self._room.release())
        with self._changed:
            closed = self._closed
            if not closed:
                (self._patient if can_wait else self._waiting).append((work, future))
                self._changed.notify_all()
        if closed:
            future.cancel()
            raise ModelClosed(self._path)
        return future

    def _work(self, context: Context, back: bool) -> None:
        """Run job after job on one context until the lane is closed."""
        while (job := self._next(back)) is not None:
            tell = _attempt(job, context)
            # Before the result is known, so that what it leads to does not find everybody busy.
            with self._changed:
                self._busy -= 1
                self._idle += not back
                self._changed.notify_all()
            tell()

    def _next(self, back: bool) -> _Job | None:
        """Wait for a job; None once the lane is closed."""
        with self._changed:
            while not self._closed:
                if (job := self._take(back)) is not None:
                    self._busy += 1
                    self._idle -= not back
                    return job
                self._changed.wait()
        return None

    def _take(self, back: bool) -> _Job | None:
        """Return the job that a context may begin now, if there is one."""
        # A first context that is idle begins what waits in a moment.
        coming = self._idle if self._waiting else 0
        if back and self._busy + coming >= self._background:
            return None
        if len(self._waiting) > (self._idle if back else 0):
            return self._waiting.popleft()
        return self._patient.popleft() if back and self._patient else None


def _attempt(job: _Job, context: Any) -> Callable[[], None]:
    """Run a job; return what makes its outcome known."""
    work, future = job
    if not future.set_running_or_notify_cancel():
        return lambda: None
    try:
        result = work(context)
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        return partial(future.set_exception, error)
    return partial(future.set_result, result)
