"""`winnow follow`: knowledge as it appears."""

import click
import grpc
from rich.text import Text

from services.cli.failures import UNREACHABLE, Failure, described
from services.cli.knowledge import atom_lines
from services.cli.options import Session, command
from services.cli.values import counted, word
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types


@click.command()
@click.option("--cursor", default="", help="Go on after this one; from the beginning if empty.")
@click.option("--only-new", is_flag=True, help="Only what changes from now on.")
@click.option("--limit", default=0, type=click.IntRange(0), help="End after so many; 0 is never.")
@command
async def follow(session: Session, cursor: str, only_new: bool, limit: int) -> None:
    """Show atoms and topics, and then each that is new, changed or gone; with --json a line each.

    Each line of --json has the cursor with which a later call goes on.
    """
    request = pb.StreamKnowledgeRequest(cursor=cursor, only_new=only_new)
    target, shown, why = session.target, 0, "the service has stopped"
    try:
        async with target.channel("extractor") as channel:
            call = ExtractorServiceStub(channel).StreamKnowledge(request, metadata=target.metadata)
            async for change in call:
                show(session, change)
                cursor, shown = change.cursor, shown + 1
                if shown == limit:
                    call.cancel()
                    return
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE or not shown:
            raise
        why = f"broken off: {described(error)}"
    raise Failure(f"{why}; {_going_on(cursor, only_new)}", UNREACHABLE)


def _going_on(cursor: str, only_new: bool) -> str:
    """How to follow what comes next without seeing again what was shown."""
    if cursor:
        return f"go on with --cursor {cursor}"
    return "nothing new had come: start again with --only-new" if only_new else "start again"


def show(session: Session, change: pb.StreamKnowledgeResponse) -> None:
    """Print one change."""
    if session.as_json:
        session.print_message(change)
    elif change.HasField("atom"):
        session.console.print(Text.assemble(*atom_lines(change.atom)))
    elif change.HasField("topic"):
        topic = change.topic
        counts = f"{counted(topic.message_count, 'message')}, {counted(topic.atom_count, 'atom')}"
        title = Text.assemble(("topic: ", "magenta"), (topic.title, "bold"))
        session.console.print(title, Text(f"\n  {topic.id}  {counts}", "dim"), sep="")
    else:
        kind = word(types.SubjectKind, change.removal.kind)
        session.console.print(Text(f"gone: {kind} {change.removal.id}", "dim"))
