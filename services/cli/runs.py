"""`winnow runs`: how readings of conversations went."""

import click

from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.paging import listing, paged, show_page
from services.cli.values import moment, number, word, words
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub


@click.group(cls=Group)
def runs() -> None:
    """Show how readings of conversations went."""


@runs.command("list")
@click.option("--outcome", type=click.Choice(words(pb.RunOutcome)), help="Only with this outcome.")
@paged
@command
async def runs_list(session: Session, outcome: str | None, limit: int, page_token: str) -> None:
    """List extraction runs, newest first, with what they cost and what they dropped."""
    request = pb.ListRunsRequest(
        page_size=limit,
        page_token=page_token,
        outcome=number(pb.RunOutcome, outcome),  # type: ignore[arg-type]
    )
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        session.print_message(response)
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
