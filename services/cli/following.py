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

    Each line of --json has the cursor with which a later call goes on; with --only-new the first has nothing else.
    """
    request = pb.StreamKnowledgeRequest(cursor=cursor, only_new=only_new)
    target, shown, told, why = session.target, 0, False, "the service has stopped"
    try:
        async with target.channel("extractor") as channel:
            call = ExtractorServiceStub(channel).StreamKnowledge(request, metadata=target.metadata)
            async for change in call:
                cursor, told = change.cursor, True
                is_change = change.WhichOneof("change") is not None
                if is_change or session.as_json:
                    show(session, change)
                shown += is_change
                if limit and shown == limit:
                    call.cancel()
                    return
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE or not told:
            raise
        why = f"broken off: {described(error)}"
    going_on = f"go on with --cursor {cursor}" if cursor else "start again"
    raise Failure(f"{why}; {going_on}", UNREACHABLE)


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
