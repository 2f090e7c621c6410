"""`winnow demo`: the main job on a sample chat in one go."""

import asyncio
import signal
import time
import tomllib
from importlib import resources
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from services.cli.embedded.runtime import cancelled_by
from services.cli.failures import USAGE, Failure
from services.cli.importers.recognising import of_another_kind
from services.cli.importers.telegram import TelegramExport
from services.cli.importing import run_import
from services.cli.modelling import fetch_wanted
from services.cli.options import Session, as_dict, command
from services.cli.running import check_settings, running, running_briefly
from services.cli.searching import ask, says_nothing, show
from services.cli.target import Target
from services.cli.up import announce
from services.cli.values import Place, counted
from services.common.signals import stop_signals
from winnow.extractor.v1 import extractor_pb2
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub
from winnow.search.v1 import search_pb2

ANSWERS = 3


@click.command()
@click.option(
    "--chat",
    type=Place(path_type=Path, dir_okay=False),
    help="Another Telegram export to show it on.",
)
@click.option(
    "--keep", is_flag=True, help="Keep the data in --data-dir, so that `winnow up` finds it."
)
@click.option(
    "--running", "on_running", is_flag=True, help="Use a deployment that runs, and start nothing."
)
@command
async def demo(session: Session, chat: Path | None, keep: bool, on_running: bool) -> None:
    """Run everything on a sample chat: import, extract, embed, and ask three questions.

    Uses ports of its own and a data directory that is thrown away, unless --keep or --running.
    """
    if not (keep or on_running) and session.chose_data:
        raise click.UsageError(
            "--data-dir goes with --keep or --running: else the data is thrown away"
        )
    if chat:
        _check(chat)
    if on_running:
        await _demonstrate(session, session.target, chat)
        return
    if keep and session.data.runtime_state():
        raise Failure(
            f"`winnow up` runs on {session.data.path}: --running instead of --keep uses it", USAGE
        )
    await check_settings()
    await fetch_wanted(session)
    tell = announce(session.progress, quiet=True)
    began = time.monotonic()
    session.progress.print("starting PostgreSQL, NATS and the four services …")
    place = running(session.data, {}, tell, is_brief=True) if keep else running_briefly(tell)
    with cancelled_by(signal.SIGINT, *stop_signals()):
        async with place as up_now:
            await _demonstrate(session, up_now.target, chat)
            if not session.as_json:
                session.console.print(f"done in {time.monotonic() - began:.0f} s")


def _check(chat: Path) -> None:
    """Raise ImportFailure for what is no export; what can be read only once is not looked at before its import."""
    with of_another_kind("telegram", chat):
        export = TelegramExport(chat)
        if export.file.is_file():
            next(iter(export), None)


async def _demonstrate(session: Session, target: Target, chat: Path | None) -> None:
    with resources.as_file(resources.files("services.cli.demo") / "chat.json") as sample:
        importer = TelegramExport(chat or sample)
        kind = ingest_pb2.SOURCE_KIND_TELEGRAM
        imported = await run_import(session, target, importer, kind)
    if imported.failure:
        raise imported.failure
    status = await _settle(session, target)
    questions = _questions()
    answers = []
    for question in questions:
        request = search_pb2.SearchRequest(query=question, page_size=2 * ANSWERS)
        answers.append(saying(await ask(target, request)))
    _report(session, status, questions, answers)


async def _settle(session: Session, target: Target) -> pipeline_pb2.GetStatusResponse:
    """Close the open windows, and wait until everything is extracted and embedded."""
    async with target.channel("extractor") as channel:
        extractor, pipeline = ExtractorServiceStub(channel), PipelineServiceStub(channel)
        columns = (
            TextColumn("extracting and embedding"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=session.progress, disable=not session.shows_progress, transient=True
        ) as bar:
            shown = bar.add_task("", total=None, left="")
            while True:
                status: pipeline_pb2.GetStatusResponse = await pipeline.GetStatus(
                    pipeline_pb2.GetStatusRequest(), metadata=target.metadata, timeout=30
                )
                open_tasks = sum(s.ready + s.leased for s in status.stages)
                found = f"{counted(status.atoms, 'atom')}, {counted(status.vectors, 'vector')}"
                bar.update(shown, left=f"{found}, {counted(open_tasks, 'task')} to do")
                if is_stuck(status):
                    dead = f"{counted(status.tasks_dead, 'task is', 'tasks are')} dead: see `winnow dead list`"
                    raise Failure(
                        f"{counted(status.vectors_missing, 'vector is', 'vectors are')} missing, and {dead}"
                    )
                if not open_tasks and not status.vectors_missing:
                    if not status.messages_in_open_windows:
                        return status
                    await extractor.ExtractNow(
                        extractor_pb2.ExtractNowRequest(), metadata=target.metadata, timeout=30
                    )
                await asyncio.sleep(0.2)


def is_stuck(status: pipeline_pb2.GetStatusResponse) -> bool:
    """Whether vectors that are missing will not come: tasks have died, and none is under way or tried again later."""
    under_way = sum(stage.ready + stage.leased for stage in status.stages)
    # A look at an open window is planned for later, too, and makes no vector of what is there.
    later = sum(stage.scheduled for stage in status.stages if stage.stage != "window")
    return bool(status.vectors_missing and status.tasks_dead) and not under_way + later


def saying(answer: search_pb2.SearchResponse) -> search_pb2.SearchResponse:
    """The best few results, without the thanks and smiles that stand beside an answer."""
    chosen = [each for each in answer.results if not says_nothing(each)][:ANSWERS]
    del answer.results[:]
    answer.results.extend(chosen)
    return answer


def _questions() -> list[str]:
    text = (resources.files("services.cli.demo") / "questions.toml").read_text("utf-8")
    return [question["text"] for question in tomllib.loads(text)["question"]]


def _report(
    session: Session,
    status: pipeline_pb2.GetStatusResponse,
    questions: list[str],
    answers: list[search_pb2.SearchResponse],
) -> None:
    if session.as_json:
        asked = [
            {"question": question, **as_dict(answer)}
            for question, answer in zip(questions, answers, strict=True)
        ]
        session.print_json({**as_dict(status), "questions": asked})
        return
    for question, answer in zip(questions, answers, strict=True):
        session.console.print(Text(f"\n{question}", "bold yellow"))
        show(session, answer)
    session.console.print(
        f"\n[bold]{counted(status.messages, 'message')}[/bold] ({status.messages_signal} signal, "
        f"{status.messages_weak} weak, {status.messages_noise} noise) → [bold]{counted(status.topics, 'topic')}, "
        f"{counted(status.atoms, 'atom')}[/bold], [bold]{counted(status.vectors, 'vector')}[/bold] "
        f"({status.vectors_missing} missing), {counted(status.tasks_dead, 'dead task')}"
    )
