"""`winnow erase`, `winnow rescore` and `winnow operations`: work of ingest that goes on in the background."""

import asyncio
import math
import signal
import sys
import time
from datetime import datetime
from typing import Any
from uuid import uuid4

import click
from google.protobuf.message import Message
from rich.table import Table

from services.cli.failures import FAILED, USAGE, Failure
from services.cli.groups import Group
from services.cli.options import TOLD_AFTER_SECONDS, Session, command
from services.cli.paging import listing, paged, print_page, show_page
from services.cli.queries import DashedCommand
from services.cli.values import ID, MOMENT, counted, moment, refuse_empty_span, set_moment, word
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

DEADLINE_SECONDS = 60
LOOK_SECONDS = 0.3
# A receipt is verified by query each time: of very many messages that is not asked for again at once.
LOOK_SECONDS_MAX = 3.0

_yes = click.option("--yes", is_flag=True, help="Do not ask; needed when nobody can answer.")
_no_wait = click.option("--no-wait", is_flag=True, help="Only begin; print the operation's id.")
_NO_MESSAGE = "there was no such message: `winnow search --json` tells their keys (external_id)"
_NO_AUTHOR = "there was no message by such an author: `winnow authors list` tells their ids"
_ERASED = (
    ("messages", "messages"),
    ("vectors", "vectors"),
    ("evidence", "quotes in atoms"),
    ("atoms", "atoms without other evidence"),
    ("atoms_read_again", "atoms whose conversations are read again"),
    ("topic_links", "links to topics"),
    ("window_memberships", "places in windows"),
    ("waiting", "messages not shown any more, still to be erased"),
)
_RESCORED = (
    ("messages", "messages scored"),
    ("scores_changed", "scores changed"),
    ("labels_changed", "labels changed"),
    ("became_noise", "became noise"),
    ("became_weak", "became weak"),
    ("became_signal", "became signal"),
)


async def _ask(session: Session, request: Message) -> Any:
    """Call ingest, which may read a whole source before it answers."""
    return await session.call("ingest", IngestServiceStub, request, DEADLINE_SECONDS)


# --- erase


@click.group(cls=Group)
def erase() -> None:
    """Remove messages, and all that was made of them, for good: importing them again does not bring them back."""


@erase.command("messages", cls=DashedCommand)
@click.argument("keys", nargs=-1, required=True)
@click.option("--source", type=ID, required=True, help="The id of their source.")
@_no_wait
@_yes
@command
async def erase_messages(
    session: Session, keys: tuple[str, ...], source: str, yes: bool, no_wait: bool
) -> None:
    """Erase the messages of a source that have these KEYS there."""
    confirm(f"Erase {counted(len(keys), 'message')} of source {source} for good?", yes)
    request = pb.EraseMessagesRequest(source_id=source, external_ids=keys, request_id=str(uuid4()))
    reply = await _ask(session, request)
    await follow(session, reply.operation, no_wait, _NO_MESSAGE)


@erase.command("author", cls=DashedCommand)
@click.argument("author")
@click.option("--source", type=ID, default="", help="Only in the source with this id.")
@_no_wait
@_yes
@command
async def erase_author(
    session: Session, author: str, source: str, yes: bool, no_wait: bool
) -> None:
    """Erase all messages by the AUTHOR with this id, which is no name.

    It is what `winnow authors list` tells, and what the export calls them by.
    """
    confirm(f"Erase all messages by author {author} for good?", yes)
    request = pb.EraseMessagesRequest(
        source_id=source, author_external_id=author, request_id=str(uuid4())
    )
    reply = await _ask(session, request)
    await follow(session, reply.operation, no_wait, _NO_AUTHOR)


@erase.command("source")
@click.argument("source", type=ID)
@_no_wait
@_yes
@command
async def erase_source(session: Session, source: str, yes: bool, no_wait: bool) -> None:
    """Erase all messages of the SOURCE with this id, and its title; no later import brings them back."""
    confirm(
        f"Erase all messages of source {source} for good, so that no import brings them back?", yes
    )
    request = pb.EraseSourceRequest(source_id=source, request_id=str(uuid4()))
    reply = await _ask(session, request)
    await follow(session, reply.operation, no_wait, "the source had no messages any more")


def confirm(question: str, yes: bool) -> None:
    """Ask before what cannot be undone; without a terminal --yes must have been given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure("--yes: needed when the command does not run in a terminal", USAGE)
    # What asyncio makes of Ctrl-C waits for the loop, which waits for the answer.
    waiting = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        agreed = click.confirm(question, err=True)
    finally:
        signal.signal(signal.SIGINT, waiting)
    if not agreed:
        raise Failure("nothing was changed", FAILED)


# --- rescore


@click.command()
@click.option("--source", type=ID, default="", help="Only of the source with this id.")
@click.option("--after", "--since", "after", type=MOMENT, help="Only sent at or after this (UTC).")
@click.option("--before", "--until", "before", type=MOMENT, help="Only sent before this (UTC).")
@click.option("--dry-run", is_flag=True, help="Count what would change, and change nothing.")
@_no_wait
@_yes
@command
async def rescore(
    session: Session, source: str, after: datetime | None, before: datetime | None,
    dry_run: bool, yes: bool, no_wait: bool,
) -> None:  # fmt: skip
    """Score stored messages again with the scorer and thresholds that ingest has now."""
    refuse_empty_span(after, before)
    if not dry_run:
        confirm("Score the messages again? Conversations that matter now are read.", yes)
    request = pb.RescoreMessagesRequest(
        source_id=source,
        dry_run=dry_run,
        request_id=str(uuid4()),
    )
    set_moment(request, "sent_after", after)
    set_moment(request, "sent_before", before)
    reply = await _ask(session, request)
    await follow(session, reply.operation, no_wait)


# --- operations


@click.group(cls=Group)
def operations() -> None:
    """Show what erasures and rescores have done."""


@operations.command("show")
@click.argument("operation_id", type=ID)
@command
async def operations_show(session: Session, operation_id: str) -> None:
    """Show an operation with its receipt."""
    show(session, await read(session, operation_id))


@operations.command("list")
@paged
@command
async def operations_list(session: Session, limit: int, page_token: str) -> None:
    """List operations, newest first."""
    request = pb.ListOperationsRequest(page_size=limit, page_token=page_token)
    response = await _ask(session, request)
    if session.as_json:
        print_page(session, response)
        return
    table = listing("id", "kind", "state", "created")
    for each in response.operations:
        table.add_row(each.id, _kind(each), _state(each), moment(each.created_at))
    show_page(session, table, response, "operations")


async def read(session: Session, operation_id: str) -> pb.Operation:
    """Ask for an operation with its receipt."""
    request = pb.GetOperationRequest(operation_id=operation_id)
    operation: pb.Operation = (await _ask(session, request)).operation
    return operation


async def follow(
    session: Session, operation: pb.Operation, no_wait: bool, nothing: str = ""
) -> None:
    """Wait for the end of an operation, and print its receipt; whoever interrupts that is told that it goes on.

    `nothing` is what to note where there was nothing to erase.
    """
    try:
        if not no_wait:
            operation = await _ended(session, operation)
    except asyncio.CancelledError:
        how_far = f"`winnow operations show {operation.id}` tells how far it is"
        session.progress.print(f"the {_kind(operation)} goes on: {how_far}", soft_wrap=True)
        raise
    show(session, operation)
    is_done = operation.state == pb.OPERATION_STATE_SUCCEEDED
    if nothing and is_done and not operation.receipt.messages and not session.as_json:
        session.note(nothing)
    if operation.tasks_dead:
        raise Failure("some tasks have failed: see `winnow dead list`", FAILED)


async def _ended(session: Session, operation: pb.Operation) -> pb.Operation:
    """Wait for the end of an operation, or for tasks of it to die."""
    told_from, pause = time.monotonic() + TOLD_AFTER_SECONDS, LOOK_SECONDS
    told = ""
    while operation.state == pb.OPERATION_STATE_RUNNING and not operation.tasks_dead:
        if time.monotonic() > told_from:
            session.progress.print(
                f"waiting for {_kind(operation)} {operation.id}, which goes on if this is interrupted …"
            )
            told_from = math.inf
        if math.isinf(told_from) and (now := progress(operation.receipt)) != told:
            told = now
            session.progress.print(told)
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, LOOK_SECONDS_MAX)
        operation = await read(session, operation.id)
    return operation


def progress(receipt: pb.ErasureReceipt) -> str:
    """How far an erasure is: its messages go first, then what was made of them; empty before the first."""
    if not (receipt.messages or receipt.waiting):
        return ""
    done = f"{counted(receipt.messages, 'message is', 'messages are')} erased"
    if receipt.waiting:
        return f"{done}, {counted(receipt.waiting, 'is', 'are')} still to be and not shown any more"
    gone = f"{counted(receipt.vectors, 'vector')} and {counted(receipt.window_memberships, 'place')} in windows"
    return f"{done}, and of what was made of them {gone}"


def show(session: Session, operation: pb.Operation) -> None:
    """Print an operation with its receipt."""
    if session.as_json:
        session.print_message(operation)
        return
    session.console.print(f"{_kind(operation)} {operation.id}: {_state(operation)}")
    table = Table(show_header=False, box=None)
    is_erasure = operation.kind == pb.OPERATION_KIND_ERASE
    receipt: Any = operation.receipt if is_erasure else operation.rescore_receipt
    for field, label in _ERASED if is_erasure else _RESCORED:
        table.add_row(label, str(getattr(receipt, field)))
    session.console.print(table)
    if is_erasure and operation.state == pb.OPERATION_STATE_SUCCEEDED:
        left = counted(receipt.remaining, "row is", "rows are")
        found = "nothing is left" if receipt.verified else f"{left} left"
        session.console.print(f"verified by query: {found}")
    if not is_erasure and receipt.dry_run:
        session.console.print("nothing was changed")


def _kind(operation: pb.Operation) -> str:
    return word(pb.OperationKind, operation.kind)


def _state(operation: pb.Operation) -> str:
    name = word(pb.OperationState, operation.state)
    failed = counted(operation.tasks_dead, "task")
    return f"{name}, {failed} failed" if operation.tasks_dead else name
