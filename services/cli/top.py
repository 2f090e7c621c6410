"""`winnow top`: the pipeline as it works, with rates, until it is interrupted."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.cli.options import Session, as_dict, command
from services.cli.status import read_status
from services.cli.values import Measure, counted
from winnow.pipeline.v1 import pipeline_pb2 as pb

MUST_BE_ZERO = (
    "vectors_missing",
    "vectors_stale",
    "extractions_inconsistent",
    "leases_expired",
    "messages_unwindowed",
    "tasks_dead",
)


@dataclass(frozen=True)
class Sample:
    """The state of a workspace at a moment (seconds of a monotonic clock)."""

    at: float
    state: pb.GetStatusResponse

    def rates(self, before: "Sample | None") -> dict[str, float]:
        """Tasks a second that each stage has done since an earlier sample; none without one."""
        if before is None or self.at <= before.at:
            return {}
        earlier = {stage.stage: stage.done for stage in before.state.stages}
        seconds = self.at - before.at
        return {
            stage.stage: max(0, stage.done - earlier.get(stage.stage, 0)) / seconds
            for stage in self.state.stages
        }


@click.command()
@click.option(
    "--interval",
    default=1.0,
    show_default=True,
    type=Measure(0.2, 60),
    help="Seconds between looks.",
)
@command
async def top(session: Session, interval: float) -> None:
    """Show the pipeline live: backlog, rates and ages by stage, and what must be 0 at rest. Ctrl-C ends it.

    With --json, or where nobody watches a terminal, two looks are taken and one state with its rates is printed.
    """
    watches = session.console.is_terminal and not session.console.is_dumb_terminal
    if session.as_json or not watches:
        first = await _look(session)
        await asyncio.sleep(interval)
        second = await _look(session)
        if session.as_json:
            session.print_json(_as_json(second, first))
        else:
            session.console.print(_picture(second, first))
        return
    before: Sample | None = None
    with Live(console=session.console, screen=True, auto_refresh=False) as live:
        while True:
            sample = await _look(session)
            live.update(_picture(sample, before), refresh=True)
            before = sample
            await asyncio.sleep(interval)


async def _look(session: Session) -> Sample:
    state = await read_status(session)
    return Sample(time.monotonic(), state)


def _as_json(sample: Sample, before: Sample) -> dict[str, Any]:
    rates = sample.rates(before)
    fields = as_dict(sample.state)
    for stage in fields["stages"]:
        stage["done_per_second"] = round(rates.get(stage["stage"], 0), 2)
    return {**fields, "seconds": round(sample.at - before.at, 2)}


def _picture(sample: Sample, before: Sample | None) -> Group:
    state = sample.state
    moment = datetime.now(UTC).strftime("%H:%M:%S")
    found = (
        counted(state.messages, "message"),
        counted(state.atoms, "atom"),
        counted(state.topics, "topic"),
        f"{counted(state.vectors, 'vector')} of {state.serving_model or 'no model yet'}",
    )
    head = Text.assemble(("winnow ", "bold"), "   ".join((f"{moment} UTC", *found)))
    return Group(head, Text(""), _stages(sample, before), Text(""), _zeros(state))


def _stages(sample: Sample, before: Sample | None) -> Table:
    table = Table("stage", box=None, padding=(0, 3, 0, 0))
    for column in ("done/s", "ready", "scheduled", "leased", "done", "dead", "oldest"):
        table.add_column(column, justify="right")
    rates = sample.rates(before)
    for stage in sample.state.stages:
        rate = f"{rates[stage.stage]:.1f}" if stage.stage in rates else "…"
        counts = (stage.ready, stage.scheduled, stage.leased, stage.done)
        dead = Text(str(stage.dead), "bold red" if stage.dead else "")
        age = Text(f"{stage.oldest_task_age_seconds:.1f} s")
        table.add_row(stage.stage, rate, *map(str, counts), dead, age)
    return table


def _zeros(state: pb.GetStatusResponse) -> Text:
    text = Text("must be 0 at rest:  ")
    for name in MUST_BE_ZERO:
        value = int(getattr(state, name))
        text.append(f"{name.replace('_', ' ')} {value}", "bold yellow" if value else "green")
        text.append("   ")
    return text
