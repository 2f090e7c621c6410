"""The embedded runtime: the servers, and whatever is started beside them, as one thing to open."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Self

from services.cli.embedded import nats, postgres, programs
from services.cli.embedded.errors import EmbeddedError
from services.cli.embedded.files import identity
from services.cli.embedded.nats import Nats
from services.cli.embedded.paths import DataDirectory, RuntimeState
from services.cli.embedded.ports import Claims, Ports, choose_ports, ephemeral_ports
from services.cli.embedded.postgres import Postgres
from services.cli.embedded.process import (
    Account,
    ProcessIdentity,
    lacking_rights,
    server_account,
)
from services.cli.embedded.records import end_recorded
from services.cli.embedded.space import watch
from services.cli.embedded.supervisor import (
    Child,
    Event,
    OnEvent,
    RestartPolicy,
    State,
    Supervisor,
)
from services.common.metrics import MetricsSettings
from services.common.migrations import release


def silent(event: Event) -> None:
    """Take no notice of an event."""


@dataclass(frozen=True)
class EmbeddedRuntime:
    """Running servers: where they are, and the supervisor that keeps them."""

    data: DataDirectory
    ports: Ports
    admin_database_url: str  # superuser, database `winnow`
    nats_url: str
    supervisor: Supervisor

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data: DataDirectory,
        *,
        ports: Mapping[str, int] | None = None,
        on_event: OnEvent = silent,
        policy: RestartPolicy | None = None,
    ) -> AsyncIterator[Self]:
        """Start both servers, lend them, and stop everything at the end; raises EmbeddedError.

        `ports` are exact wishes by name (see Ports); others are remembered or chosen. The calling thread
        must live as long as the runtime: the kernel ends the children when it ends.
        """
        if lacking := lacking_rights():
            raise EmbeddedError(
                f"root lacks {', '.join(lacking)}, without which it cannot run the servers as another user, and "
                "PostgreSQL does not run as root: give them back, or run Winnow as an ordinary user"
            )
        account = server_account()
        data = data.resolved()
        await data.prepare(account)
        with data.locked(), Claims.open() as claims:
            supervisor = Supervisor(
                data.logs,
                data.records,
                on_event,
                policy=policy or RestartPolicy(),
                lacking=data.lack,
            )
            try:
                runtime = await cls._start(data, account, ports or {}, claims, supervisor)
                data.announce(running_state(data, runtime.ports))
                async with _room_watched(data, supervisor):
                    yield runtime
            finally:
                data.withdraw()
                await supervisor.stop()

    @classmethod
    async def _start(
        cls,
        data: DataDirectory,
        account: Account | None,
        requested: Mapping[str, int],
        claims: Claims,
        supervisor: Supervisor,
    ) -> Self:
        await postgres.reclaim(data)
        await nats.reclaim(data)
        await end_recorded(data.records)
        remembered = data.ports()
        ports = choose_ports(requested, remembered, ephemeral_ports(), claims)
        for event in _moves(requested, remembered, ports):
            supervisor.on_event(event)
        data.remember_ports(ports)
        database, broker = await asyncio.gather(
            programs.locate(programs.POSTGRES, account, data.programs),
            programs.locate(programs.NATS, account, data.programs),
        )
        database_server = Postgres(data, database, ports, account)
        broker_server = Nats(data, broker, ports, account)
        await supervisor.start(database_server.child(), broker_server.child())
        return cls(data, ports, database_server.url, broker_server.url, supervisor)

    async def start(self, *children: Child) -> None:
        """Start children together and wait until they are ready; raises ChildFailed."""
        await self.supervisor.start(*children)

    async def supervise(self, children: Sequence[Child] = ()) -> None:
        """Start children, then keep everything running until cancelled; raises ChildFailed when one is given up."""
        await self.start(*children)
        await self.supervisor.watch()


@asynccontextmanager
async def _room_watched(data: DataDirectory, supervisor: Supervisor) -> AsyncIterator[None]:
    """Tell meanwhile when a disk is full and when it no longer is."""

    def tell(lack: str) -> None:
        told = (
            (State.FULL, f"({lack}): once it is full, nothing new is saved")
            if lack
            else (State.ROOM,)
        )
        supervisor.on_event(Event("disk", *told))

    # A nats-server whose disk was full stores nothing, or not everything, until it is started again.
    renewed = {data.nats: partial(supervisor.renew, "nats", "its disk was full")}

    async def look() -> None:
        try:
            await watch(data.needs, tell, renewed)
        except Exception as error:  # noqa: BLE001 - the servers go on without it, so whoever runs them is told at once
            supervisor.on_event(Event("disk", State.UNWATCHED, f"({error!r})"))

    watcher = asyncio.create_task(look())
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])


@contextmanager
def cancelled_by(*signals: signal.Signals) -> Iterator[None]:
    """Cancel the current task at the first of these signals and ignore the later ones, for a clean stop."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("only a task can be cancelled")
    received: list[signal.Signals] = []

    def cancel(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, cancel, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _moves(
    requested: Mapping[str, int], remembered: Ports | None, chosen: Ports
) -> Iterator[Event]:
    """What is to be told of ports that are taken: who listens elsewhere than at the last start, or than by default."""
    for name, wanted in (remembered or Ports()).model_dump().items():
        port = getattr(chosen, name)
        if name not in requested and port != wanted:
            yield Event(
                name,
                State.MOVED,
                f"to port {port}, since {wanted} is in use; --port {name}=PORT sets another",
            )


def running_state(data: DataDirectory, ports: Ports) -> RuntimeState:
    """What this process tells clients of what it runs."""
    own = ProcessIdentity.own()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return RuntimeState(
        pid=own.pid,
        began=own.began,
        started_at=now,
        ports=ports,
        directory=identity(data.path),
        metrics_address=MetricsSettings.read().metrics_address,
        release=release(),
    )
