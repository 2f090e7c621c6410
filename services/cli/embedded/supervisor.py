"""Keeps children alive: started in order, watched, restarted when they die, stopped in reverse order."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from services.cli.embedded.errors import ChildFailed
from services.cli.embedded.logs import rotate, tail
from services.cli.embedded.process import Account, spawn
from services.cli.embedded.records import forget, record
from services.cli.embedded.space import until_room

# A check that fails because its child dies may be told before the death is.
_DEATH_SEEN_SECONDS = 1.0
_MEANINGS = {
    signal.SIGILL: ": something was compiled for another processor; remove .venv and run make setup"
}


class State(StrEnum):
    """What happens to a child."""

    MOVED = "moved"
    STARTING = "starting"
    WAITING = "still starting"
    READY = "ready"
    DIED = "died"
    STOPPED = "stopped"
    RENEWED = "is started again"
    FULL = "lacks room"
    ROOM = "has room again"
    UNWATCHED = "is no longer looked at"
    MIGRATED = "is migrated"
    NEWER = "was migrated by a newer release"


@dataclass(frozen=True)
class Event:
    """A change in the life of a child; as text it is one line for the user."""

    child: str
    state: State
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.child}: {self.state}" + (f" {self.detail}" if self.detail else "")


OnEvent = Callable[[Event], None]


async def started(pid: int) -> None:
    """Take a child for ready as soon as it has been started."""


async def nothing() -> None:
    """Prepare nothing."""


def enough() -> str:
    """Lack nothing."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A program to keep alive; `command` is asked anew at each start, `environment` is all that it gets."""

    name: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str]
    ready: Callable[[int], Awaitable[None]] = started  # gets the pid; returns when the child serves
    before_start: Callable[[], Awaitable[None]] = nothing
    account: Account | None = None
    directory: Path | None = Path("/")  # None: where we run
    final_statuses: frozenset[int] = frozenset()  # that no second start would mend
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # sent by the kernel if the supervisor dies
    ready_timeout_seconds: float = (
        300.0  # a model is read in a second, and in minutes beside other work
    )
    stop_timeout_seconds: float = 20.0


@dataclass(frozen=True)
class RestartPolicy:
    """How deaths are answered: waits that double, and giving up after too many in a short time or before a success."""

    deaths_max: int = 5
    window_seconds: float = 30.0
    delay_seconds: float = 0.1
    delay_seconds_max: float = 10.0

    def delay(self, deaths: int) -> float:
        """Return how long to wait before the next start."""
        return min(self.delay_seconds * float(2 ** (deaths - 1)), self.delay_seconds_max)


@dataclass
class Supervisor:
    """The children of this process; `start` and `stop` belong to one task, `watch` may run beside them."""

    logs: Path
    records: Path
    on_event: OnEvent
    policy: RestartPolicy = RestartPolicy()
    lacking: Callable[[], str] = enough  # what keeps every child from running, in words
    told_every_seconds: float = 10.0  # how often a child that is not ready yet is told of
    clock: Callable[[], float] = time.monotonic
    _groups: list[dict[str, asyncio.Task[NoReturn]]] = field(default_factory=list)
    _living: dict[str, tuple[Child, asyncio.subprocess.Process]] = field(default_factory=dict)
    _renewed: set[str] = field(default_factory=set)

    async def start(self, *children: Child) -> None:
        """Start children together and wait until all are ready; raise ChildFailed if any child is given up."""
        ready = {child.name: asyncio.Event() for child in children}
        group = {c.name: asyncio.create_task(self._keep(c, ready[c.name])) for c in children}
        self._groups.append(group)
        waiter = asyncio.create_task(_all_set(ready.values()))
        try:
            await asyncio.wait([waiter, *self._tasks()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        self._raise_failure()

    async def watch(self) -> None:
        """Wait until a child is given up and raise its ChildFailed, or until `stop`."""
        await asyncio.wait(self._tasks(), return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()

    async def renew(self, name: str, why: str) -> None:
        """Stop a child that runs, for it to be started again; one that does not run is started again anyway."""
        child, process = self._living.get(name, (None, None))
        if child and process and process.returncode is None:
            self._renewed.add(name)
            self._tell(child, State.RENEWED, f"({why})")
            await _stop(process, child)

    async def stop(self) -> None:
        """Stop everything, the last started first; those that were started together stop together."""
        while self._groups:
            tasks = self._groups[-1].values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._groups.pop()

    def _tasks(self) -> list[asyncio.Task[NoReturn]]:
        return [task for group in self._groups for task in group.values()]

    def _raise_failure(self) -> None:
        for task in self._tasks():
            if task.done() and not task.cancelled():
                task.result()

    async def _keep(self, child: Child, ready: asyncio.Event) -> NoReturn:
        log = self.logs / f"{child.name}.log"
        rotate(log)
        deaths: deque[float] = deque(maxlen=self.policy.deaths_max)
        while True:
            code, status = await self._end_of(child, log, ready)
            if child.name in self._renewed:
                self._renewed.discard(child.name)
                continue
            if code in child.final_statuses and not ready.is_set():
                raise ChildFailed(child.name, f"cannot run ({status})", log, tail(log), code)
            if ready.is_set() and (lack := self.lacking()):
                # No fault of the child, and no start would mend it.
                deaths.clear()
                self._tell(child, State.DIED, f"({status}): {lack}; starting again once it has")
                await until_room(self.lacking)
                continue
            deaths.append(self.clock())
            recent = sum(deaths[-1] - at <= self.policy.window_seconds for at in deaths)
            # A start that fails late, as on a slow machine, would otherwise be repeated for ever.
            counted = recent if ready.is_set() else len(deaths)
            if counted >= self.policy.deaths_max:
                reason = f"died {counted} times in {deaths[-1] - deaths[0]:.0f} s ({status})"
                raise ChildFailed(child.name, reason, log, tail(log))
            delay = self.policy.delay(recent)
            self._tell(child, State.DIED, f"({status}), starting again in {delay:.1f} s")
            await asyncio.sleep(delay)

    async def _end_of(self, child: Child, log: Path, ready: asyncio.Event) -> tuple[int, str]:
        """Run a child once, and tell how it ended; that the system lets nothing be started is such an end, too.

        Raises OSError where it has never been ready.
        """
        try:
            code = await self._live(child, log, ready)
        except OSError as error:
            if not ready.is_set():
                raise
            return 1, f"cannot be started: {error.strerror or error}"
        return code, _describe(code)

    async def _live(self, child: Child, log: Path, ready: asyncio.Event) -> int:
        """Run a child once, until it dies or we are cancelled; return its exit status, or minus the signal."""
        await child.before_start()
        self._tell(child, State.STARTING)
        began = self.clock()
        async with self._running(child, log) as process:
            if await self._becomes_ready(child, process, log):
                self._tell(child, State.READY, f"after {self.clock() - began:.2f} s")
                ready.set()
            return await process.wait()

    @asynccontextmanager
    async def _running(self, child: Child, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a child, remember its pid while it lives, and stop it at the end."""
        with _appended(log) as output:
            process = await spawn(
                child.command(),
                child.environment,
                account=child.account,
                death_signal=child.death_signal,
                output=output,
                directory=child.directory,
            )
        try:
            record(self.records, child.name, process.pid)
            self._living[child.name] = child, process
            yield process
        finally:
            self._living.pop(child.name, None)
            if process.returncode is None:
                await _stop(process, child)
                self._tell(child, State.STOPPED)
            forget(self.records, child.name)

    async def _becomes_ready(
        self, child: Child, process: asyncio.subprocess.Process, log: Path
    ) -> bool:
        """Return True when the child is ready, False when it died before."""
        ready = asyncio.ensure_future(child.ready(process.pid))
        death = asyncio.ensure_future(process.wait())
        try:
            done = await self._first_of(child, ready, death)
            if ready in done and ready.exception():
                await asyncio.wait([death], timeout=_DEATH_SEEN_SECONDS)
        finally:
            for task in (ready, death):
                task.cancel()
        if not done:
            reason = f"was not ready within {child.ready_timeout_seconds:.0f} s"
            raise ChildFailed(child.name, reason, log, tail(log))
        if death.done() and not death.cancelled():
            return False
        ready.result()
        return True

    async def _first_of(
        self, child: Child, *wanted: asyncio.Future[Any]
    ) -> set[asyncio.Future[Any]]:
        """What comes first, telling now and then that it is waited for; empty if neither comes in time."""
        began = self.clock()
        while (passed := self.clock() - began) < child.ready_timeout_seconds:
            wait = min(self.told_every_seconds, child.ready_timeout_seconds - passed)
            done, _ = await asyncio.wait(wanted, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return done
            self._tell(child, State.WAITING, f"after {self.clock() - began:.0f} s")
        return set()

    def _tell(self, child: Child, state: State, detail: str = "") -> None:
        self.on_event(Event(child.name, state, detail))


async def _all_set(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _stop(process: asyncio.subprocess.Process, child: Child) -> None:
    """Ask a child to stop, then kill it and what it started in its session."""
    try:
        process.send_signal(child.stop_signal)
        async with asyncio.timeout(child.stop_timeout_seconds):
            await process.wait()
    except TimeoutError:
        pass  # killed below
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _describe(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    number = signal.Signals(-status)
    return f"killed by {number.name}{_MEANINGS.get(number, '')}"


def _appended(log: Path) -> BinaryIO:
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")
