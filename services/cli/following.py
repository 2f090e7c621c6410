"""`winnow follow`: knowledge as it appears."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import click
import grpc
from rich.text import Text

from services.cli.failures import UNREACHABLE, Failure, described
from services.cli.knowledge import atom_lines
from services.cli.options import Session, command
from services.cli.values import ID, MOMENT, Measure, counted, set_moment, word
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types

KINDS = {"atoms": types.SUBJECT_KIND_ATOM, "topics": types.SUBJECT_KIND_TOPIC}
AGAIN_SECONDS, AGAIN_SECONDS_MAX = 0.5, 10.0
# Longer than gRPC takes to find that nobody answers at an address.
CONNECTED_SECONDS = 30.0


@click.command()
@click.option("--cursor", help="Go on after this one.")
@click.option(
    "--since", "--after", "since", type=MOMENT, help="Begin with what changed from then on (UTC)."
)
@click.option("--all", "everything", is_flag=True, help="Begin with all that there is.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Only these; repeatable.",
)
@click.option("--source", type=ID, default="", help="Only what is of this source's id, or gone.")
@click.option("--limit", default=0, type=click.IntRange(0), help="End after so many; 0 is never.")
@click.option(
    "--patience",
    default=300.0,
    show_default=True,
    type=Measure(0),
    help="Seconds to wait for a service that has gone, to go on where it broke off.",
)
@command
async def follow(
    session: Session, cursor: str | None, since: datetime | None, everything: bool,
    kinds: tuple[str, ...], source: str, limit: int, patience: float,
) -> None:  # fmt: skip
    """Show each atom and topic that is new, changed or gone from now on; with --json a line each.

    --since and --all begin earlier, with what there is, each atom and topic once and as it is now. A service that is
    replaced is waited for, and nothing is shown twice or missed. Each line of --json has the cursor with which a later
    call goes on; without --cursor and --all the first has nothing else.
    """
    if cursor == "":
        raise click.UsageError("--cursor is empty: leave it out, or begin with --all")
    if sum(map(bool, (cursor, since, everything))) > 1:
        raise click.UsageError("--cursor, --since and --all exclude each other")
    numbers = [KINDS[kind] for kind in kinds]
    wanted = pb.StreamKnowledgeRequest(kinds=numbers, source_id=source)
    start = pb.StreamKnowledgeRequest(cursor=cursor or "")
    start.only_new = not (cursor or since or everything)
    set_moment(start, "since", since)
    feed = _Feed(session, start, limit, wanted, start.cursor)
    away_since, pause = 0.0, 0.0
    while (why := await feed.read()) is not None:
        has_just_gone, now = feed.was_connected or not pause, time.monotonic()
        if has_just_gone:
            away_since, pause = now, AGAIN_SECONDS
        if not feed.cursor or now - away_since >= patience:
            going_on = f"go on with --cursor {feed.cursor}" if feed.cursor else "start again"
            raise Failure(f"{why}; {going_on}", UNREACHABLE)
        if has_just_gone:
            session.progress.print(f"{why}; waiting for extractor …", markup=False)
        await asyncio.sleep(pause)
        pause = min(2 * pause, AGAIN_SECONDS_MAX)


@dataclass
class _Feed:
    """What is shown of the feed, and from where it goes on; the service is waited for once it was there."""

    session: Session
    start: pb.StreamKnowledgeRequest
    limit: int
    wanted: pb.StreamKnowledgeRequest
    cursor: str
    shown: int = 0
    was_there: bool = False
    was_connected: bool = False

    async def read(self) -> str | None:
        """Show what comes until the service goes, and return how it went; None once the limit is reached."""
        began, self.was_connected = time.monotonic(), False
        try:
            return await self._read()
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or not self.was_there:
                raise
            return f"broken off: {described(error)}"
        except Failure as failure:  # a `winnow up` that is not there now
            if failure.exit_code != UNREACHABLE or not self.was_there:
                raise
            return failure.message
        finally:
            self.was_connected |= time.monotonic() - began > CONNECTED_SECONDS

    async def _read(self) -> str | None:
        request = pb.StreamKnowledgeRequest(cursor=self.cursor)
        if self.cursor == self.start.cursor:
            request.CopyFrom(self.start)
        request.MergeFrom(self.wanted)
        target = self.session.target
        async with target.channel("extractor") as channel:
            call = ExtractorServiceStub(channel).StreamKnowledge(request, metadata=target.metadata)
            async for change in call:
                self.cursor = change.cursor
                self.was_there = self.was_connected = True
                is_change = change.WhichOneof("change") is not None
                if is_change or self.session.as_json:
                    show(self.session, change)
                self.shown += is_change
                if self.limit and self.shown == self.limit:
                    call.cancel()
                    return None
        self.was_there = True
        return "the service has stopped"


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
