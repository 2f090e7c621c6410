"""`winnow generations`: which models embed, and changing them while everything is served."""

from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import grpc
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from services.cli.failures import Failure, described
from services.cli.groups import Group
from services.cli.options import Session, as_dict, command
from services.cli.paging import LIST_MAX, gather, limited, listing
from services.cli.values import ID, counted, word
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub

DEADLINE_SECONDS = 60
PAGE_GENERATIONS = 100
# The commands that call the methods which a refusal names.
COMMANDS = {
    "PromoteGeneration": "that is `winnow generations promote ID`",
    "ReplayTasks": "`winnow dead list --stage embed` says why, and `winnow dead replay --stage embed` tries again, "
    "with a key of each workspace",
    "ResumeBackfills": "`winnow generations resume` lets all backfills go on, and "
    "`winnow backfill --resume` those of a key's workspace",
}
# Opening a model includes reading and testing it.
START_SECONDS = 600


@click.group(cls=Group)
def generations() -> None:
    """List the generations of vectors, and change the model without downtime.

    \b
    winnow generations start all-MiniLM-L6-v2   fill one beside the serving one
    winnow generations promote ID               let searches read it
    winnow generations rollback [ID]            read the one before it again
    winnow generations retire ID                drop one that does not serve
    winnow generations resume                   let all paused backfills go on
    """


@generations.command("list")
@limited(LIST_MAX)
@command
async def generations_list(session: Session, limit: int) -> None:
    """List generations, newest first: the model, the state, the index, and the vectors in your workspace."""

    async def page(size: int, token: str) -> Any:
        request = pb.ListGenerationsRequest(page_size=size, page_token=token)
        return await session.call("embedder", EmbedderServiceStub, request)

    found, more = await gather(limit, "generations", page, PAGE_GENERATIONS)
    if session.as_json:
        session.print_json([as_dict(generation) for generation in found])
    else:
        _show_all(session, found)
    if more:
        session.tell_more("--limit shows them")


def _show_all(session: Session, found: Sequence[pb.Generation]) -> None:
    table = listing("generation", "model", "dimensions", "state", "index", "vectors")
    for each in found:
        state, index = _state(each), _index(each)
        table.add_row(
            each.id, escape(each.model), str(each.dimensions), state, index, str(each.vectors)
        )
    session.console.print(table if found else "no generations yet")


@generations.command("start")
@click.argument("model")
@click.option("--query-prefix", default=None, help="What is put before a query.")
@click.option("--passage-prefix", default=None, help="What is put before a passage.")
@click.option("--promote", is_flag=True, help="Let searches read it once it is complete.")
@click.option("--no-wait", is_flag=True, help="Only start it.")
@command
async def generations_start(
    session: Session,
    model: str,
    query_prefix: str | None,
    passage_prefix: str | None,
    promote: bool,
    no_wait: bool,
) -> None:
    """Start a generation of another model or prefix, and watch it fill.

    MODEL is a name of `winnow models list` that is fetched, or `openai:` and the name of a model behind
    WINNOW_EMBEDDING_URL. Interrupting only stops the display.
    """
    if promote and no_wait:
        raise click.UsageError("--promote waits until the generation is complete")
    request = pb.StartGenerationRequest(
        model=model, query_prefix=query_prefix, passage_prefix=passage_prefix
    )
    response = await session.call("embedder", EmbedderServiceStub, request, START_SECONDS)
    generation = response.generation
    if not session.as_json:
        session.console.print(f"generation {generation.id} of {escape(generation.model)}")
    last = pb.WatchGenerationResponse(generation=generation)
    if not no_wait:
        last = await _watch(session, generation.id)
    if promote and not last.only_dead_missing:
        asked = pb.PromoteGenerationRequest(generation_id=generation.id)
        with _advised():
            promoted = await session.call("embedder", EmbedderServiceStub, asked, DEADLINE_SECONDS)
        last.generation.CopyFrom(promoted.generation)
    _tell(session, last)
    _refuse_dead(last)


@generations.command("watch")
@click.argument("generation_id", type=ID)
@command
async def generations_watch(session: Session, generation_id: str) -> None:
    """Show how far a generation is, until it can be promoted; ends with the recall of its index.

    Ends with an error once all that is still missing failed too often.
    """
    last = await _watch(session, generation_id)
    _tell(session, last)
    _refuse_dead(last)


@generations.command("promote")
@click.argument("generation_id", type=ID)
@click.option("--force", is_flag=True, help="Although vectors or the index are missing.")
@command
async def generations_promote(session: Session, generation_id: str, force: bool) -> None:
    """Let all searches read a generation; the one that served stands by and is kept complete."""
    request = pb.PromoteGenerationRequest(generation_id=generation_id, force=force)
    with _advised():
        response = await session.call("embedder", EmbedderServiceStub, request, DEADLINE_SECONDS)
    _say(session, response.generation, "serves now")


@generations.command("rollback")
@click.argument("generation_id", type=ID, required=False)
@click.option("--force", is_flag=True, help="Although vectors or the index are missing.")
@command
async def generations_rollback(session: Session, generation_id: str | None, force: bool) -> None:
    """Let all searches read the generation that served before.

    GENERATION_ID is the one to go back from, by default the one that serves. Run again, it goes no further, and not on
    to what it has left.
    """
    request = pb.RollBackGenerationRequest(generation_id=generation_id or "", force=force)
    with _advised():
        response = await session.call("embedder", EmbedderServiceStub, request, DEADLINE_SECONDS)
    _say(session, response.generation, "serves again")


@generations.command("retire")
@click.argument("generation_id", type=ID)
@command
async def generations_retire(session: Session, generation_id: str) -> None:
    """End a generation that does not serve, and drop its vectors; this cannot be undone."""
    request = pb.RetireGenerationRequest(generation_id=generation_id)
    response = await session.call("embedder", EmbedderServiceStub, request, START_SECONDS)
    _say(session, response.generation, "is retired; its vectors are dropped in some seconds")


@generations.command("resume")
@command
async def generations_resume(session: Session) -> None:
    """Let the backfills of all workspaces go on: one that is paused keeps a generation from all of them."""
    request = pb.ResumeBackfillsRequest()
    response = await session.call("embedder", EmbedderServiceStub, request, DEADLINE_SECONDS)
    if session.as_json:
        session.print_message(response)
    else:
        session.console.print(
            f"{counted(response.workspaces, 'workspace goes', 'workspaces go')} on with the backfill"
        )


@contextmanager
def _advised() -> Iterator[None]:
    """Tell of a refusal by which commands what it names is mended."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED):
            raise
        told = described(error)
        advice = [command for method, command in COMMANDS.items() if method in told]
        raise Failure("; ".join([told, *advice])) from error


async def _watch(session: Session, generation_id: str) -> pb.WatchGenerationResponse:
    """Show a bar until the generation is complete; return what was said last."""
    target = session.target
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    request = pb.WatchGenerationRequest(generation_id=generation_id)
    bar = Progress(
        *columns, console=session.progress, disable=not session.shows_progress, transient=True
    )
    async with target.channel("embedder") as channel:
        watching = EmbedderServiceStub(channel).WatchGeneration(request, metadata=target.metadata)
        with bar:
            return await _shown(bar, watching)


async def _shown(
    bar: Progress, replies: AsyncIterable[pb.WatchGenerationResponse]
) -> pb.WatchGenerationResponse:
    """Move the bar with each reply, and say once what is held back; return the last one."""
    last = pb.WatchGenerationResponse()
    shown = bar.add_task("embedding", total=1, note="")
    told = False
    async for last in replies:
        if last.paused_everywhere and not told:
            told = True
            bar.console.print(
                f"{counted(last.paused_everywhere, 'vector waits', 'vectors wait')} in {last.paused_workspaces} "
                "of the workspaces, whose backfill is paused: `winnow backfill --resume` with a key of each, or "
                "`winnow generations resume` for all",
                soft_wrap=True,
            )
        done = last.generation.vectors
        total = max(done + last.missing, 1)
        eta = f", {last.eta_seconds:.0f} s left" if last.eta_seconds else ""
        if last.paused_everywhere:
            note = f"{last.missing_everywhere} missing in all workspaces, {last.paused_everywhere} held back"
            bar.update(shown, completed=done, total=total, note=note)
        elif last.missing > last.dead:
            note = f"{last.missing} missing, {last.vectors_per_second:.0f}/s{eta}"
            bar.update(shown, completed=done, total=total, note=note)
        else:
            note = last.index_phase or "waiting for the index"
            what = {"description": "indexing", "completed": last.index_done, "total": 1}
            bar.update(shown, note=note, **what)  # type: ignore[arg-type]
    return last


def _tell(session: Session, last: pb.WatchGenerationResponse) -> None:
    if session.as_json:
        session.print_message(last)
        return
    generation = last.generation
    recall = ""
    if last.queries_compared:
        recall = f", recall@10 {last.recall_at_10:.3f} against exact comparison"
    session.console.print(
        f"{escape(generation.model)} is {_state(generation)}: {counted(generation.vectors, 'vector')}, "
        f"{last.missing} missing, index {_index(generation)}{recall}"
    )


def _refuse_dead(last: pb.WatchGenerationResponse) -> None:
    """End with an error if what is missing will not come by itself."""
    if last.only_dead_missing:
        raise Failure(
            f"{counted(last.dead_everywhere, 'vector')} failed too often, in {last.dead_workspaces} of the workspaces: "
            "`winnow dead list --stage embed` says why, and `winnow dead replay --stage embed` tries them again, "
            "with a key of each; `winnow generations promote --force` goes on without them"
        )


def _say(session: Session, generation: pb.Generation, what: str) -> None:
    if session.as_json:
        session.print_message(generation)
    else:
        session.console.print(f"generation {generation.id} of {escape(generation.model)} {what}")


def _state(generation: pb.Generation) -> str:
    return word(pb.GenerationState, generation.state)


def _index(generation: pb.Generation) -> str:
    if generation.index_state == pb.INDEX_STATE_UNSPECIFIED:
        return ""
    return word(pb.IndexState, generation.index_state)
