"""`winnow backfill`: embeds what has no current vector, now, and shows how far it is."""

import asyncio
from contextlib import nullcontext

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.cli.options import Session, command
from services.cli.values import ID, Measure, counted, word
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.types.v1 import types_pb2

DEADLINE_SECONDS = 30
KINDS = {
    "messages": types_pb2.SUBJECT_KIND_MESSAGE,
    "atoms": types_pb2.SUBJECT_KIND_ATOM,
    "topics": types_pb2.SUBJECT_KIND_TOPIC,
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what is missing and change nothing.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these; repeatable."
)
@click.option(
    "--batch-size", default=0, type=click.IntRange(0, 10_000), help="Tasks a transaction."
)
@click.option("--rate", default=0.0, type=Measure(0), help="At most this many texts a second.")
@click.option(
    "--generation", type=ID, default="", help="The generation to complete, not the serving one."
)
@click.option("--pause", is_flag=True, help="Hold the backfill back; fresh messages go on.")
@click.option("--resume", is_flag=True, help="Let it go on, and show it.")
@command
async def backfill(
    session: Session,
    dry_run: bool,
    kinds: tuple[str, ...],
    batch_size: int,
    rate: float,
    generation: str,
    pause: bool,
    resume: bool,
) -> None:
    """Embed everything that has no current vector.

    The embedder does this by itself every half minute; a backfill does it now and shows progress. Fresh messages
    and queries go before it. Interrupting only stops the display, and what is left keeps its --rate, which a backfill
    without one lifts: --pause holds the work itself back until --resume. Texts that come in meanwhile have no rate, nor
    has what the embedder had not planned yet when it was stopped.
    """
    if pause and (resume or dry_run):
        raise click.UsageError("--pause stands alone")
    if resume and dry_run:
        raise click.UsageError("--resume changes something, and --dry-run nothing")
    target = session.target
    async with target.channel("embedder") as channel:
        stub = EmbedderServiceStub(channel)
        if pause or resume:
            await stub.PauseBackfill(
                pb.PauseBackfillRequest(paused=pause),
                metadata=target.metadata,
                timeout=DEADLINE_SECONDS,
            )
        request = pb.BackfillRequest(
            dry_run=dry_run or pause,
            batch_size=batch_size,
            kinds=[KINDS[kind] for kind in kinds],
            rate_per_second=rate,
            generation_id=generation,
        )
        with session.patience("embedder") if request.dry_run else nullcontext():
            last = await _follow(session, stub, request)
    if session.as_json:
        session.print_message(last)
    elif pause:
        session.console.print(f"held back with {counted(last.missing_total, 'vector')} missing")
    else:
        session.console.print(_planned(last) if dry_run else _done(last))


async def _follow(
    session: Session, stub: EmbedderServiceStub, request: pb.BackfillRequest
) -> pb.BackfillResponse:
    """Show a bar until the backfill ends; return what was said last."""
    last = pb.BackfillResponse()
    columns = (
        TextColumn("embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(
        *columns,
        console=session.progress,
        disable=not session.shows_progress or request.dry_run,
        transient=True,
    ) as bar:
        shown = bar.add_task("", total=None, note="")
        try:
            async for last in stub.Backfill(request, metadata=session.target.metadata):
                note = f"{last.eta_seconds:.0f} s left" if last.eta_seconds else ""
                note = "held back: `winnow backfill --resume`" if last.paused else note
                bar.update(shown, total=last.missing_total, completed=last.embedded, note=note)
        except asyncio.CancelledError:
            session.progress.print(_going_on(request))
            raise
    return last


def _going_on(request: pb.BackfillRequest) -> str:
    """What becomes of a backfill that nobody watches any more."""
    pace = f" at {request.rate_per_second:g} texts a second" if request.rate_per_second else ""
    hurry = ", `winnow backfill` without --rate hurries it" if pace else ""
    return f"the work goes on{pace}; `winnow backfill --pause` holds it back{hurry}"


def _planned(last: pb.BackfillResponse) -> str:
    kinds = ", ".join(
        counted(each.count, word(types_pb2.SubjectKind, each.kind))
        for each in last.missing
        if each.count
    )
    listed = f" ({kinds})" if kinds else ""
    return (
        f"{counted(last.missing_total, 'vector is', 'vectors are')} missing{listed}; {last.model} by {last.provider}, "
        f"{last.dimensions} dimensions, checked: {last.texts_per_second:.0f} texts/s, "
        f"batched equals single to {last.self_test_cosine:.5f}; "
        f"about {last.eta_seconds:.0f} s of work; nothing was changed"
    )


def _done(last: pb.BackfillResponse) -> str:
    dead = "; `winnow dead list --stage embed` says why, `winnow dead replay --stage embed` tries them again"
    failed = f", {last.dead} failed too often{dead}" if last.dead else ""
    made = counted(last.embedded, "vector was", "vectors were")
    return f"{made} made, {counted(last.remaining, 'is', 'are')} missing{failed}"
