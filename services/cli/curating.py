"""`winnow atoms links|merge|unmerge` and `winnow topics versions|merge|split|rename`: what belongs together."""

from collections.abc import Sequence
from uuid import uuid4

import click
from rich.text import Text

from services.cli.knowledge import change_of, diff_lines, link_line, standing, topics
from services.cli.options import Session, command
from services.cli.paging import PAGE_MAX, limited, paged, print_page, show_more
from services.cli.reviewing import atoms, show
from services.cli.values import ID, Measure, counted, moment, number, word, words
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types

__all__ = ["atoms", "topics"]

_reason = click.option("--reason", default="", help="Why, for those who read it later.")


@atoms.command("links")
@click.argument("atom_id", type=ID)
@click.option(
    "--depth", default=1, show_default=True, type=click.IntRange(1, 2), help="Links away."
)
@click.option(
    "--type", "kinds", multiple=True, type=click.Choice(words(types.LinkType)),
    help="Only links of this type; repeatable.",
)  # fmt: skip
@click.option("--confidence", default=0.0, type=Measure(0, 1), help="Only links at least so sure.")
@limited(PAGE_MAX)
@command
async def atoms_links(
    session: Session,
    atom_id: str,
    depth: int,
    kinds: tuple[str, ...],
    confidence: float,
    limit: int,
) -> None:
    """Walk the links of an atom, and those of its neighbours with --depth 2."""
    request = pb.ListAtomLinksRequest(
        atom_id=atom_id,
        depth=depth,
        types=[number(types.LinkType, kind) for kind in kinds],  # type: ignore[misc]
        confidence_min=confidence,
        limit=limit,
    )
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        session.print_message(response)
        _tell_truncated(session, response)
        return
    for neighbour in response.neighbours:
        atom = neighbour.atom
        ends = {atom.id}
        session.console.print(
            Text.assemble(
                (f"{word(types.AtomType, atom.type)}: ", "green"),
                (atom.title, "bold"),
                (f"\n  {atom.id}  {standing(atom)}, {neighbour.depth} away", "dim"),
            )
        )
        for link in response.links:
            if ends & {link.from_atom_id, link.to_atom_id}:
                session.console.print(f"  [dim]→[/dim] {link_line(link, atom.id)}")
    if not response.neighbours:
        session.console.print("no links")
    _tell_truncated(session, response)


def _tell_truncated(session: Session, response: pb.ListAtomLinksResponse) -> None:
    if response.truncated:
        session.tell_more(
            "the nearest and surest are shown, --limit shows others as far as a reply holds them"
        )


@atoms.command("merge")
@click.argument("atom_id", type=ID)
@click.argument("others", type=ID, nargs=-1, required=True)
@_reason
@command
async def atoms_merge(session: Session, atom_id: str, others: tuple[str, ...], reason: str) -> None:
    """Say that OTHERS are the same as ATOM_ID: it keeps its words and takes their evidence."""
    _refuse_itself(atom_id, others)
    request = pb.MergeAtomsRequest(
        atom_id=atom_id, merged_atom_ids=others, reason=reason, request_id=str(uuid4())
    )
    show(session, await session.call("extractor", ExtractorServiceStub, request))


@atoms.command("unmerge")
@click.argument("atom_id", type=ID)
@_reason
@command
async def atoms_unmerge(session: Session, atom_id: str, reason: str) -> None:
    """Say that a merged atom is not the same: it is live again, and never merged there by itself."""
    request = pb.UnmergeAtomRequest(atom_id=atom_id, reason=reason, request_id=str(uuid4()))
    show(session, await session.call("extractor", ExtractorServiceStub, request))


@topics.command("versions")
@click.argument("topic_id", type=ID)
@paged
@command
async def topics_versions(session: Session, topic_id: str, limit: int, page_token: str) -> None:
    """List the versions of a topic, newest first."""
    request = pb.ListTopicVersionsRequest(topic_id=topic_id, page_size=limit, page_token=page_token)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        print_page(session, response)
        return
    for version in response.versions:
        facts = f"{moment(version.created_at)} {change_of(version)}, {counted(version.message_count, 'message')}"
        parts = [(f"{version.version}. ", "bold"), (version.title, "bold"), (f"  {facts}", "dim")]
        session.console.print(Text.assemble(*parts, *diff_lines(version.diff)))
    show_more(session, response)


@topics.command("merge")
@click.argument("topic_id", type=ID)
@click.argument("others", type=ID, nargs=-1, required=True)
@click.option("--title", default="", help="The title from now on.")
@command
async def topics_merge(
    session: Session, topic_id: str, others: tuple[str, ...], title: str
) -> None:
    """Say that OTHERS are part of TOPIC_ID: their messages and atoms move there.

    `winnow topics split` takes it back, given the messages that were theirs: `winnow topics messages` lists them
    before.
    """
    _refuse_itself(topic_id, others)
    request = pb.MergeTopicsRequest(
        topic_id=topic_id, merged_topic_ids=others, title=title, request_id=str(uuid4())
    )
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        session.print_message(response)
    else:
        session.console.print(topic_line(response.topic))


@topics.command("split")
@click.argument("topic_id", type=ID)
@click.argument("messages", type=ID, nargs=-1, required=True)
@click.option("--title", required=True, help="The title of the new topic.")
@command
async def topics_split(
    session: Session, topic_id: str, messages: tuple[str, ...], title: str
) -> None:
    """Move MESSAGES out of TOPIC_ID into a new topic; no later reading moves them back."""
    request = pb.SplitTopicRequest(
        topic_id=topic_id, message_ids=messages, title=title, request_id=str(uuid4())
    )
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        session.print_message(response)
        return
    session.console.print(topic_line(response.topic))
    session.console.print(topic_line(response.rest))


@topics.command("rename")
@click.argument("topic_id", type=ID)
@click.argument("title")
@command
async def topics_rename(session: Session, topic_id: str, title: str) -> None:
    """Give TOPIC_ID another TITLE; later readings of its conversations keep it."""
    request = pb.RenameTopicRequest(topic_id=topic_id, title=title, request_id=str(uuid4()))
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        session.print_message(response)
    else:
        session.console.print(topic_line(response.topic))


def _refuse_itself(one: str, others: Sequence[str]) -> None:
    """Raise UsageError if one is among those that it is to be merged with."""
    if one in others:
        raise click.UsageError(f"{one} is named twice: nothing is merged with itself")


def topic_line(topic: types.Topic) -> Text:
    """A topic with its counts."""
    counts = f"  {topic.id}  {counted(topic.message_count, 'message')}, {counted(topic.atom_count, 'atom')}"
    return Text.assemble((topic.title, "bold"), (counts, "dim"))
