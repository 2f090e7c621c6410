"""`winnow validate`: integration, search, performance and reconciliation of a running deployment, with a verdict."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import grpc
from rich.markup import escape

from services.cli.embedded.runtime import cancelled_by
from services.cli.failures import FAILED, Failure, described
from services.cli.health import is_serving
from services.cli.options import TOLD_AFTER_SECONDS, Session, command
from services.cli.status import read_status
from services.cli.top import MUST_BE_ZERO
from services.cli.validation import meters
from services.cli.validation.conversation import TRANSIENT, Conversation, Question, sample, wait
from services.cli.validation.report import Report, milliseconds
from services.cli.values import Measure, counted
from services.common.addresses import NAMES, is_web_address
from services.common.signals import stop_signals
from winnow.ingest.v1 import ingest_pb2
from winnow.search.v1 import search_pb2

RECALL_MIN = 0.8
ROUNDS = 20
HEALTH_SECONDS, AGAIN_SECONDS = 10, 0.5
# How long a service is waited for that may just be starting.
STARTING_SECONDS = 15.0
# From so many rows on a search without filters must not read them all.
INDEX_FROM_ROWS = 20_000


def _pages(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse what is no address: nothing would be read there, and nothing said of it."""
    for each in given:
        if not is_web_address(each):
            raise click.BadParameter(f"{each!r} is no address like http://127.0.0.1:9464/metrics")
    return given


@click.command()
@click.option(
    "--patience",
    default=120.0,
    show_default=True,
    type=Measure(0),
    help="Seconds to wait for a result.",
)
@click.option(
    "--metrics",
    "metrics_urls",
    multiple=True,
    callback=_pages,
    help="Where a process shows its metrics, http://HOST:PORT/metrics; repeatable. "
    "Without it, where the `winnow up` that runs shows them.",
)
@command
async def validate(session: Session, patience: float, metrics_urls: tuple[str, ...]) -> None:
    """Send a small conversation through a running deployment and judge what comes out.

    It is stored under a source of its own, which is erased at the end. The exit code is 0 if everything passed, else 1.
    """
    report = Report()
    is_local = bool(session.target.restarted)
    places = meters.urls(metrics_urls, session.data.runtime_state() if is_local else None)
    before = await meters.read(places)
    await Conversation(session.target).check_rights()
    for name, why in await _away(session, min(patience, STARTING_SECONDS)):
        report.add("integration", name, why, False)
    if report.passed:
        with cancelled_by(signal.SIGINT, *stop_signals()):
            await _converse(report, session, patience)
    else:  # what would come of it could not be seen, nor erased again
        session.progress.print("a service is away: nothing is sent")
        patience = 0
    await _measure(report, places, before)
    with _judged(report, "reconciliation"):
        await _reconcile(report, session, patience)
    if session.as_json:
        session.print_json(report.as_json())
    else:
        report.show(session.console)
    if not report.passed:
        raise SystemExit(FAILED)


async def _away(session: Session, seconds_max: float) -> list[tuple[str, str]]:
    """Which services do not answer, and why; one that may just be starting is asked again for so long."""
    end = time.monotonic() + seconds_max

    async def why(name: str) -> str:
        told = await _why_away(session, name)
        if told and time.monotonic() < end:
            session.progress.print(escape(f"{name} {told}, asking again …"))
        while told and time.monotonic() < end:
            await asyncio.sleep(AGAIN_SECONDS)
            told = await _why_away(session, name)
        return told

    told = await asyncio.gather(*map(why, NAMES))
    return [(name, each) for name, each in zip(NAMES, told, strict=True) if each]


async def _why_away(session: Session, name: str) -> str:
    if name in session.target.unplaced:
        return ""
    async with session.target.channel(name) as channel:
        try:
            serves = await is_serving(channel, HEALTH_SECONDS)
        except grpc.aio.AioRpcError as error:
            return f"cannot be reached: {described(error)}"
    return "" if serves else "does not serve"


async def _converse(report: Report, session: Session, patience: float) -> None:
    """Send the conversation through, ask about it, and erase it again, however often that is interrupted."""
    try:
        async with Conversation.open(session.target, session.progress.print) as conversation:
            try:
                await _judge(report, session, patience, conversation)
            finally:
                session.progress.print("erasing what the check has stored …")
    except (Failure, grpc.aio.AioRpcError) as error:
        if not report.findings:
            raise
        why = error.message if isinstance(error, Failure) else described(error)
        report.add("integration", "erasing what was stored", why, False)


async def _judge(
    report: Report, session: Session, patience: float, conversation: Conversation
) -> None:
    messages, questions = sample()
    session.progress.print("sending a conversation and waiting for its vectors and atoms …")
    with _judged(report, "integration"):
        await _integrate(report, conversation, messages, patience, session.progress.print)
    session.progress.print("asking questions …")
    with _judged(report, "search"):
        await _search(report, conversation, questions)
    with _judged(report, "performance"):
        await _time(report, conversation)


@contextmanager
def _judged(report: Report, section: str) -> Iterator[None]:
    """Have a call that fails found and told as one that does: what else is wrong is looked for all the same."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        report.add(section, "a call", described(error), False)


async def _integrate(
    report: Report,
    conversation: Conversation,
    messages: list[ingest_pb2.MessageInput],
    patience: float,
    tell: Callable[[str], None],
) -> None:
    """A message goes in; its vector and the atoms of its conversation come out."""
    seconds = await conversation.send(messages)
    report.add(
        "integration", "messages accepted", f"{len(messages)} in {seconds * 1000:.0f} ms", True
    )
    last, began, why, is_told = messages[-1].text, time.perf_counter(), "", False

    async def is_found() -> bool:
        nonlocal why, is_told
        try:
            found = await conversation.search(last, search_pb2.SEARCH_MODE_SEMANTIC)
        except grpc.aio.AioRpcError as error:
            # In an installation that has just been made nothing can be found by meaning yet.
            if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, *TRANSIENT):
                raise
            why = f": {described(error)}"
            if not is_told and time.perf_counter() - began > TOLD_AFTER_SECONDS:
                is_told = True
                tell(f"{described(error)}, asking again …")
            return False
        why = ""
        return bool(found.results) and found.results[0].message.text == last

    took = await wait(is_found, patience)
    text = (
        f"found by meaning after {took:.2f} s"
        if took
        else f"not found within {patience:.0f} s{why}"
    )
    report.add("integration", "vector of the last message", text, took is not None)
    await conversation.read_now()

    async def is_read() -> bool:
        return bool(await conversation.atoms())

    took = await wait(is_read, patience)
    atoms = await conversation.atoms()
    text = f"{len(atoms)} after {time.perf_counter() - began:.2f} s" if took else "none came"
    report.add("integration", "atoms", text, took is not None)
    proven = sum(bool(atom.evidence) for atom in atoms)
    report.add(
        "integration", "atoms that cite messages", f"{proven} of {len(atoms)}", proven == len(atoms)
    )
    await _plan(report, conversation)


async def _plan(report: Report, conversation: Conversation) -> None:
    """How a search without filters reads the vectors."""
    reply = await conversation.search(
        "certificate", search_pb2.SEARCH_MODE_SEMANTIC, everywhere=True
    )
    plan = reply.explanation
    uses_index = "exact" not in plan.semantic_plan.lower()
    needed = plan.total_rows >= INDEX_FROM_ROWS
    text = f"{plan.semantic_plan or 'none'} over {counted(plan.total_rows, 'row')}"
    if not uses_index and not needed:
        text += f"; so few are read faster without the index (from {INDEX_FROM_ROWS} on it must be used)"
    report.add("integration", "plan of a search over everything", text, uses_index or not needed)


async def _search(report: Report, conversation: Conversation, questions: list[Question]) -> None:
    """How well the labelled questions are answered by each kind of search."""
    modes = (
        ("hybrid", search_pb2.SEARCH_MODE_HYBRID),
        ("by meaning", search_pb2.SEARCH_MODE_SEMANTIC),
        ("by words", search_pb2.SEARCH_MODE_KEYWORD),
    )
    for name, mode in modes:
        ranks = [await _rank(conversation, question, mode) for question in questions]
        recall = sum(rank is not None for rank in ranks) / len(ranks)
        reciprocal = sum(1 / rank for rank in ranks if rank) / len(ranks)
        text = f"{recall:.0%} of {len(ranks)} questions answered among five; mean reciprocal rank {reciprocal:.2f}"
        judged = recall >= RECALL_MIN if name == "hybrid" else None
        report.add("search", name, text, judged)


async def _rank(
    conversation: Conversation, question: Question, mode: "search_pb2.SearchMode.ValueType"
) -> int | None:
    """The place, from 1, of the first message that answers a question; None beyond the fifth."""
    reply = await conversation.search(question.text, mode)
    for place, result in enumerate(reply.results, 1):
        if result.message.external_id in question.answers:
            return place
    return None


async def _time(report: Report, conversation: Conversation) -> None:
    """How long calls take, one after the other."""
    message = sample()[0][0]
    stored, asked = [], []
    for number in range(ROUNDS):
        message.external_id = f"timed-{number}"
        stored.append(await conversation.send([message]))
        began = time.perf_counter()
        await conversation.search(f"question number {number}", search_pb2.SEARCH_MODE_HYBRID)
        asked.append(time.perf_counter() - began)
    report.add("performance", "storing a message", milliseconds(stored))
    report.add("performance", "a hybrid search", milliseconds(asked))


async def _measure(report: Report, places: list[str], before: meters.Reading) -> None:
    """What the services measured of themselves meanwhile."""
    found = list(meters.differences(before, await meters.read(places)))
    for name, value in found:
        report.add("performance", name, value)
    if not found:
        why = "no metrics could be read: start `winnow up` with WINNOW_METRICS_ADDRESS, or give --metrics"
        report.add("performance", "stages, hints and database", why)


async def _reconcile(report: Report, session: Session, patience: float) -> None:
    """The figures that must be 0 at rest; while others work, they get some time."""

    async def is_level() -> bool:
        state = await read_status(session)
        return not any(getattr(state, name) for name in MUST_BE_ZERO)

    await wait(is_level, patience / 4)
    state = await read_status(session)
    for name in MUST_BE_ZERO:
        value = int(getattr(state, name))
        report.add("reconciliation", name.replace("_", " "), str(value), value == 0)
