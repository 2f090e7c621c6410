"""`winnow sources`: which chats there are, with the ids that other commands take as --source."""

import click
from rich.markup import escape

from services.cli.erasing import ask
from services.cli.knowledge import listing, paged, show_page
from services.cli.options import Session, command
from services.cli.values import moment, word
from winnow.ingest.v1 import ingest_pb2 as pb


@click.group()
def sources() -> None:
    """List the chats that messages came from."""


@sources.command("list")
@paged
@command
async def sources_list(session: Session, limit: int, page_token: str) -> None:
    """List sources, oldest first: the id that --source takes, the kind, and how many messages there are."""
    request = pb.ListSourcesRequest(page_size=limit, page_token=page_token)
    response = await ask(session, "ListSources", request)
    if session.as_json:
        session.print_message(response)
        return
    table = listing("id", "kind", "messages", "since", "title")
    for source in response.sources:
        kind, since = word(pb.SourceKind, source.kind), moment(source.created_at)
        title = source.title or source.external_id
        table.add_row(source.id, kind, f"{source.message_count:,}", since, escape(title))
    show_page(session, table, response, "sources: `winnow import` brings the first")
