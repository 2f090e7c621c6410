"""`winnow sources`: which chats there are, with the ids that other commands take as --source."""

import click
from rich.markup import escape

from services.cli.options import Session, command
from services.cli.paging import listing, paged, show_page
from services.cli.values import moment, word
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub


@click.group()
def sources() -> None:
    """List the chats that messages came from."""


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
        session.print_message(response)
        return
    table = listing("id", "kind", "messages", "since", "title")
    for source in response.sources:
        kind, since = word(pb.SourceKind, source.kind), moment(source.created_at)
        title = source.title or source.external_id
        table.add_row(source.id, kind, f"{source.message_count:,}", since, escape(title))
    show_page(session, table, response, "sources: `winnow import` brings the first")
