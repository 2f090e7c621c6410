"""`winnow evaluate`: measures the product on a folder of labelled data; the last line printed is one JSON object."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import click
import uvloop
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from services.cli.doctor import Finding, doctor_with, lacking
from services.cli.embedded.runtime import cancelled_by
from services.cli.failures import explained
from services.cli.groups import Group
from services.cli.options import Session
from services.cli.running import running_briefly
from services.common.errors import WinnowError
from services.common.llama import EmbeddingModel
from services.common.models import ModelEntry, ModelStore
from services.common.settings import refuse_unknown
from services.common.signals import stop_signals
from services.extractor import evaluation as extraction_evaluation
from services.extractor.aptitude import Aptitude, AptitudeNotes
from services.extractor.aptitude import measure as measure_aptitude
from services.extractor.combined import Capability
from services.extractor.extraction import Label, WindowMessage
from services.extractor.service import (
    ExtractorSettings,
    model_digest,
    open_engine,
    open_model,
)
from services.ingest import evaluation as importance_evaluation
from services.ingest.scoring import Conversation
from services.ingest.wording import ScoredInput
from services.search import evaluation as retrieval_evaluation
from services.search.evaluated_deployment import EvaluatedDeployment
from services.search.evaluation import KNOWN_MODES, MODES, PlainModel

_DATA = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of chats and labels.",
)
_RANKS: tuple[Capability, ...] = ("none", "choices", "generate")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print nothing but the JSON object.")


async def _aptitude(session: Session) -> list[Finding]:
    """What the language model that is set can be trusted with; measured once for a file and its prompts."""
    settings, notes = ExtractorSettings.read(), AptitudeNotes(ModelStore.open().directory)
    try:
        digest = model_digest(settings)
        found = notes.recall(digest)
        if found is None:
            found = await _examined(session, settings)
            notes.remember(digest, found)
    except WinnowError as error:
        return [lacking("language model", error)]
    return [trust_finding(settings, found)]


def trust_finding(settings: ExtractorSettings, found: Aptitude) -> Finding:
    """What a model was measured to be able to, and a warning where it is not good enough for what is set."""
    measured = (
        f"tells chatter from knowledge {found.tells:.2f} (a coin: 0.50), {found.headlines:.0%} of headlines usable, "
        f"{found.invalid:.0%} invalid, {found.tokens_per_second:g} tokens/s"
    )
    engine, chosen = settings.extraction_engine, settings.extraction_capability
    if engine == "grounded" or (engine == "combined" and chosen == "none"):
        return Finding("language model", True, f"{measured}: not called, as the settings say")
    wanted = "generate" if engine == "generative" else chosen
    if wanted == "auto":
        is_fit, told = found.capability != "none", f"trusted with {found.capability}"
        unfit = "trusted with nothing, so that conversations are read by structure alone"
    else:
        is_fit = _RANKS.index(found.capability) >= _RANKS.index(wanted)
        told = f"asked for {wanted}, as the settings say"
        unfit = f"{told}, which is more than it can"
    if is_fit:
        return Finding("language model", True, f"{measured}: {told}")
    advice = "WINNOW_GENERATION_MODEL or WINNOW_GENERATION_URL sets a better one"
    return Finding("language model", True, f"{measured}: {unfit}; {advice}", warning=True)


async def _examined(session: Session, settings: ExtractorSettings) -> Aptitude:
    """Examine the model, and show how far it is: on a busy machine a large one takes minutes."""
    session.progress.print("measuring the language model by 18 answers, once for each model …")
    columns = (
        TextColumn("measuring the language model"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("answers"),
        TimeElapsedColumn(),
    )
    with (
        ExitStack() as models,
        Progress(*columns, console=session.progress, disable=not session.shows_progress) as bar,
    ):
        shown = bar.add_task("", total=None)
        model, _ = open_model(settings, models)
        return await measure_aptitude(
            model, lambda done, total: bar.update(shown, completed=done, total=total)
        )


doctor = doctor_with(_aptitude)


@click.group(cls=Group)
def evaluate() -> None:
    """Measure the product on labelled data; nothing is ever fitted on the folder it is given."""


@evaluate.command("importance")
@_DATA
@click.option(
    "--leave-one-out",
    is_flag=True,
    help="For development: refit without each chat and judge that one.",
)
@_JSON
def importance(data: Path, leave_one_out: bool, as_json: bool) -> None:
    """Compare importance labels with those of people: DATA/labels/importance.jsonl and the chats it names."""
    with explained():
        refuse_unknown()
        report = importance_evaluation.evaluate(data, leave_one_out)
    if not as_json:
        click.echo(importance_evaluation.render(report))
    click.echo(json.dumps(report))


@evaluate.command("extraction")
@_DATA
@click.option(
    "--engine",
    type=click.Choice(["grounded", "combined", "generative"]),
    help="Instead of the default one.",
)
@click.option("--model", help="A language model by name or path, instead of the default one.")
@click.option(
    "--capability",
    type=click.Choice(["none", "choices", "generate"]),
    help="What the model may decide.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write each window's atoms here.",
)
@_JSON
def extraction(
    data: Path,
    engine: str | None,
    model: str | None,
    capability: str | None,
    predictions: Path | None,
    as_json: bool,
) -> None:
    """Compare extracted atoms with curated ones: DATA/labels/extraction.jsonl and the chats it names."""
    chosen = {
        "extraction_engine": engine,
        "generation_model": model,
        "extraction_capability": capability,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    with explained(), ExitStack() as models:
        refuse_unknown()
        settings = ExtractorSettings.read().model_copy(update=given)
        reader = open_engine(settings, models)
        report = uvloop.run(
            extraction_evaluation.evaluate(
                data,
                reader.engine,
                predictions,
                label_messages,
                _say_window if reader.model_name else _silent,
            )
        )
    if not as_json:
        _print_table({f"engine {reader.engine.name}": report, **report["by_chat"]})
    click.echo(json.dumps({"engine": reader.engine.version, "model": reader.model_name, **report}))


def _say_window(number: int, total: int, name: str) -> None:
    click.echo(f"window {number} of {total}: {name} …", err=True)


def _silent(number: int, total: int, name: str) -> None:
    """Say nothing: without a model all windows are read within a second or two."""


@evaluate.command("retrieval")
@_DATA
@_JSON
def retrieval(data: Path, as_json: bool) -> None:
    """Judge searches: DATA/*.messages.jsonl and *.queries.jsonl, through ingest, embedder and search as they run.

    Starts servers of its own on a data directory that is thrown away. Beside the product: BM25 and the cosine of
    each embedding model that is here, over single messages.
    """
    try:
        with explained():
            refuse_unknown()
            report = uvloop.run(_judge_searches(data))
    except asyncio.CancelledError:
        raise click.Abort from None
    if not as_json:
        _print_legs(report)
    click.echo(json.dumps(report))


async def _judge_searches(data: Path) -> dict[str, Any]:
    collections = retrieval_evaluation.read_collections(data)
    click.echo("starting servers; embedding the messages takes a few minutes …", err=True)
    names = ("ingest", "embedder", "search")
    with ExitStack() as models, cancelled_by(*stop_signals()):
        plain = [_plain_model(entry.name, models) for entry in _embedding_models()]
        async with (
            running_briefly(lambda event: None, names) as up_now,
            up_now.target.channel("ingest") as ingest,
            up_now.target.channel("search") as search,
        ):
            deployment = EvaluatedDeployment(ingest, search, up_now.target.metadata)
            return await retrieval_evaluation.evaluate(collections, deployment.load, plain)


def _embedding_models() -> list[ModelEntry]:
    store = ModelStore.open()
    entries = store.registry.entries
    return [entry for entry in entries if entry.role == "embedding" and store.has(entry.name)]


def _plain_model(name: str, models: ExitStack) -> PlainModel:
    resolved = ModelStore.open().resolve(name, "embedding")
    model = EmbeddingModel.open(resolved.path)
    models.callback(model.close)
    return PlainModel(name, model, resolved.query_prefix, resolved.passage_prefix)


def label_messages(messages: Sequence[WindowMessage]) -> list[tuple[Label, float]]:
    """Score a chat's messages in order, as ingest does."""
    conversation = Conversation()
    known: dict[object, ScoredInput] = {}
    labels: list[tuple[Label, float]] = []
    for message in messages:
        scored = ScoredInput(
            message.author,
            message.text,
            message.author_is_bot,
            str(message.id),
            "" if message.reply_to is None else str(message.reply_to),
        )
        importance = conversation.score(scored, known.get(message.reply_to))
        known[message.id] = scored
        labels.append((cast(Label, importance.label), importance.score))
    return labels


def _print_legs(report: dict[str, Any]) -> None:
    rows = {"all": report, **report["by_file"]}
    rows |= {f"language {name}": row for name, row in report["by_language"].items()}
    for name, row in rows.items():
        plain = ", ".join(f"{leg} {row['plain'][leg]['ndcg_at_10']:.3f}" for leg in row["plain"])
        modes = ", ".join(f"{mode} {row[f'{mode}_ndcg_at_10']:.3f}" for mode in MODES)
        click.echo(f"{name:<14} nDCG@10: {modes}; plain single messages: {plain}")
    for kind, figures in report["known_items"].items():
        modes = ", ".join(f"{mode} {figures[f'{mode}_mrr']:.3f}" for mode in KNOWN_MODES)
        click.echo(f"known {kind:<10} reciprocal rank: {modes}")


_COLUMNS = ("essential_recall", "precision", "f1", "type_accuracy", "valid", "grounded", "atoms")


def _print_table(rows: dict[str, dict[str, Any]]) -> None:
    width = max(map(len, rows))
    click.echo(" " * width + "".join(f"{name:>18}" for name in _COLUMNS))
    for name, row in rows.items():
        click.echo(f"{name:<{width}}" + "".join(f"{row[column]:>18}" for column in _COLUMNS))
