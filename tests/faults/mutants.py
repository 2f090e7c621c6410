"""Takes one protection out of a copy of Winnow at a time, and lets the harness find that it is gone.

`python -m tests.faults.mutants` runs them all; one that survives is a hole in the harness. The schedules that kill one
are run with the protection in its place, too: a harness that finds fault with whatever it sees would kill every mutant.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tests.conftest import make_scratch

ROOT = Path(__file__).parents[2]
COPIED = ("services", "gen", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Edit:
    """A text of a file that stands there a number of times, and what stands there instead."""

    path: str
    old: str
    new: str
    times: int = 1


@dataclass(frozen=True)
class Mutant:
    """A protection that is taken out, the invariants of which one must break, and the faults that call for it."""

    name: str
    edits: tuple[Edit, ...]
    breaks: tuple[str, ...]
    kinds: str
    crowds: float = 0.0


def read_mutants() -> tuple[Mutant, ...]:
    """The mutants of mutants.toml."""
    found = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return tuple(
        Mutant(
            each["name"],
            tuple(Edit(**edit) for edit in each["edit"]),
            tuple(each["breaks"]),
            each["kinds"],
            each.get("crowds", 0.0),
        )
        for each in found["mutant"]
    )


MUTANTS = read_mutants()


def copy_to(folder: Path) -> None:
    """Copy what a run needs."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
            )
        else:
            shutil.copy(source, folder / name)


def find(folder: Path, edit: Edit) -> Path:
    """The file of an edit: of several migrations the last that has the text, since a later one replaces a function."""
    having = [p for p in sorted(folder.glob(edit.path)) if edit.old in p.read_text("utf-8")]
    if not having:
        raise ValueError(f"{edit.old!r} stands nowhere in {edit.path}")
    return having[-1]


def apply(folder: Path, mutant: Mutant) -> None:
    """Take the protection out; ValueError if it no longer stands where it is expected."""
    for edit in mutant.edits:
        path = find(folder, edit)
        text = path.read_text("utf-8")
        if text.count(edit.old) != edit.times:
            raise ValueError(
                f"{mutant.name}: {edit.old!r} stands {text.count(edit.old)} times in {edit.path}"
            )
        path.write_text(text.replace(edit.old, edit.new), "utf-8")


def hunt(mutant: Mutant, schedules: int, seed: int) -> dict[str, Any]:
    """Look for a mutant, then run the schedules that it took on an unchanged copy, where the same must not break."""
    with make_scratch() as folder:
        copy_to(folder)
        apply(folder, mutant)
        found = _soak(folder, mutant, schedules, seed)
    broken = set(found["broken"]) & set(mutant.breaks)
    control: dict[str, Any] = {"broken": [], "examples": []}
    if broken:
        with make_scratch() as folder:
            copy_to(folder)
            control = _soak(folder, mutant, found["schedules"], seed)
    return {
        "mutant": mutant.name,
        "killed": bool(broken - set(control["broken"])),
        "seeds": [seed, seed + found["schedules"] - 1],
        **{name: found[name] for name in ("broken", "violations", "examples", "seconds")},
        "unchanged": {name: control[name] for name in ("broken", "examples")},
    }


def _soak(folder: Path, mutant: Mutant, schedules: int, seed: int) -> dict[str, Any]:
    """Run schedules on a copy until one of the expected invariants breaks, and return the summary."""
    command = [sys.executable, "-m", "tests.faults.soak", "--json", "--schedules", str(schedules)]
    command += ["--seed", str(seed), "--kinds", mutant.kinds, "--crowds", str(mutant.crowds)]
    command += ["--until", ",".join(mutant.breaks)]
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'gen'}"},
        capture_output=True,
        text=True,
    )
    if not ran.stdout.strip():
        raise RuntimeError(f"{mutant.name}: the harness itself failed: {ran.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return told


@click.command()
@click.option("--only", default="", help="Only mutants whose name contains this.")
@click.option("--schedules", default=15, help="How many schedules a mutant may survive.")
@click.option("--seed", default=1, help="The seed of the first schedule.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the summary here.")
def main(only: str, schedules: int, seed: int, out: Path | None) -> None:
    """Hunt every mutant; exit with 1 if one survives."""
    chosen = [mutant for mutant in MUTANTS if only in mutant.name]
    if not chosen:
        names = ", ".join(mutant.name for mutant in MUTANTS)
        raise click.BadParameter(f"no name contains {only!r}: {names}", param_hint="--only")
    results, killed = list[dict[str, Any]](), 0
    for mutant in chosen:
        results.append(hunt(mutant, schedules, seed))
        click.echo(json.dumps(results[-1]), err=True)
        killed = sum(result["killed"] for result in results)
        summary = {"mutants": len(results), "killed": killed, "results": results}
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(summary, indent=2) + "\n")
    click.echo(json.dumps({"mutants": len(results), "killed": killed}))
    raise SystemExit(killed < len(results))


if __name__ == "__main__":
    main()
