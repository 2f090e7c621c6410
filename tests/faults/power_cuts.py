"""Power cuts of PostgreSQL and of NATS while people write, and a control that must fail. Needs root and loop devices.

`python -m tests.faults.power_cuts --cuts 100` cuts each of them so often; with `--fill` their disks run full as well.
"""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from asyncpg import PostgresError
from grpc.aio import AioRpcError

from tests.conftest import make_scratch
from tests.faults.disks import Disk, disk
from tests.faults.plans import Mix, plan_of
from tests.faults.schedules import run
from tests.faults.stack import Stack

CONTROL_SCHEDULES_MAX = 5


@contextmanager
def disks(folder: Path) -> Iterator[dict[str, Disk]]:
    """A disk for each server."""
    with disk(folder, "postgres", 768) as one, disk(folder, "nats", 1024) as other:
        yield {"postgres": one, "nats": other}


async def cut(
    folder: Path, kind: str, cuts: int, seed: int, *, fsync: bool = True
) -> dict[str, Any]:
    """Cut (or fill) so often, and count what was acknowledged, lost or wrong."""
    figures: dict[str, Any] = {"kind": kind, "fsync": fsync, "cuts": 0, "messages": 0}
    figures |= {"violations": 0, "examples": [], "slowest_drain_seconds": 0.0}
    mix = Mix(messages=50, faults_min=2, faults_max=2, seconds=1.6, kinds=(kind,), crowds=0.3)
    began = time.monotonic()
    with disks(folder) as lent:
        async with Stack.open(folder, disks=lent, fsync=fsync) as stack:
            # What was there before the first cut is meant to be there after it.
            os.sync()
            while figures["cuts"] < cuts:
                verdict = await run(stack, plan_of(seed, mix))
                seed += 1
                figures["cuts"] += 2
                figures["messages"] += verdict.figures["messages"]
                figures["violations"] += len(verdict.violations)
                figures["examples"] = [*figures["examples"], *verdict.violations][:5]
                drain = verdict.figures["drain_seconds"] or 0
                figures["slowest_drain_seconds"] = max(figures["slowest_drain_seconds"], drain)
                figures["seconds"] = round(time.monotonic() - began)
                click.echo(json.dumps(figures, ensure_ascii=False), err=True)
                if not fsync and figures["violations"]:
                    break
    return figures


async def control(folder: Path, seed: int) -> dict[str, Any]:
    """Without fsync what was acknowledged must be lost: messages, the key they came with, or the whole database."""
    try:
        return await cut(folder, "cut_postgres", 2 * CONTROL_SCHEDULES_MAX, seed, fsync=False)
    except (RuntimeError, ExceptionGroup, OSError, AioRpcError, PostgresError) as error:
        return {"kind": "cut_postgres", "fsync": False, "violations": 1, "examples": [repr(error)]}


@click.command()
@click.option("--cuts", default=100, help="How often the power of each server is cut.")
@click.option("--seed", default=1, help="The seed of the first schedule.")
@click.option("--fill", is_flag=True, help="Let their disks run full, too, a tenth as often.")
@click.option("--only", default="", help="Only kinds whose name contains this, such as nats.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the summary here.")
def main(cuts: int, seed: int, fill: bool, only: str, out: Path | None) -> None:
    """Cut the power; exit with 1 if anything acknowledged is lost, or if the control loses nothing."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        raise click.UsageError("power cuts need root, loop devices and mkfs.ext4 (e2fsprogs)")
    kinds = [("cut_postgres", cuts), ("cut_nats", cuts)]
    if fill:
        kinds += [("fill_postgres", max(2, cuts // 10)), ("fill_nats", max(2, cuts // 10))]
    chosen = [each for each in kinds if only in each[0]]
    if not chosen:
        names = ", ".join(kind for kind, _ in kinds)
        raise click.BadParameter(f"no kind contains {only!r}: {names}", param_hint="--only")
    with make_scratch() as folder:
        failing = asyncio.run(control(folder, seed))
    results: list[dict[str, Any]] = []
    _write(out, failing, results)
    for kind, count in chosen:
        with make_scratch() as folder:
            results.append(asyncio.run(cut(folder, kind, count, seed)))
        _write(out, failing, results)
    lost = any(result["violations"] for result in results)
    raise SystemExit(lost or not failing["violations"])


def _write(out: Path | None, failing: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Keep what there is so far, the control among it."""
    summary = {
        "violations": sum(result["violations"] for result in results),
        "control_violations": failing["violations"],
        "results": [*results, failing],
    }
    click.echo(json.dumps(summary, ensure_ascii=False))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
