"""`winnow status` and `winnow dead`: how the pipeline is doing, and what to do about it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from services.cli.failures import Failure
from services.cli.groups import Group
from services.cli.health import SERVING, tell_health
from services.cli.options import Session, as_dict, command
from services.cli.paging import LIST_MAX, gather, limited, listing, spanned
from services.cli.values import ID, counted, refuse_empty_span, set_moment
from services.common.stages import STAGES
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

_stage = click.option("--stage", type=click.Choice(STAGES), help="Only of this stage.")


async def read_status(session: Session) -> pb.GetStatusResponse:
    """Ask for the state of the workspace."""
    response: pb.GetStatusResponse = await session.call(
        "ingest", PipelineServiceStub, pb.GetStatusRequest()
    )
    return response


@click.command()
@command
async def status(session: Session) -> None:
    """Show services, rows, vectors, tasks and what is 0 at rest.

    `vectors missing` counts live messages, atoms and topics without a current vector; it is above 0 while
    the embedder works. `dead` counts tasks that failed too often: look at them with `winnow dead list`.
    """
    target = session.target
    state, services = await asyncio.gather(read_status(session), tell_health(target))
    lack = session.data.lack() if target.restarted else ""
    if session.as_json:
        session.print_json({**as_dict(state), "services": services, "lacking": lack})
        return
    session.console.print(figures(state, told_services(services, target.restarted), lack))
    session.console.print(_stages(state))


def told_services(services: Mapping[str, str], restarted: Collection[str]) -> str:
    """How many services serve, and what is known of each other one; a running `winnow up` starts some again."""
    serving = [name for name, told in services.items() if told == SERVING]
    away = [
        f"{name} {told}" + (": `winnow up` is starting it" if name in restarted else "")
        for name, told in services.items()
        if told != SERVING
    ]
    return "; ".join([f"{len(serving)} serving", *away])


def figures(state: pb.GetStatusResponse, services: str, lack: str) -> Table:
    """The figures of a workspace, after what is known of the services and of what their disks lack."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    labels = f"{state.messages_signal:,} signal, {state.messages_weak:,} weak, {state.messages_noise:,} noise"
    rows = [
        ("services", services),
        *([("disk", f"{escape(lack)}: once it is full, nothing new is saved")] if lack else []),
        ("messages", f"{state.messages:,}  ({labels})"),
        ("atoms", f"{state.atoms:,}"),
        ("topics", f"{state.topics:,}"),
        ("vectors", f"{state.vectors:,}  of model {escape(state.serving_model) or '(none yet)'}"),
        ("vectors missing", f"{state.vectors_missing:,}"),
        ("vectors stale", f"{state.vectors_stale:,}"),
        ("messages without text", f"{state.messages_skipped:,}"),
        ("messages in open windows", f"{state.messages_in_open_windows:,}"),
        ("dead tasks", f"{state.tasks_dead:,}"),
        ("oldest open task", f"{state.oldest_task_age_seconds:.1f} s"),
        ("tokens spent", f"{state.tokens_spent:,}"),
        *_quotas(state.quotas),
    ]
    for name, value in rows:
        table.add_row(name, value)
    return table


def _quotas(quotas: pb.Quotas) -> list[tuple[str, str]]:
    """The quotas that are set, and what of them is used up."""
    rates = [
        ("calls, at most", quotas.calls_per_second),
        ("messages, at most", quotas.messages_per_second),
    ]
    rows = [(name, f"{rate:g} /s a process") for name, rate in rates if rate]
    if quotas.llm_tokens_per_day:
        waits = quotas.llm_tokens_today >= quotas.llm_tokens_per_day
        text = f"{quotas.llm_tokens_today} of {quotas.llm_tokens_per_day}"
        rows.append(
            ("tokens today", f"{text}; extraction waits for midnight, UTC" if waits else text)
        )
    return rows


def _stages(state: pb.GetStatusResponse) -> Table:
    table = listing("stage", "ready", "scheduled", "leased", "done", "dead", "oldest")
    for stage in state.stages:
        counts = (stage.ready, stage.scheduled, stage.leased, stage.done, stage.dead)
        age = f"{stage.oldest_task_age_seconds:.1f} s"
        table.add_row(stage.stage, *(f"{count:,}" for count in counts), age)
    return table


@click.group(cls=Group)
def dead() -> None:
    """List tasks that failed too often, or give them another chance."""


@dead.command("list")
@_stage
@click.option(
    "--error-class", default="", help="Only what failed in this way, as the list says it."
)
@spanned("made")
@limited(LIST_MAX)
@command
async def dead_list(
    session: Session, stage: str | None, error_class: str, after: datetime | None,
    before: datetime | None, limit: int,
) -> None:  # fmt: skip
    """List dead tasks, oldest first, with what went wrong."""
    refuse_empty_span(after, before)

    async def page(size: int, token: str) -> Any:
        request = pb.ListTasksRequest(
            state=pb.TASK_STATE_DEAD, stage=stage or "", error_class=error_class,
            page_size=size, page_token=token,
        )  # fmt: skip
        set_moment(request, "created_after", after)
        set_moment(request, "created_before", before)
        return await session.call("ingest", PipelineServiceStub, request)

    tasks, more = await gather(limit, "tasks", page)
    if session.as_json:
        session.print_json([as_dict(task) for task in tasks])
    else:
        _show_dead(session, tasks)
    if more:
        session.tell_more("--limit shows them")


def _show_dead(session: Session, tasks: Sequence[pb.Task]) -> None:
    table = listing("task", "stage", "subject", "attempts", "error", texts=("error",))
    for task in tasks:
        error = f"{task.error_class}: {task.error}"
        table.add_entry(task.id, task.stage, task.subject_id, str(task.attempts), error)
    session.console.print(table if tasks else "no dead tasks")


@dead.command("replay")
@click.argument("task_ids", type=ID, nargs=-1)
@_stage
@click.option("--dry-run", is_flag=True, help="Count only.")
@command
async def dead_replay(
    session: Session, task_ids: tuple[str, ...], stage: str | None, dry_run: bool
) -> None:
    """Make dead tasks ready again: those named, or all."""
    request = pb.ReplayTasksRequest(stage=stage or "", task_ids=task_ids, dry_run=dry_run)
    response = await session.call("ingest", PipelineServiceStub, request)
    if session.as_json:
        session.print_message(response)
    else:
        would = ("task would be", "tasks would be") if dry_run else ("task was", "tasks were")
        session.console.print(f"{counted(response.replayed, *would)} replayed")
    if response.replayed < len(set(task_ids)):
        of_stage = f" of the stage {stage}" if stage else ""
        raise Failure(f"not all that were named are dead tasks{of_stage}: see `winnow dead list`")
