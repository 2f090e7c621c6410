"""Many schedules on one stack: `python -m tests.faults.soak --schedules 100 --seed 1`, or one: `--replay SEED`."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

from tests.conftest import make_scratch
from tests.faults.plans import MAKERS, Mix, plan_of
from tests.faults.schedules import Verdict, keep_evidence, run
from tests.faults.stack import Stack

VIOLATIONS_MAX = 5


class Tally:
    """What many schedules came to."""

    def __init__(self, first_seed: int) -> None:
        self.first_seed, self.began = first_seed, time.monotonic()
        self.seeds: list[int] = []
        self.failed: dict[int, list[str]] = {}
        self.messages = self.tries = self.deaths = 0
        self.faults: Counter[str] = Counter()
        self.slowest = 0.0

    def add(self, verdict: Verdict) -> None:
        """Count one."""
        figures = verdict.figures
        self.seeds.append(verdict.seed)
        if verdict.violations:
            self.failed[verdict.seed] = verdict.violations
        self.messages += figures["messages"]
        self.tries += figures["tries"]
        self.deaths += figures["deaths"]
        self.faults.update(figures["faults"])
        self.slowest = max(self.slowest, figures["drain_seconds"] or 0)

    def summary(self) -> dict[str, Any]:
        """The figures so far."""
        return {
            "schedules": len(self.seeds),
            "seeds": [self.seeds[0], self.seeds[-1]] if self.seeds else [],
            "messages": self.messages,
            "faults": sum(self.faults.values()),
            "faults_by_kind": dict(sorted(self.faults.items())),
            "process_deaths": self.deaths,
            "calls_tried_again": self.tries,
            "violations": sum(map(len, self.failed.values())),
            "failed_seeds": sorted(self.failed),
            "broken": sorted(
                {text.partition(":")[0] for found in self.failed.values() for text in found}
            ),
            "examples": self._examples(),
            "slowest_drain_seconds": self.slowest,
            "seconds": round(time.monotonic() - self.began),
        }

    def _examples(self) -> list[str]:
        """The first violation of each invariant that broke."""
        found = [text for each in self.failed.values() for text in each]
        return list({text.partition(":")[0]: text for text in reversed(found)}.values())


async def soak(
    folder: Path, seeds: range, mix: Mix, out: Path | None = None, until: str = ""
) -> Tally:
    """Run the schedules of some seeds one after another, or until one of these invariants breaks."""
    tally = Tally(seeds.start)
    async with Stack.open(folder) as stack:
        for seed in seeds:
            path = folder / f"history-{seed}.jsonl"
            verdict = await run(stack, plan_of(seed, mix), path)
            tally.add(verdict)
            if verdict.violations:
                _report(verdict)
                if out:
                    keep_evidence(stack, verdict, path, out)
                names = {text.partition(":")[0] for text in verdict.violations}
                is_found = bool(names & set(until.split(",")))
                if is_found or (not until and len(tally.failed) >= VIOLATIONS_MAX):
                    break
            else:
                path.unlink()
            _tell(tally, out)
    return tally


def _report(verdict: Verdict) -> None:
    click.echo(f"seed {verdict.seed}: {len(verdict.violations)} violations", err=True)
    for text in verdict.violations[:20]:
        click.echo(f"  {text}", err=True)


def _tell(tally: Tally, out: Path | None) -> None:
    done = tally.summary()
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "summary.json").write_text(json.dumps(done, indent=2) + "\n")
    click.echo(
        f"{done['schedules']} schedules, {done['messages']} messages, {done['faults']} faults, "
        f"{done['process_deaths']} deaths, {done['violations']} violations, {done['seconds']} s",
        err=True,
    )


@click.command()
@click.option("--schedules", default=20, type=click.IntRange(1), help="How many to run.")
@click.option("--seed", default=1, help="The seed of the first; each next one has the next.")
@click.option("--replay", type=int, help="Run the schedule of this seed alone.")
@click.option("--messages", default=30, type=click.IntRange(1), help="Messages a schedule.")
@click.option("--kinds", default="", help="Only these faults, separated by commas.")
@click.option("--crowds", default=0.15, help="How often many write the same at once.")
@click.option("--until", default="", help="Stop when one of these invariants breaks.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the summary and failures here.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def main(
    schedules: int,
    seed: int,
    replay: int | None,
    messages: int,
    kinds: str,
    crowds: float,
    until: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run schedules of faults against real processes and servers; exit with 1 if an invariant breaks."""
    seeds = range(seed, seed + schedules) if replay is None else range(replay, replay + 1)
    wanted = tuple(kinds.split(",")) if kinds else ()
    if unknown := set(wanted) - set(MAKERS):
        raise click.BadParameter(
            f"no fault is called {', '.join(sorted(unknown))}: {', '.join(sorted(MAKERS))}",
            param_hint="--kinds",
        )
    mix = Mix(messages=messages, kinds=wanted, crowds=crowds)
    with make_scratch() as folder:
        tally = asyncio.run(soak(folder, seeds, mix, out, until))
    if as_json:
        click.echo(json.dumps(tally.summary()))
    raise SystemExit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
