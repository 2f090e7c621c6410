"""`winnow authors`: who wrote messages, with the ids that other commands take as --author."""

from collections.abc import AsyncIterator, Sequence

import click

from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.paging import limited, listing
from services.cli.values import ID
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

# So many are in one reply, and so many are listed: each call names those that are known, to leave them out.
PAGE_AUTHORS = 100
AUTHORS_MAX = 1_000


@click.group(cls=Group)
def authors() -> None:
    """List who wrote messages."""


@authors.command("list")
@click.option("--name", default="", help="Only whose name has this in it, in any case.")
@click.option(
    "--source", "sources", multiple=True, type=ID, help="Only of this source's id; repeatable."
)
@limited(AUTHORS_MAX)
@command
async def authors_list(session: Session, name: str, sources: tuple[str, ...], limit: int) -> None:
    """List who wrote messages, most of them first: the id that --author and `winnow erase author` take, and the name.

    The same id in several sources is one author. Of very many, the 1,000 who wrote most are listed; --name and --source
    find others.
    """
    found: list[pb.FacetValue] = []
    is_cut = False
    async for counts in _pages(session, sources, name):
        found += counts.values
        is_cut = counts.more_values > 0
        if len(found) > limit:
            break
    if session.as_json:
        session.print_json({"authors": [_as_row(each) for each in found[:limit]]})
    else:
        _show(session, found[:limit])
    if len(found) > limit:
        session.tell_more("--limit shows those who wrote less")
    elif is_cut:
        session.tell_more(
            f"only the {AUTHORS_MAX:,} who wrote most are listed, --name and --source narrow that"
        )


def _show(session: Session, found: Sequence[pb.FacetValue]) -> None:
    table = listing("id", "name", "messages", texts=("name",))
    for value in found:
        table.add_entry(value.value, value.title, f"{value.count:,}")
    session.console.print(table if table.row_count else "no such authors")


async def ids_of(session: Session, typed: Sequence[str]) -> list[str]:
    """What to say of names that were typed in place of ids, and of ids that nobody has."""
    hints = []
    for name in dict.fromkeys(typed):
        by_them = pb.SearchFilter(author_external_ids=[name])
        request = pb.CountRequest(kinds=[types.SUBJECT_KIND_MESSAGE], filter=by_them)
        if (await session.call("search", SearchServiceStub, request)).count:
            continue
        pages = [counts async for counts in _pages(session, name=name)] if name else []
        called = [each for counts in pages for each in counts.values]
        ids = [each.value for each in called if each.title.casefold() == name.casefold()]
        if ids:
            hints.append(f"{name} is a name, of the id " + " and of ".join(ids))
        elif name:
            hints.append(f"nobody has the id {name}; `winnow authors list` tells who has which")
        else:
            hints.append("there is no message without an author's id")
    return hints


async def _pages(
    session: Session, sources: Sequence[str] = (), name: str = ""
) -> AsyncIterator[pb.FacetCounts]:
    """Authors, who wrote most first; the last page says whether there are more than are listed."""
    among = pb.CountRequest(
        kinds=[types.SUBJECT_KIND_MESSAGE], filter=pb.SearchFilter(source_ids=sources)
    )
    for _ in range(AUTHORS_MAX // PAGE_AUTHORS):
        request = pb.FacetRequest(
            keys=[pb.FACET_KEY_AUTHOR], values_max=PAGE_AUTHORS, among=among, title_contains=name
        )
        reply = await session.call("search", SearchServiceStub, request)
        (counts,) = reply.facets
        yield counts
        if not counts.more_values:
            return
        among.filter_expression.none_of.expressions.add(
            author_external_ids=pb.TextList(values=[each.value for each in counts.values])
        )


def _as_row(value: pb.FacetValue) -> dict[str, str | int]:
    return {"id": value.value, "name": value.title, "messages": value.count}
