"""`winnow topics` and `winnow atoms`: what conversations have taught."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.text import Text

from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.paging import PAGE_MAX, listing, paged, print_page, show_more, show_page
from services.cli.searching import ATOM_TYPES, author_of, cited, signed
from services.cli.values import ID, MOMENT, counted, moment, number, set_moment, word, words
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.types.v1 import types_pb2 as types

F = TypeVar("F", bound=Callable[..., Any])


def as_of(function: F) -> F:
    """Give a command --as-of."""
    option = click.option("--as-of", type=MOMENT, help="What held then (UTC); now if not given.")
    return option(function)


# --- topics


@click.group(cls=Group)
def topics() -> None:
    """Show what conversations were about."""


@topics.command("list")
@click.option("--source", type=ID, default="", help="Only of this source's id.")
@as_of
@paged
@command
async def topics_list(
    session: Session, source: str, as_of: datetime | None, limit: int, page_token: str
) -> None:
    """List topics, the one with the latest message first."""
    request = pb.ListTopicsRequest(page_size=limit, page_token=page_token, source_id=source)
    set_moment(request, "as_of", as_of)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        print_page(session, response)
        return
    table = listing("id", "messages", "atoms", "last message", "title", texts=("title",))
    for topic in response.topics:
        counts = (str(topic.message_count), str(topic.atom_count))
        table.add_entry(topic.id, *counts, moment(topic.last_message_at), topic.title)
    show_page(session, table, response, "topics")


@topics.command("show")
@click.argument("topic_id", type=ID)
@as_of
@command
async def topics_show(session: Session, topic_id: str, as_of: datetime | None) -> None:
    """Show a topic with its atoms and who said them."""
    asked = pb.GetTopicRequest(topic_id=topic_id)
    set_moment(asked, "as_of", as_of)
    response = await session.call("extractor", ExtractorServiceStub, asked)
    if session.as_json:
        session.print_message(response)
        return
    topic = response.topic
    span = f"{moment(topic.first_message_at)} to {moment(topic.last_message_at)}"
    session.console.print(Text.assemble((topic.title, "bold"), f"\n{topic.id}"))
    session.console.print(
        f"{counted(topic.message_count, 'message')}, {span}; {counted(topic.atom_count, 'atom')}"
    )
    if not response.atom_ids:
        return
    request = pb.ListAtomsRequest(topic_id=topic_id, page_size=PAGE_MAX, include_messages=True)
    set_moment(request, "as_of", as_of)
    listed = await session.call("extractor", ExtractorServiceStub, request)
    for atom in listed.atoms:
        session.console.print(Text.assemble("\n", *atom_lines(atom)))
    if listed.next_page_token:
        session.tell_more(f"`winnow atoms list --topic {topic_id}` goes through all atoms")


@topics.command("messages")
@click.argument("topic_id", type=ID)
@as_of
@paged
@command
async def topics_messages(
    session: Session, topic_id: str, as_of: datetime | None, limit: int, page_token: str
) -> None:
    """List the messages of a topic, oldest first, with the ids that `split` takes."""
    request = pb.ListTopicMessagesRequest(topic_id=topic_id, page_size=limit, page_token=page_token)
    set_moment(request, "as_of", as_of)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        print_page(session, response)
        return
    table = listing("id", "message", texts=("message",))
    for message in response.messages:
        table.add_row(message.id, Text.assemble(*signed(message)))
    show_page(session, table, response, "messages")


# --- atoms


@click.group(cls=Group)
def atoms() -> None:
    """Show the pieces of knowledge that were found, and what they rest on."""


@atoms.command("list")
@click.option("--type", "atom_type", type=click.Choice(ATOM_TYPES), help="Only of this type.")
@click.option("--topic", type=ID, default="", help="Only of this topic's id.")
@click.option("--source", type=ID, default="", help="Only of this source's id.")
@click.option(
    "--state", "--approval", "state", type=click.Choice(words(types.ApprovalState)),
    help="Only in this state; in any but rejected if not given.",
)  # fmt: skip
@click.option("--invalidated", is_flag=True, help="What was invalidated instead of what is live.")
@as_of
@paged
@command
async def atoms_list(
    session: Session, atom_type: str | None, topic: str, source: str, state: str | None,
    invalidated: bool, as_of: datetime | None, limit: int, page_token: str,
) -> None:  # fmt: skip
    """List atoms, newest first; rejected ones only with --state rejected."""
    if invalidated and as_of:
        raise click.UsageError(
            "--invalidated and --as-of exclude each other: what was wrong held at no time"
        )
    request = pb.ListAtomsRequest(
        page_size=limit,
        page_token=page_token,
        type=number(types.AtomType, atom_type),  # type: ignore[arg-type]
        topic_id=topic,
        source_id=source,
        approval_state=number(types.ApprovalState, state),  # type: ignore[arg-type]
        only_invalidated=invalidated,
        include_messages=True,
    )
    set_moment(request, "as_of", as_of)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        print_page(session, response)
        return
    table = listing("id", "type", "state", "title", "said by", texts=("title", "said by"))
    for atom in response.atoms:
        shown = [each for each in atom.evidence if each.HasField("message")]
        said = ", ".join(dict.fromkeys(author_of(each.message) for each in shown))
        kind = word(types.AtomType, atom.type)
        table.add_entry(atom.id, kind, standing(atom), atom.title, said)
    show_page(session, table, response, "atoms")


@atoms.command("show")
@click.argument("atom_id", type=ID)
@as_of
@command
async def atoms_show(session: Session, atom_id: str, as_of: datetime | None) -> None:
    """Show an atom with its evidence, who said it, and its links."""
    request = pb.GetAtomRequest(atom_id=atom_id)
    set_moment(request, "as_of", as_of)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        session.print_message(response)
        return
    session.console.print(Text.assemble(*atom_lines(response.atom)))
    for link in response.links:
        session.console.print(f"  [dim]→[/dim] {link_line(link, response.atom.id)}")


def link_line(link: pb.AtomLink, atom_id: str) -> str:
    """A link as seen from an atom: how it bears, on which, and how surely."""
    kind = word(types.LinkType, link.type).replace("_", " ")
    there = link.from_atom_id == atom_id
    ends = f"{kind} {link.to_atom_id}" if there else f"{link.from_atom_id} {kind} this"
    return f"{ends}  [dim]{link.confidence:.2f}, by {word(pb.LinkOrigin, link.origin)}[/dim]"


@atoms.command("versions")
@click.argument("atom_id", type=ID)
@paged
@command
async def atoms_versions(session: Session, atom_id: str, limit: int, page_token: str) -> None:
    """List the versions of an atom, newest first."""
    request = pb.ListAtomVersionsRequest(atom_id=atom_id, page_size=limit, page_token=page_token)
    response = await session.call("extractor", ExtractorServiceStub, request)
    if session.as_json:
        print_page(session, response)
        return
    for version in response.versions:
        session.console.print(Text.assemble(*version_lines(version)))
    show_more(session, response)


def version_lines(version: pb.AtomVersion) -> list[str | tuple[str, str]]:
    """A version in full: its words, when they were made and why, what is new in them, and what became of them."""
    judged = word(types.ApprovalState, version.approval_state)
    facts = f"{moment(version.created_at)} {change_of(version)}, {counted(version.evidence_count, 'message')}"
    lines: list[str | tuple[str, str]] = [
        (f"{version.version}. ", "bold"),
        (f"{word(types.AtomType, version.type)}: ", "green"),
        (version.title, "bold"),
        f"\n{indented(version.content)}\n",
        (f"  {facts}, {judged}", "dim"),
        (f": {version.reason}" if version.reason else "", "dim"),
    ]
    return lines + diff_lines(version.diff)


def change_of(version: Any) -> str:
    """Why there is a version, with what caused it."""
    cause = getattr(version, "cause_atom_id", "") or getattr(version, "cause_topic_id", "")
    name = word(pb.VersionChange, version.change)
    joint = "from" if version.change == pb.VERSION_CHANGE_PARTED else "with"
    return f"{name} {joint} {cause}" if cause else name


def indented(text: str) -> str:
    """A text of several lines, as it stands under a title."""
    return "\n".join(f"  {line}" for line in text.splitlines())


_MARKS = {
    pb.WORD_CHANGE_KIND_ADDED: "green",
    pb.WORD_CHANGE_KIND_REMOVED: "red strike",
}


def diff_lines(diff: Sequence[pb.WordChange]) -> list[str | tuple[str, str]]:
    """The words that a version added and removed; without colours, in {+ +} and [- -]."""
    lines: list[str | tuple[str, str]] = []
    field = ""
    for change in diff:
        if change.field != field:
            field = change.field
            lines.append((f"\n  {field}: ", "dim"))
        lines.append((_marked(change), _MARKS.get(change.kind, "dim")))
    return lines


def _marked(change: pb.WordChange) -> str:
    if change.kind == pb.WORD_CHANGE_KIND_ADDED:
        return f"{{+{change.text}+}}"
    return f"[-{change.text}-]" if change.kind == pb.WORD_CHANGE_KIND_REMOVED else change.text


def standing(atom: types.Atom) -> str:
    """Whether an atom was judged, and whether it still holds."""
    judged = word(types.ApprovalState, atom.approval_state)
    judged += " by rule" if atom.approved_by_rule else ""
    if atom.HasField("invalidated_at"):
        return f"{judged}, invalidated {moment(atom.invalidated_at)}"
    if atom.merged_into_id:
        return f"merged into {atom.merged_into_id}"
    if atom.superseded_by_id:
        return f"{judged}, ended {moment(atom.valid_to)} by {atom.superseded_by_id}"
    return f"{judged}, ended {moment(atom.valid_to)}" if atom.HasField("valid_to") else judged


def atom_lines(atom: types.Atom) -> list[str | tuple[str, str]]:
    """An atom in full: what it says, and each passage with who said it."""
    facts = f"{standing(atom)}, version {atom.version}, confidence {atom.confidence:.2f}"
    parts: list[str | tuple[str, str]] = [
        (f"{word(types.AtomType, atom.type)}: ", "green"),
        (atom.title, "bold"),
        f"\n{indented(atom.content)}\n",
        (f"  {atom.id}  {facts}", "dim"),
    ]
    if atom.topic_title:
        parts.append((f"\n  topic {atom.topic_id}  {atom.topic_title}", "dim"))
    for evidence in atom.evidence:
        parts += ["\n  ", ("← ", "dim"), *cited(evidence)]
    return parts
