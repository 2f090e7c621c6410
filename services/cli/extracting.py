"""`winnow extract`: read conversations now, or chosen ones again."""

import asyncio
from datetime import datetime

import click
from click.core import ParameterSource
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.failures import Failure
from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.reading import Step, read_through
from services.cli.values import ID, MOMENT, counted, set_moment
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.pipeline.v1 import pipeline_pb2
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

_WAIT = click.option("--wait", is_flag=True, help="Return once all of it is read, with progress.")


@click.group(cls=Group, invoke_without_command=True)
@click.option(
    "--message", "messages", multiple=True, type=ID, help="A message's id; may be repeated."
)
@click.option("--since", "--after", "since", type=MOMENT, help="Messages sent from then on (UTC).")
@click.option("--until", "--before", "until", type=MOMENT, help="Messages sent before then (UTC).")
@click.option("--source", type=ID, default="", help="Only of this source's id.")
@click.option("--all", "everything", is_flag=True, help="All messages of the workspace.")
@click.option("--dry-run", is_flag=True, help="Only say what would be read and what it would cost.")
@_WAIT
@command
async def extract(
    session: Session, messages: tuple[str, ...], since: datetime | None, until: datetime | None,
    source: str, everything: bool, dry_run: bool, wait: bool,
) -> None:  # fmt: skip
    """Read the conversations around chosen messages, again if they were read before.

    \b
      winnow extract --since 2026-01-01 --dry-run   what a year would cost
      winnow extract --message ID                   one message and its window
      winnow extract --all                          everything, for a new model
      winnow extract now --wait                     what waits in open windows
    """
    if subcommand := click.get_current_context().invoked_subcommand:
        _refuse_lost_options(subcommand)
        return
    chosen = messages or since or until or source
    if not (chosen or everything):
        raise click.UsageError(
            "say what to read: --message, --since, --until, --source or --all, or now"
        )
    if chosen and everything:
        raise click.UsageError("--all goes without --message, --since, --until and --source")
    request = pb.ExtractMessagesRequest(
        message_ids=messages, source_id=source, dry_run=dry_run, all=everything
    )
    set_moment(request, "since", since)
    set_moment(request, "until", until)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if wait and not dry_run:
        session.progress.print(said(response, dry_run))
        await _wait(session)
    elif session.as_json:
        session.print_message(response)
    else:
        session.console.print(said(response, dry_run))


def _refuse_lost_options(subcommand: str) -> None:
    """Raise UsageError for an option before the subcommand, which would not hear of it."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE:
            option, path = parameter.opts[0], context.command_path
            raise click.UsageError(f"{option} goes after: {path} {subcommand} {option} …")


def said(response: pb.ExtractMessagesResponse, dry_run: bool) -> str:
    """What is read, and what it costs, in one line."""
    if not response.messages:
        return "no message is chosen: there is nothing to read"
    runs = counted(response.runs_measured, "run")
    basis = f"by {runs}" if response.runs_measured else "by text lengths"
    verbs = ("would be", "would be") if dry_run else ("is being", "are being")
    spent = response.tokens_estimated
    tokens = f"about {counted(spent, 'token')}" if spent else "no tokens"
    windows = counted(response.windows, f"window {verbs[0]}", f"windows {verbs[1]}")
    return (
        f"{counted(response.messages, 'message')} chosen; {windows} read, "
        f"{counted(response.windows_noise, 'holds', 'hold')} noise alone: "
        f"{counted(response.messages_read, 'message')}, {tokens} and "
        f"about {response.seconds_estimated:.1f} s in one process, {basis}"
    )


async def _wait(session: Session) -> None:
    """Show how reading goes on until all that is open now is read, and report what it gave."""
    before = await _status(session)
    columns = (
        TextColumn("reading"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} tasks, {task.fields[atoms]}"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=session.progress, disable=not session.shows_progress, transient=True
    ) as bar:
        shown = bar.add_task("", total=1, atoms=counted(before.atoms, "atom"))
        try:
            async for step in read_through(session):
                status = await _status(session)
                atoms = counted(status.atoms, "atom")
                bar.update(shown, completed=step.done, total=step.total, atoms=atoms)
        except asyncio.CancelledError:
            session.progress.print("the reading goes on: `winnow top` shows how far it is")
            raise
    _report(session, step, status.atoms, status.atoms - before.atoms)


async def _status(session: Session) -> pipeline_pb2.GetStatusResponse:
    response: pipeline_pb2.GetStatusResponse = await session.call(
        "extractor", PipelineServiceStub, pipeline_pb2.GetStatusRequest()
    )
    return response


def _report(session: Session, step: Step, atoms: int, more: int) -> None:
    if session.as_json:
        counts = {"tasks_done": step.done, "atoms": atoms, "atoms_more": more, "dead": step.dead}
        session.print_json(counts)
    else:
        done = (
            f"read: {counted(step.done, 'task')} done" if step.total else "nothing is left to read"
        )
        session.console.print(
            f"{done}, {counted(atoms, 'atom is', 'atoms are')} known now ({more:+d})"
        )
    if step.dead:
        raise Failure(
            f"{counted(step.dead, 'task of reading is', 'tasks of reading are')} dead: see `winnow dead list`"
        )


@extract.command("now")
@click.option("--source", type=ID, default="", help="Only of this source's id.")
@_WAIT
@command
async def extract_now(session: Session, source: str, wait: bool) -> None:
    """Read what waits in open windows now, without waiting for the conversations to pause."""
    response = await session.call(
        "extractor", ExtractorServiceStub, pb.ExtractNowRequest(source_id=source)
    )
    if wait:
        await _wait(session)
    elif session.as_json:
        session.print_message(response)
    elif response.conversations:
        session.console.print(
            f"{counted(response.conversations, 'conversation is', 'conversations are')} being read"
        )
    else:
        session.console.print("nothing waits to be read")
