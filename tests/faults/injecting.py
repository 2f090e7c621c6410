"""Breaks things as a plan says, each at its time, and mends what can be mended after its time."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, get_args
from uuid import UUID, uuid4

import nats
from nats.errors import Error as NatsError

from services.common.bus import TASKS_STREAM
from services.common.hints import HINT_TASKS_MAX
from tests.faults import journal
from tests.faults.history import History
from tests.faults.plans import ANSWERED, ANSWERED_LATE, Fault
from tests.faults.proxies import Mode, Proxy
from tests.faults.stack import AWAY, Stack
from winnow.events.v1.events_pb2 import TaskHint

STAGES = ("embed", "window", "extract")
JUNK = "winnow.tasks.junk"
ARMED = ("stall", "crashes", "overtaken")
# How long a replica that is to be overtaken may take to stop, and the others to finish what it holds.
STOP_SECONDS, OVERTAKE_SECONDS = 6.0, 10.0
# How long a kill waits for the acknowledgement that it is to follow.
ANSWER_SECONDS = 3.0


class Injector:
    """Applies the faults of one schedule to a stack."""

    def __init__(self, stack: Stack, workspace: UUID, history: History) -> None:
        self._stack, self._workspace, self._history = stack, workspace, history
        self._postgres, self._nats = asyncio.Lock(), asyncio.Lock()

    async def arm(self, faults: Sequence[Fault]) -> None:
        """Start the replicas anew that are to stall or die at points, and wait until they take their share."""
        orders: dict[str, list[str]] = defaultdict(list)
        for fault in faults:
            if fault.kind in ARMED:
                self._history.note(
                    "fault", kind=fault.kind, target=fault.target, detail=fault.detail
                )
                orders[fault.target].append(fault.detail)
        rearming = (self._stack.rearm(name, ",".join(each)) for name, each in orders.items())
        await asyncio.gather(*rearming)

    async def inject(self, faults: Sequence[Fault]) -> None:
        """Apply all the others; faults of one server wait for each other."""
        now = [self._apply(f) for f in faults if f.kind not in ARMED]
        await asyncio.gather(*now, *(self._overtake(f) for f in faults if f.kind == "overtaken"))

    async def _apply(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        details = {"target": fault.target, "seconds": fault.seconds, "detail": fault.detail}
        self._history.note("fault", kind=fault.kind, **details)
        if fault.kind in get_args(Mode) or fault.kind == "reset":
            await self._break_edge(fault)
        else:
            await getattr(self, f"_{fault.kind}")(fault)
        self._history.note("mended", kind=fault.kind, target=fault.target)

    async def _break_edge(self, fault: Fault) -> None:
        replica, _, edge = fault.target.partition("/")
        proxy = self._stack.replicas[replica].edges[edge]
        if fault.kind == "reset":
            return proxy.reset()
        proxy.break_down(fault.kind)  # type: ignore[arg-type]
        # A lost reply mends itself.
        await asyncio.sleep(fault.seconds or 2)
        proxy.heal()
        return None

    async def _kill(self, fault: Fault) -> None:
        self._stack.replicas[fault.target].send(signal.SIGKILL)

    async def _terminate(self, fault: Fault) -> None:
        self._stack.replicas[fault.target].send(signal.SIGTERM)

    async def _zombie(self, fault: Fault) -> None:
        replica = self._stack.replicas[fault.target]
        replica.send(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        replica.send(signal.SIGCONT)

    async def _clock(self, fault: Fault) -> None:
        """Put a clock forward or back at once, and right again later."""
        self._stack.clocks[fault.target].put(float(fault.detail))
        await asyncio.sleep(fault.seconds)
        self._stack.clocks[fault.target].put(0)

    async def _overtake(self, fault: Fault) -> None:
        """Let a replica that has stopped with tasks go on as soon as somebody else has finished one of them."""
        replica, held = self._stack.replicas[fault.target], list[UUID]()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while not replica.is_stopped:  # noqa: ASYNC110 - a process has no event
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(OVERTAKE_SECONDS):
                while not await self._ask(journal.FINISHED, held):
                    held += await self._ask(journal.HELD, self._workspace, fault.target)
                    await asyncio.sleep(0.1)
            self._history.note("overtaken", target=fault.target)
        if replica.is_stopped:
            replica.send(signal.SIGCONT)
        else:
            # Nobody would let it go on if it came to its point later.
            replica.end()

    async def _provider(self, fault: Fault) -> None:
        self._stack.model.plan += fault.detail.split()

    async def _kill_nats(self, fault: Fault, wipe: bool = False) -> None:
        async with self._nats:
            self._stack.nats.stop(signal.SIGKILL)
            if wipe:
                shutil.rmtree(self._stack.nats.store)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(self._stack.nats.start)

    async def _wipe_nats(self, fault: Fault) -> None:
        await self._kill_nats(fault, wipe=True)

    async def _freeze_nats(self, fault: Fault) -> None:
        async with self._nats:
            self._stack.nats.send(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            self._stack.nats.send(signal.SIGCONT)

    async def _kill_postgres(self, fault: Fault, number: signal.Signals = signal.SIGKILL) -> None:
        async with self._postgres:
            late = self._ingest_edges() if fault.detail == ANSWERED_LATE else []
            for edge in late:
                edge.break_down("latency")
            if fault.detail in (ANSWERED, ANSWERED_LATE):
                await self._history.next("ok", ANSWER_SECONDS)
            # What was still under way when the answer came does not arrive.
            for edge in late:
                edge.break_down("partition")
            await asyncio.to_thread(self._stack.postgres.kill, number)
            for edge in late:
                edge.heal()
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(self._stack.postgres.start)

    def _ingest_edges(self) -> list[Proxy]:
        replicas = self._stack.replicas.values()
        return [each.edges["postgres"] for each in replicas if each.service == "ingest"]

    async def _immediate_postgres(self, fault: Fault) -> None:
        await self._kill_postgres(fault, signal.SIGQUIT)

    async def _cut_postgres(self, fault: Fault) -> None:
        """Cut the power of the database: what it had not forced to its disk is gone."""
        async with self._postgres:
            self._stack.disks["postgres"].cut()
            await asyncio.to_thread(self._stack.postgres.kill)
            await asyncio.to_thread(self._stack.disks["postgres"].mount_again)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(self._stack.postgres.start)

    async def _cut_nats(self, fault: Fault) -> None:
        async with self._nats:
            self._stack.disks["nats"].cut()
            self._stack.nats.stop(signal.SIGKILL)
            await asyncio.to_thread(self._stack.disks["nats"].mount_again)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(self._stack.nats.start)

    async def _fill_postgres(self, fault: Fault) -> None:
        """Let the disk of the database run full, and start it again with room if it has ended of it."""
        async with self._postgres:
            with self._stack.disks["postgres"].filled():
                await asyncio.sleep(fault.seconds)
            if self._stack.postgres.has_ended:
                await asyncio.to_thread(self._stack.postgres.start)
            await asyncio.to_thread(self._stack.postgres.wait_until_ready)

    async def _fill_nats(self, fault: Fault) -> None:
        """Let the disk of the broker run full; with room again it is started anew, since it stays stuck."""
        async with self._nats:
            with self._stack.disks["nats"].filled():
                await asyncio.sleep(fault.seconds)
            self._stack.nats.stop(signal.SIGKILL)
            await asyncio.to_thread(self._stack.nats.start)

    async def _kill_backend(self, fault: Fault) -> None:
        """Kill one process of the database, of which it recovers by starting all of them again.

        If it was just recovering from another kill, and the process the one that recovers, all of it ends.
        """
        async with self._postgres:
            backends = self._stack.postgres.backends()
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(backends), signal.SIGKILL)
            try:
                await asyncio.to_thread(self._stack.postgres.wait_until_ready)
            except RuntimeError:
                if not self._stack.postgres.has_ended:
                    raise
                await asyncio.to_thread(self._stack.postgres.start)

    @contextlib.asynccontextmanager
    async def _broker(self) -> Any:
        """A connection to the broker past all proxies; a broker that is away is no matter."""
        async with self._nats:
            try:
                client = await nats.connect(
                    self._stack.nats.url, allow_reconnect=False, connect_timeout=1, error_cb=_ignore
                )
            except (NatsError, OSError, TimeoutError):
                yield None
                return
            try:
                yield client.jetstream(timeout=1)
            except (NatsError, OSError, TimeoutError) as error:
                self._history.note("unbroken", text=repr(error))
            finally:
                await client.close()

    async def _purge_stream(self, fault: Fault) -> None:
        async with self._broker() as stream:
            if stream is not None:
                await stream.purge_stream(TASKS_STREAM)

    async def _full_store(self, fault: Fault) -> None:
        """Fill the stream of hints up to its limit, so that it refuses more."""
        async with self._broker() as stream:
            if stream is None:
                return
            try:
                for size in (100_000, 10_000, 100):
                    with contextlib.suppress(NatsError):
                        while True:
                            await stream.publish(JUNK, b"x" * size)
                await asyncio.sleep(fault.seconds)
            finally:
                await stream.purge_stream(TASKS_STREAM, subject=JUNK)

    async def _hints(self, fault: Fault) -> None:
        """Hints again, in another order, of work long done, of what does not exist, and no hints at all."""
        tasks = await self._ask(
            "select id from spine.task where workspace_id = $1", self._workspace
        )
        random.shuffle(tasks)
        bodies = [self._hint(tasks) for _ in range(random.randint(1, 5))]
        bodies += [self._hint([uuid4()]), b"\xff\xfe no hint", b""]
        async with self._broker() as stream:
            if stream is not None:
                for body in bodies:
                    for stage in STAGES:
                        await stream.publish(f"winnow.tasks.{stage}", body)

    def _hint(self, tasks: Sequence[UUID]) -> bytes:
        ids = [task.bytes for task in tasks[:HINT_TASKS_MAX]]
        return TaskHint(workspace_id=str(self._workspace), task_ids=ids).SerializeToString()

    async def _ask(self, query: str, *arguments: object) -> list[Any]:
        """The first column of what a query finds; nothing while the database is away."""
        try:
            admin = await self._stack.admin()
        except (OSError, TimeoutError, *AWAY):
            return []
        try:
            return [row[0] for row in await admin.fetch(query, *arguments)]
        except (OSError, TimeoutError, *AWAY):
            return []
        finally:
            await admin.close(timeout=1)


async def _ignore(error: Exception) -> None:
    """Errors of the connection are raised where it is used."""
