"""Damages inputs at scale: no parser may crash or hang.

    python -m tests.fuzzing [--inputs 100000] [--seed 1]

Inputs are shared among the parsers. A failure is printed with the number that makes it again
(`--only NAME --at NUMBER`) and the run ends with 1.
"""

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzzing.mutations import Mutator
from tests.fuzzing.parsers import PARSERS

TOLD_SECONDS = 2.0
SLOW_SECONDS = 10.0


def fuzz_one(name: str, seed: int, number: int, folder: Path) -> str | None:
    """Give one parser one damaged input; return what went wrong."""
    dice = random.Random(f"{name} {seed} {number}")
    began = time.perf_counter()
    try:
        PARSERS[name](Mutator(dice), dice, folder)
    except Exception:  # noqa: BLE001 - finding any is the purpose
        return traceback.format_exc()
    spent = time.perf_counter() - began
    return f"took {spent:.1f} s" if spent > SLOW_SECONDS else None


def fuzz_parsers(inputs: int, seed: int, folder: Path) -> dict[str, int]:
    """Share inputs among the parsers; return how many of each failed."""
    failed: Counter[str] = Counter()
    told = time.monotonic()
    for number in range(inputs // len(PARSERS)):
        for name in PARSERS:
            if problem := fuzz_one(name, seed, number, folder):
                failed[name] += 1
                print(f"\n{name} --at {number}: {problem}", file=sys.stderr)
        if time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            print(f"\r{number * len(PARSERS):,} of {inputs:,} inputs", end="", file=sys.stderr)
    print(file=sys.stderr)
    return failed


def main() -> int:
    """Fuzz, print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(PARSERS))
    parser.add_argument("--at", type=int, default=0)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="winnow-fuzz-") as made:
        folder = Path(made)
        if options.only:
            problem = fuzz_one(options.only, options.seed, options.at, folder)
            print(problem or "nothing went wrong")
            return 1 if problem else 0
        failed = fuzz_parsers(options.inputs, options.seed, folder)
    print(f"{options.inputs:,} inputs to {len(PARSERS)} parsers: {sum(failed.values())} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
