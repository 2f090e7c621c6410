"""Every failpoint crashed at its first hits, one at a time: `python -m tests.faults.exhaustive --hits 3`."""

import asyncio
import itertools
import json
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from services.common.failpoints import POINTS
from tests.conftest import make_scratch
from tests.faults.history import History
from tests.faults.invariants import violations
from tests.faults.observing import Observer
from tests.faults.plans import BEGAN, NONSENSE, POISON, Act, Version
from tests.faults.process import SILENT
from tests.faults.replicas import Replica
from tests.faults.stack import Stack
from tests.faults.writing import Writers

STAGES = {"embed": "embedder", "window": "extractor", "extract": "extractor"}
UNREACHABLE = {
    "worker.postponed:window": "the stage has a result for every task",
    "worker.postponed:extract": "the stage has a result for every task",
    "worker.failed:extract": "structure reads what the provider refuses",
    "worker.given_back:window": "the stage needs nothing that could be away while it performs",
}
# A crowded machine takes long to start a process; whoever is reached ends the wait.
REACH_SECONDS = 120.0
NONSENSE_TASKS = 20
CASES_A_LOOK = 12
# One innocent task may be cut off by every case between two looks, and poison must end all the same.
SETTINGS = {"TASK_ATTEMPTS_MAX": CASES_A_LOOK + 2, "TASK_RETRY_SECONDS": 0.002}


@dataclass(frozen=True)
class Case:
    """A point of a service, and at which of its hits it crashes."""

    point: str
    service: str
    hit: int

    @property
    def name(self) -> str:
        """The point and the hit as an order names them."""
        return f"{self.point}@{self.hit}"

    def orders(self) -> str:
        """What is armed: the crash, and what makes heartbeats and removals come to it."""
        crash = f"{self.point}=crash@{self.hit}"
        if self.point.startswith("worker.extended"):
            stage = self.point.partition(":")[2]
            return f"worker.performed:{stage}=sleep:{0.7 * self.hit}@1,{crash}"
        return crash


def cases(hits: Iterable[int]) -> Iterator[Case]:
    """All that can be reached, hit by hit."""
    for hit in hits:
        for point in sorted(POINTS):
            area = point.partition(".")[0]
            if area == "worker":
                for stage, service in STAGES.items():
                    if f"{point}:{stage}" not in UNREACHABLE:
                        yield Case(f"{point}:{stage}", service, hit)
            elif area in ("relay", "bus"):
                yield Case(point + ("*" if point == "relay.hinted" else ""), "extractor", hit)
            elif area == "ingest":
                yield Case(point, "ingest", hit)
            elif area in ("erase", "move"):
                # Nobody erases or moves here: tests/faults/test_erasing.py and test_moving.py crash these.
                continue
            else:
                tail = "*" if point == "extract.vectors_asked" else ""
                yield Case(point + tail, STAGES[area], hit)


@dataclass
class Outcome:
    """What became of some cases."""

    reached: list[str]
    missed: list[str]
    violations: list[str]

    def figures(self, chosen: Sequence[Case]) -> dict[str, Any]:
        """What was to be crashed, what was, and what has not been come to yet."""
        tried = {*self.reached, *self.missed}
        return {
            "cases": len(chosen),
            "crashed": len(self.reached),
            "missed": self.missed,
            "not_tried": [case.name for case in chosen if case.name not in tried],
            "unreachable": UNREACHABLE,
            "violations": self.violations,
        }


class Exhaustion:
    """Crashes cases one after another in one workspace, with people writing until each is reached."""

    def __init__(self, stack: Stack, history: History) -> None:
        self._stack, self._history = stack, history
        self._written = 0

    async def run(self, chosen: Sequence[Case]) -> Outcome:
        """Crash them all, let the work end, and judge."""
        name = f"points {uuid4().hex[:8]}"
        self._workspace, metadata = await self._stack.new_workspace(name)
        outcome = Outcome([], [], [])
        observer = Observer(self._stack, self._workspace, self._history)
        async with (
            observer.watching_lateness(),
            Writers(self._stack.ingest_addresses(), metadata, self._history) as writers,
        ):
            for case, following in itertools.zip_longest(chosen, chosen[1:]):
                self._history.note("fault", kind="failpoint", target=case.name)
                reached = await self._crash(case, writers)
                (outcome.reached if reached else outcome.missed).append(case.name)
                # Nobody else starts meanwhile if the next one is to die as well.
                if following is None or following.service != case.service:
                    for letter in "ab":
                        self._stack.release(f"{case.service}-{letter}")
        await self._stack.heal()
        await observer.until_quiet()
        await observer.note_rows()
        outcome.violations = violations(self._history.entries)
        return outcome

    async def _crash(self, case: Case, writers: Writers) -> bool:
        """Let one replica alone do the work of its service until it dies at the point."""
        armed, other = f"{case.service}-a", f"{case.service}-b"
        replica, stack = self._stack.replicas[armed], self._stack
        stack.hold(armed)
        stack.hold(other)
        logged = replica.log.stat().st_size
        silent = {SILENT: "1"} if case.point.startswith("worker.given_back:embed") else {}
        ghost = await self._add_ghost() if case.point.startswith("worker.postponed") else False
        replica.start(case.orders(), **silent)
        try:
            end = time.monotonic() + REACH_SECONDS
            while not replica.has_ended and time.monotonic() < end:
                await asyncio.gather(self._write(case, writers, replica), self._disturb(case))
            wanted = f"failpoint {case.point.rstrip('*')}"
            return replica.has_ended and wanted in _since(replica.log, logged)
        finally:
            if ghost:
                await self._remove_ghost()

    async def _write(self, case: Case, writers: Writers, replica: Replica) -> None:
        """Write, change and delete a little; nobody waits for ingest while it is the one to die."""
        writing = asyncio.create_task(writers.perform(self._acts(case)))
        if case.service == "ingest":
            await self._until_ended(replica, writing)
            self._stack.release("ingest-b")
        await writing
        for _ in range(6):
            if not replica.has_ended:
                await asyncio.sleep(0.1)

    async def _until_ended(self, replica: Replica, writing: asyncio.Task[None]) -> None:
        while not replica.has_ended and not writing.done():  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.05)

    def _acts(self, case: Case) -> tuple[Act, ...]:
        poisonous = case.point == "worker.failed:embed"
        batch = tuple(self._message(poisonous and n == 0) for n in range(4))
        kept = batch[2]
        text = f"{kept.text} Correction: it was port {self._written}."
        edited = Version(kept.key, 1, text, kept.author, kept.sent_at)
        return (
            Act(0, "write", "chat", batch, False, False),
            Act(0.1, "edit", "chat", (edited,), False, False),
            Act(0.1, "delete", "chat", (batch[3],), False, False),
        )

    def _message(self, poisonous: bool) -> Version:
        self._written += 1
        number = self._written
        text = f"We fixed incident zq{number}: host-{number % 7} retries now, because request {number * 31} timed out."
        return Version(f"chat:{number}", 0, f"{POISON} {text}" if poisonous else text, "ann", BEGAN)

    async def _disturb(self, case: Case) -> None:
        """Do what the point waits for."""
        stack, point = self._stack, case.point
        if point.startswith("worker.given_back:extract"):
            stack.model.plan += ["broken"] * 2
        elif point.startswith("worker.failed:window"):
            await self._ask_nonsense()
        elif point in ("bus.stream_made", "bus.consumer_made", "relay.noted"):
            await asyncio.sleep(1.5)
            stack.nats.stop(signal.SIGKILL)
            shutil.rmtree(stack.nats.store)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(stack.nats.start)
        elif point == "relay.returned":
            await asyncio.sleep(1.5)
            stack.nats.stop(signal.SIGKILL)
            # Soon every relay looks for the broker before anything else, and until then any of them may take a hint.
            for _ in range(NONSENSE_TASKS):
                await self._ask_nonsense()
                await asyncio.sleep(0.05)
            # Publishing fails after two seconds.
            await asyncio.sleep(2)
            await asyncio.to_thread(stack.nats.start)

    async def _ask_nonsense(self) -> None:
        admin = await self._stack.admin()
        async with admin.transaction():
            bind = "select set_config('winnow.workspace_id', $1, true)"
            await admin.execute(bind, str(self._workspace))
            await admin.execute(
                "select spine.enqueue($1, 'window', array[$2::uuid], array[$3])",
                self._workspace,
                uuid4(),
                f"{NONSENSE}{uuid4()}",
            )
        await admin.close()

    async def _add_ghost(self) -> bool:
        """Begin a generation whose model nobody has, so that its tasks are put off."""
        admin = await self._stack.admin()
        digest = uuid4().hex * 2
        call = "select embedder.open_generation('ghost', $1, 32, 'mean', '', '')"
        await admin.execute(call, digest)
        await admin.close()
        return True

    async def _remove_ghost(self) -> None:
        """End the generation; its tasks are due at once, and come to nothing."""
        admin = await self._stack.admin()
        await admin.execute(
            "select embedder.retire_generation(id) from embedder.generation where model = 'ghost'"
        )
        await admin.execute(
            """update spine.task set available_at = now(), hint_at = now()
               where workspace_id = $1 and state = 'ready' and error_class = 'model_missing'""",
            self._workspace,
        )
        await admin.close()


def _since(log: Path, size: int) -> str:
    with log.open("rb") as file:
        file.seek(size)
        return file.read().decode("utf-8", "replace")


async def exhaust(stack: Stack, chosen: Sequence[Case], folder: Path) -> Outcome:
    """Crash cases, a few at a time between two looks at everything, after each of which the summary is written."""
    total, began = Outcome([], [], []), time.monotonic()
    for start in range(0, len(chosen), CASES_A_LOOK):
        history = History(folder / f"points-{start}.jsonl")
        found = await Exhaustion(stack, history).run(chosen[start : start + CASES_A_LOOK])
        history.close()
        total.reached += found.reached
        total.missed += found.missed
        total.violations += found.violations
        done, bad = len(total.reached), len(total.violations)
        click.echo(f"{done} of {len(chosen)} crashed, {bad} violations; {found.missed}", err=True)
        for text in found.violations:
            click.echo(f"  {text}", err=True)
        figures = total.figures(chosen) | {"seconds": round(time.monotonic() - began)}
        (folder / "summary.json").write_text(json.dumps(figures, indent=2) + "\n")
    return total


async def _main(chosen: Sequence[Case], out: Path | None) -> Outcome:
    with make_scratch() as folder:
        place = out or folder
        place.mkdir(parents=True, exist_ok=True)
        async with Stack.open(folder, SETTINGS) as stack:
            outcome = await exhaust(stack, chosen, place)
        if outcome.missed or outcome.violations:
            for log in folder.glob("*.log"):
                shutil.copy(log, place)
        return outcome


@click.command()
@click.option("--hits", default=3, type=click.IntRange(1), help="Crash at the first, … nth hit.")
@click.option("--points", default="", help="Only points that contain this.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the histories here.")
def main(hits: int, points: str, out: Path | None) -> None:
    """Crash every failpoint at its first hits; exit with 1 if one is not reached or an invariant breaks."""
    chosen = sorted(
        (case for case in cases(range(1, hits + 1)) if points in case.point),
        key=lambda case: (case.hit, case.service),
    )
    if not chosen:
        names = ", ".join(sorted({case.point for case in cases(range(1, 2))}))
        raise click.BadParameter(f"no point contains {points!r}: {names}", param_hint="--points")
    outcome = asyncio.run(_main(chosen, out))
    click.echo(json.dumps(outcome.figures(chosen), indent=2))
    raise SystemExit(1 if outcome.missed or outcome.violations else 0)


if __name__ == "__main__":
    main()
