"""`winnow search`: asks SearchService and shows what was found, where, and why."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import wraps
from typing import Any

import click
from rich.text import Text

from services.cli.authors import ids_of
from services.cli.explaining import explain
from services.cli.expressions import NAMES, read_condition
from services.cli.options import CALL_SECONDS, Session, as_dict, command
from services.cli.queries import QueryCommand
from services.cli.target import Target
from services.cli.values import (
    ID,
    MOMENT,
    Measure,
    counted,
    moment,
    number,
    on_one_line,
    refuse_empty_span,
    set_moment,
    shortened,
    word,
    words,
)
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

MODES = {
    "hybrid": pb.SEARCH_MODE_HYBRID,
    "semantic": pb.SEARCH_MODE_SEMANTIC,
    "keyword": pb.SEARCH_MODE_KEYWORD,
}
FUSIONS = {"score": pb.FUSION_SCORE, "rank": pb.FUSION_RANK}
KINDS = {
    "messages": types.SUBJECT_KIND_MESSAGE,
    "atoms": types.SUBJECT_KIND_ATOM,
    "topics": types.SUBJECT_KIND_TOPIC,
}
GROUPS = {"topic": pb.GROUP_BY_TOPIC, "conversation": pb.GROUP_BY_CONVERSATION}
ATOM_TYPES = words(types.AtomType)
WAIT_SECONDS_MAX = 30
TEXT_CHARACTERS = 300
# What the gate scores lower is hardly ever more than "ok", "thanks" or a thumb: of 37 labelled ones 36 are noise.
SAYING_SCORE_MIN = 0.12
_FAR = "no text has these words; these are the nearest in meaning, and may be far from it"


async def ask(target: Target, request: pb.SearchRequest) -> pb.SearchResponse:
    """Send a search; what it waits for comes on top of its own time."""
    seconds_max = CALL_SECONDS + request.wait_for.timeout.ToTimedelta().total_seconds()
    async with target.channel("search") as channel:
        response: pb.SearchResponse = await SearchServiceStub(channel).Search(
            request, metadata=target.metadata, timeout=seconds_max
        )
    return response


@dataclass(frozen=True)
class Narrowing:
    """What results must satisfy, as it was typed."""

    authors: tuple[str, ...]
    sources: tuple[str, ...]
    topics: tuple[str, ...]
    threads: tuple[str, ...]
    atom_types: tuple[str, ...]
    labels: tuple[str, ...]
    approval: tuple[str, ...]
    languages: tuple[str, ...]
    after: datetime | None
    before: datetime | None
    where: str | None


def _names(enum: Any) -> click.Choice[str]:
    """The values that a search may be narrowed to: what is rejected is never found."""
    return click.Choice([name for name in words(enum) if name != "rejected"])


def _many(option: str, name: str, what: str, kind: Any = None) -> Callable[[Any], Any]:
    return click.option(option, name, multiple=True, type=kind, help=what)


_NARROWING = (
    _many(
        "--author",
        "authors",
        "Only by this author's id, as `winnow authors list` tells; repeatable.",
    ),
    _many("--source", "sources", "Only of this source's id; repeatable.", ID),
    _many("--topic", "topics", "Only of this topic's id; repeatable.", ID),
    _many("--thread", "threads", "Only of this thread; repeatable."),
    _many(
        "--type",
        "atom_types",
        "Only atoms of this type, for example solution; repeatable.",
        _names(types.AtomType),
    ),
    _many(
        "--label",
        "labels",
        "Only messages with this label; repeatable.",
        _names(types.ImportanceLabel),
    ),
    _many(
        "--approval",
        "approval",
        "Only atoms in this state; repeatable.",
        _names(types.ApprovalState),
    ),
    _many(
        "--lang",
        "languages",
        "Only in this language; und is for others and for what is too short to tell. Repeatable.",
        click.Choice(["en", "uk", "ru", "und"]),
    ),
    click.option(
        "--after", "--since", "after", type=MOMENT, help="Only sent at or after this (UTC)."
    ),
    click.option("--before", "--until", "before", type=MOMENT, help="Only sent before this (UTC)."),
    click.option(
        "--where",
        help="A condition with and, or, not and brackets over "
        f"{NAMES}: --where 'author:ann and not (label:noise or lang:ru)'",
    ),
)


def narrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that narrow what is found, as one argument `narrowing`."""

    @wraps(function)
    def run(**arguments: Any) -> Any:
        names = [each.name for each in fields(Narrowing)]
        chosen = Narrowing(**{name: arguments.pop(name) for name in names})
        return function(narrowing=chosen, **arguments)

    for option in reversed(_NARROWING):
        run = option(run)
    return run


def narrowed(request: Any, chosen: Narrowing) -> None:
    """Put it into a request that has `filter` and `filter_expression`."""

    def numbers(enum: Any, names: tuple[str, ...]) -> list[Any]:
        return [number(enum, name) for name in names]

    request.filter.CopyFrom(
        pb.SearchFilter(
            author_external_ids=chosen.authors,
            source_ids=chosen.sources,
            topic_ids=chosen.topics,
            thread_ids=chosen.threads,
            atom_types=numbers(types.AtomType, chosen.atom_types),
            labels=numbers(types.ImportanceLabel, chosen.labels),
            approval_states=numbers(types.ApprovalState, chosen.approval),
            languages=chosen.languages,
        )
    )
    refuse_empty_span(chosen.after, chosen.before)
    set_moment(request.filter, "sent_after", chosen.after)
    set_moment(request.filter, "sent_before", chosen.before)
    if chosen.where is not None:
        request.filter_expression.CopyFrom(read_condition(chosen.where))


@click.command(cls=QueryCommand)
@click.argument("query")
@click.option(
    "--mode",
    type=click.Choice(list(MODES)),
    default="hybrid",
    show_default=True,
    help="What a search goes by.",
)
@click.option(
    "--fusion",
    type=click.Choice(list(FUSIONS)),
    default="score",
    show_default=True,
    help="How a hybrid search joins meaning and words.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Only these; repeatable. Messages and atoms by default.",
)
@click.option(
    "--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="At most so many."
)
@click.option(
    "--page-token",
    default="",
    help="Go on after a page: its next_page_token, as --json prints it, and all else as it was.",
)
@narrowing
@click.option(
    "--around",
    default=0,
    type=click.IntRange(0, 10),
    help="Show so many messages before and after each message.",
)
@click.option(
    "--group", type=click.Choice(list(GROUPS)), help="Put results together, the best few of each."
)
@click.option(
    "--wait",
    type=Measure(0, WAIT_SECONDS_MAX),
    help="Wait up to so many seconds until all that was accepted is embedded.",
)
@click.option("--rerank", is_flag=True, help="Let the model that is set order the best anew.")
@click.option("--explain", is_flag=True, help="Say how the search was done.")
@command
async def search(
    session: Session, query: str, mode: str, fusion: str, kinds: tuple[str, ...], limit: int,
    page_token: str, narrowing: Narrowing, around: int, group: str | None, wait: float | None, rerank: bool,
    explain: bool,
) -> None:  # fmt: skip
    """Search messages and atoms by meaning and by words.

    \b
    winnow search "why did the backup fail"
    winnow search '"lock timeout" -staging'        a phrase, and a word to avoid
    winnow search PaymentIntent --mode keyword     names and codes as they are
    winnow search "slow search" --author ann --lang uk --after 2026-03-01
    winnow search deploy --where 'label:signal and not author:bot'
    winnow search deploy --group topic --around 2  by topic, with what is around
    """
    request = pb.SearchRequest(
        query=query,
        mode=MODES[mode],
        fusion=FUSIONS[fusion],
        kinds=[KINDS[kind] for kind in kinds],
        page_size=limit,
        page_token=page_token,
        explain=explain,
        neighbours=around,
        group_by=GROUPS[group] if group else pb.GROUP_BY_UNSPECIFIED,
        rerank=rerank,
    )
    narrowed(request, narrowing)
    if wait is not None:
        request.wait_for.accepted_until.GetCurrentTime()
        request.wait_for.timeout.FromMilliseconds(int(wait * 1000))
    with session.patience("search"):
        response = await ask(session.target, request)
    if session.as_json:
        session.print_json(as_dict(response))
        return
    show(session, response)
    if narrowing.authors and not response.results and not response.groups:
        for hint in await ids_of(session, narrowing.authors):
            session.note(hint)


def show(session: Session, response: pb.SearchResponse) -> None:
    """Print results for a person."""
    for warning in response.warnings:
        session.note(warning)
    if not response.results and not response.groups:
        session.console.print("nothing found")
    if _is_far(response):
        session.note(_FAR)
    for place, result in enumerate(response.results, start=1):
        print_result(session, place, result)
    for group in response.groups:
        session.console.print(Text(f"{_key(group)} ({group.size})", "magenta"))
        for place, result in enumerate(group.results, start=1):
            print_result(session, place, result)
    if response.under_filled:
        session.console.print("[dim]the index may have missed some that satisfy the filter[/dim]")
    pending = response.freshness.pending_embeddings
    if pending:
        session.console.print(
            f"[dim]{counted(pending, 'text is', 'texts are')} not embedded yet and can only be found by words[/dim]"
        )
    if response.HasField("explanation"):
        explain(session, response.explanation)


def says_nothing(result: pb.SearchResult) -> bool:
    """Whether it is a message that only carries talk on."""
    return result.HasField("message") and result.message.importance.score < SAYING_SCORE_MIN


def _is_far(response: pb.SearchResponse) -> bool:
    """Whether no result has a word of the query, and none is near it in meaning."""
    found = [*response.results, *(each for group in response.groups for each in group.results)]
    legs = [each for each in found if each.HasField("semantic") or each.HasField("keyword")]
    return bool(legs) and not any(
        each.keyword.score > 0 or is_near(each, response.near_score) for each in legs
    )


def is_near(result: pb.SearchResult, near_score: float) -> bool:
    """Whether a result is near to the query in meaning, as far as the reply says what near is."""
    return near_score > 0 and result.semantic.score >= near_score


def _key(group: pb.ResultGroup) -> str:
    if group.WhichOneof("key") == "topic":
        return group.topic.title
    if group.WhichOneof("key") == "conversation":
        conversation = group.conversation
        return on_one_line(f"{conversation.source_title} {conversation.thread_id}")
    return "no topic"


def print_result(session: Session, place: int, result: pb.SearchResult) -> None:
    """Print a numbered result, with what was said around it."""
    for message in result.neighbours.before:
        session.console.print(Text.assemble("     ", *signed(message), style="dim"))
    session.console.print(Text.assemble((f"{place:>3}. ", "bold"), *_render(result)))
    for message in result.neighbours.after:
        session.console.print(Text.assemble("     ", *signed(message), style="dim"))


def _render(result: pb.SearchResult) -> list[str | tuple[str, str]]:
    which = result.WhichOneof("subject")
    if which == "atom":
        return _render_atom(result.atom)
    if which == "topic":
        return [
            ("topic ", "magenta"),
            f"{result.topic.title} ({counted(result.topic.message_count, 'message')})",
        ]
    return [*signed(result.message)]


def _render_atom(atom: types.Atom) -> list[str | tuple[str, str]]:
    parts: list[str | tuple[str, str]] = [
        (f"{word(types.AtomType, atom.type)}: ", "green"),
        (atom.title, "bold"),
    ]
    for evidence in atom.evidence:
        parts += ["\n       ", ("← ", "dim"), *cited(evidence)]
    return parts


def cited(evidence: types.Evidence) -> list[str | tuple[str, str]]:
    """A passage and who said it when, as far as the reply had room for that."""
    if evidence.HasField("message"):
        return signed(evidence.message, evidence.quote)
    return [shortened(evidence.quote, TEXT_CHARACTERS) or f"message {evidence.message_id}"]


def signed(message: types.Message, text: str = "") -> list[str | tuple[str, str]]:
    """Who said it when, and the words."""
    return [
        (f"{speaker(message)} ", "cyan"),
        (f"{moment(message.sent_at)} ", "dim"),
        shortened(text or message.text, TEXT_CHARACTERS),
    ]


def author_of(message: types.Message) -> str:
    """What who wrote it is called."""
    return on_one_line(message.author.name or message.author.external_id) or "?"


def speaker(message: types.Message) -> str:
    """Who said it; of what is forwarded, after whom."""
    who = author_of(message)
    if not message.HasField("forwarded_from"):
        return who
    forwarded = message.forwarded_from
    origin = on_one_line(forwarded.name or forwarded.external_id) or "elsewhere"
    return f"{who}, forwarded from {origin}," if origin != who else who
