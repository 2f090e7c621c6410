"""`winnow runs`: how readings of conversations went."""

from datetime import datetime

import click

from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.paging import listing, paged, print_page, show_page, spanned
from services.cli.values import ID, moment, number, refuse_empty_span, set_moment, word, words
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub


@click.group(cls=Group)
def runs() -> None:
    """Show how readings of conversations went."""


@runs.command("list")
@click.option("--outcome", type=click.Choice(words(pb.RunOutcome)), help="Only with this outcome.")
@click.option("--source", type=ID, default="", help="Only of this source's id.")
@click.option("--window", type=ID, default="", help="Only of this window's id.")
@spanned("committed")
@paged
@command
async def runs_list(
    session: Session, outcome: str | None, source: str, window: str, after: datetime | None,
    before: datetime | None, limit: int, page_token: str,
) -> None:  # fmt: skip
    """List extraction runs, newest first, with what they cost and what they dropped."""
    refuse_empty_span(after, before)
    request = pb.ListRunsRequest(
        page_size=limit,
        page_token=page_token,
        outcome=number(pb.RunOutcome, outcome),  # type: ignore[arg-type]
        source_id=source,
        window_id=window,
    )
    set_moment(request, "created_after", after)
    set_moment(request, "created_before", before)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        print_page(session, response)
        return
    columns = ("id", "when", "outcome", "messages", "atoms", "calls", "tokens", "took", "dropped")
    table = listing(*columns, texts=("dropped",))
    for run in response.runs:
        dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(run.rejected.items()))
        table.add_row(
            run.id,
            moment(run.created_at),
            word(pb.RunOutcome, run.outcome),
            str(run.messages),
            str(run.atoms),
            str(run.model_calls),
            str(run.tokens_in + run.tokens_out),
            f"{run.duration_seconds:.2f} s",
            dropped,
        )
    show_page(session, table, response, "runs")
