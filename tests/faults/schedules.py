"""Runs one schedule: people write while things break, all is mended, the work ends, the history is judged."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.faults.history import History
from tests.faults.injecting import Injector
from tests.faults.invariants import summary, violations
from tests.faults.observing import Observer
from tests.faults.plans import Plan
from tests.faults.stack import Stack
from tests.faults.writing import Writers

WORDS_SEARCHED = 3


@dataclass(frozen=True)
class Verdict:
    """What a schedule came to."""

    seed: int
    violations: list[str]
    figures: dict[str, Any]


async def run(stack: Stack, plan: Plan, path: Path | None = None) -> Verdict:
    """Run a schedule in a workspace of its own."""
    history = History(path)
    history.note("plan", seed=plan.seed, acts=len(plan.acts), faults=len(plan.faults))
    workspace, metadata = await stack.new_workspace(f"seed {plan.seed} {uuid4().hex[:8]}")
    deaths = sum(replica.deaths for replica in stack.replicas.values())
    deadlocks = stack.postgres.deadlocks()
    injector = Injector(stack, workspace, history)
    observer = Observer(stack, workspace, history)
    await injector.arm(plan.faults)
    async with observer.watching_lateness(), observer.watching_refusals():
        async with Writers(stack.ingest_addresses(), metadata, history) as writers:
            await asyncio.gather(writers.perform(plan.acts), injector.inject(plan.faults))
        await stack.heal()
        drain = await observer.until_quiet()
    await observer.note_rows()
    await observer.search(metadata, _words(plan))
    deaths = sum(replica.deaths for replica in stack.replicas.values()) - deaths
    # A log may have lost its end together with its disk.
    history.note("locks", deadlocks=stack.postgres.deadlocks()[len(deadlocks) :])
    history.note("end", drain=None if drain is None else round(drain, 2), deaths=deaths)
    history.close()
    return Verdict(plan.seed, violations(history.entries), summary(history.entries))


def keep_evidence(stack: Stack, verdict: Verdict, history: Path, folder: Path) -> None:
    """Copy the history of a schedule and what the processes have written, before either is thrown away."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (history, *stack.logs()):
        (folder / f"{verdict.seed}-{path.name}").write_bytes(path.read_bytes())


def _words(plan: Plan) -> list[str]:
    """Words that stand in one message each."""
    texts = [message.text for act in plan.acts for message in act.messages]
    return [word for text in texts for word in re.findall(r"zq\w+", text)][:WORDS_SEARCHED]
