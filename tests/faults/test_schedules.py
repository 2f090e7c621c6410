"""Seeded schedules of faults against the whole: nothing is lost, nothing is doubled, everything ends."""

from pathlib import Path

import pytest

from tests.faults.plans import MAKERS, Mix, plan_of
from tests.faults.schedules import keep_evidence, run
from tests.faults.stack import Stack

# Kept after a failure: what is rare may not come again.
EVIDENCE = Path("build") / "faults"
BRIEF = Mix(messages=20, faults_min=2, faults_max=4, seconds=1.2)


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("seed", range(1, 21))
async def test_a_schedule_breaks_nothing(stack: Stack, scratch: Path, seed: int) -> None:
    """Whatever breaks while people write, every invariant holds once it is mended."""
    history = scratch / "history.jsonl"
    verdict = await run(stack, plan_of(seed, BRIEF), history)
    if verdict.violations:
        keep_evidence(stack, verdict, history, EVIDENCE)
    assert verdict.violations == []
    assert verdict.figures["messages"] >= BRIEF.messages


def test_the_schedules_hold_most_kinds_of_faults() -> None:
    """The seeds that every run of the tests takes are not all alike."""
    kinds = {fault.kind for seed in range(1, 21) for fault in plan_of(seed, BRIEF).faults}
    assert len(kinds) >= len(MAKERS) - 3


def test_a_seed_is_one_schedule() -> None:
    """The same seed gives the same acts and faults at the same times, another one others."""
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)
