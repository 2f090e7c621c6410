"""`winnow sources`: which chats there are, with the ids that other commands take as --source, and where they go on."""

import click
from rich.markup import escape

from services.cli.erasing import confirm
from services.cli.failures import USAGE, Failure
from services.cli.groups import Group
from services.cli.importers.telegram_accounts import (
    CHANNEL_BASE,
    TAKEN_OVER_SHIFT,
    account_key,
    account_of,
)
from services.cli.options import Session, command
from services.cli.paging import PAGE_MAX, listing, paged, print_page, show_page
from services.cli.values import ID, counted, moment, word
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

MOVE_SECONDS = 60  # as long as ingest takes for it at most


@click.group(cls=Group)
def sources() -> None:
    """List the chats that messages came from, and say which goes on as another."""


@sources.command("list")
@click.option("--all", "with_empty", is_flag=True, help="Those without messages, too.")
@paged
@command
async def sources_list(session: Session, with_empty: bool, limit: int, page_token: str) -> None:
    """List sources, oldest first: the id that --source takes, the kind, and how many messages there are.

    A source whose messages are all erased is known by its key alone, so that they stay erased, and is left out.
    """
    request = pb.ListSourcesRequest(page_size=limit, page_token=page_token)
    response = await session.call("ingest", IngestServiceStub, request)
    if not with_empty:
        live = [source for source in response.sources if source.message_count]
        del response.sources[:]
        response.sources.extend(live)
    if session.as_json:
        print_page(session, response)
        return
    table = listing("id", "kind", "messages", "added", "title", texts=("title",))
    for source in response.sources:
        kind, added = word(pb.SourceKind, source.kind), moment(source.created_at)
        title = source.title or source.external_id
        table.add_entry(source.id, kind, f"{source.message_count:,}", added, title)
    show_page(session, table, response, "sources: `winnow import` brings the first")


@sources.command("move")
@click.argument("source", type=ID)
@click.option(
    "--to", "number", type=int, required=True, help="The supergroup's id, as its export has it."
)
@click.option("--yes", is_flag=True, help="Do not ask; needed when nobody can answer.")
@command
async def sources_move(session: Session, source: str, number: int, yes: bool) -> None:
    """Let the Telegram group with this id go on as the supergroup that it became.

    It keeps its messages, under the numbers that exports of the supergroup by the same account give them, and all that
    was made of them. A bot that is in the group does this by itself; for exports alone, move the group before the first
    export of the supergroup is imported.
    """
    found = await _find(session, source)
    if not _is_group(found):
        raise Failure(f"source {source} is no basic group of Telegram", USAGE)
    if -CHANNEL_BASE <= number <= 0:
        raise Failure(f"--to: {number} is no id of a supergroup", USAGE)
    external_id = str(number if number < 0 else -CHANNEL_BASE - number)
    called = found.title or found.external_id
    confirm(f"Let {called} go on as chat {external_id}? This cannot be undone.", yes)
    request = pb.MoveSourceRequest(
        source=pb.SourceRef(kind=found.kind, external_id=found.external_id),
        external_id=external_id,
        number_shift=TAKEN_OVER_SHIFT,
        key_suffix=account_key("", account_of(found.external_id)),
    )
    response = await session.call("ingest", IngestServiceStub, request, MOVE_SECONDS)
    if session.as_json:
        session.print_message(response)
    else:
        moved = counted(response.renumbered, "message")
        session.console.print(f"{escape(called)} is chat {external_id} now; {moved} moved")


def _is_group(source: pb.Source) -> bool:
    """Whether a source is a chat whose messages begin to count anew when it becomes a supergroup."""
    number = source.external_id.partition("@")[0].removeprefix("-")
    is_below_zero = source.external_id.startswith("-") and number.isdecimal()
    return (
        source.kind == pb.SOURCE_KIND_TELEGRAM and is_below_zero and 0 < int(number) < CHANNEL_BASE
    )


async def _find(session: Session, source_id: str) -> pb.Source:
    """A source by its id."""
    request = pb.ListSourcesRequest(page_size=PAGE_MAX)
    while True:
        page = await session.call("ingest", IngestServiceStub, request)
        for source in page.sources:
            if source.id == source_id:
                return source  # type: ignore[no-any-return]
        if not page.next_page_token:
            raise Failure(f"no source {source_id}")
        request.page_token = page.next_page_token
