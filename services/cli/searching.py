"""`winnow search`: asks SearchService and shows what was found, where, and why."""

import click
from rich.text import Text

from services.cli.options import Session, as_dict, command
from services.cli.target import Target
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

MODES = {
    "hybrid": pb.SEARCH_MODE_HYBRID,
    "semantic": pb.SEARCH_MODE_SEMANTIC,
    "keyword": pb.SEARCH_MODE_KEYWORD,
}
KINDS = {
    "messages": types.SUBJECT_KIND_MESSAGE,
    "atoms": types.SUBJECT_KIND_ATOM,
    "topics": types.SUBJECT_KIND_TOPIC,
}
ATOM_TYPES = [name.removeprefix("ATOM_TYPE_").lower() for name in types.AtomType.keys()[1:]]
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


async def ask(target: Target, request: pb.SearchRequest) -> pb.SearchResponse:
    """Send a search."""
    async with target.channel("search") as channel:
        response: pb.SearchResponse = await SearchServiceStub(channel).Search(
            request, metadata=target.metadata, timeout=30
        )
    return response


@click.command()
@click.argument("query")
@click.option("--mode", type=click.Choice(list(MODES)), default="hybrid", show_default=True)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(list(KINDS)),
    help="Repeatable; messages and atoms by default.",
)
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100))
@click.option(
    "--author",
    "authors",
    multiple=True,
    help="Only by this author's id, for example user123; repeatable.",
)
@click.option("--source", "sources", multiple=True, help="Only of this source's id; repeatable.")
@click.option(
    "--type",
    "atom_types",
    multiple=True,
    help="Only atoms of this type, for example solution; repeatable.",
    type=click.Choice(
        [name.removeprefix("ATOM_TYPE_").lower() for name in types.AtomType.keys()[1:]]
    ),
)
@click.option("--after", type=_MOMENT, help="Only sent at or after this (UTC).")
@click.option("--before", type=_MOMENT, help="Only sent before this (UTC).")
@click.option("--explain", is_flag=True, help="Say how the search was done.")
@command
async def search(
    session: Session, query: str, mode: str, kinds: tuple[str, ...], limit: int, authors: tuple[str, ...],
    sources: tuple[str, ...], atom_types: tuple[str, ...], after: object, before: object, explain: bool,
) -> None:  # fmt: skip
    """Search messages and atoms by meaning and by words.

    Put a phrase in quotes, and a minus before a word that must not occur: winnow search '"lock timeout" -staging'
    """
    request = pb.SearchRequest(
        query=query,
        mode=MODES[mode],
        kinds=[KINDS[kind] for kind in kinds],
        page_size=limit,
        explain=explain,
        filter=pb.SearchFilter(
            author_external_ids=authors,
            source_ids=sources,
            atom_types=[types.AtomType.Value(f"ATOM_TYPE_{name.upper()}") for name in atom_types],
        ),
    )
    for moment, name in ((after, "sent_after"), (before, "sent_before")):
        if moment is not None:
            getattr(request.filter, name).FromDatetime(moment)
    response = await ask(session.target, request)
    if session.as_json:
        session.print_json(as_dict(response))
        return
    show(session, response)


def show(session: Session, response: pb.SearchResponse) -> None:
    """Print results for a person."""
    for warning in response.warnings:
        session.console.print(f"[yellow]note:[/yellow] {warning}")
    if not response.results:
        session.console.print("nothing found")
    for number, result in enumerate(response.results, start=1):
        session.console.print(Text.assemble((f"{number:>3}. ", "bold"), *_render(result)))
    pending = response.freshness.pending_embeddings
    if pending:
        session.console.print(
            f"[dim]{pending} texts are not embedded yet and can only be found by words[/dim]"
        )
    if response.HasField("explanation"):
        session.console.print(str(response.explanation).strip())


def _render(result: pb.SearchResult) -> list[str | tuple[str, str]]:
    which = result.WhichOneof("subject")
    if which == "atom":
        return _render_atom(result.atom)
    if which == "topic":
        return [
            ("topic ", "magenta"),
            f"{result.topic.title} ({result.topic.message_count} messages)",
        ]
    return [*signed(result.message)]


def _render_atom(atom: types.Atom) -> list[str | tuple[str, str]]:
    kind = types.AtomType.Name(atom.type).removeprefix("ATOM_TYPE_").lower()
    parts: list[str | tuple[str, str]] = [(f"{kind}: ", "green"), (atom.title, "bold")]
    for evidence in atom.evidence:
        parts += ["\n       ", ("← ", "dim"), *signed(evidence.message, evidence.quote)]
    return parts


def signed(message: types.Message, text: str = "") -> list[str | tuple[str, str]]:
    """Who said it when, and the words."""
    when = message.sent_at.ToDatetime().strftime("%Y-%m-%d %H:%M")
    who = message.author.name or message.author.external_id or "?"
    words = " ".join((text or message.text).split())
    return [
        (f"{who} ", "cyan"),
        (f"{when} ", "dim"),
        words[:300] + ("…" if len(words) > 300 else ""),
    ]
