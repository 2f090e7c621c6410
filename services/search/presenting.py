"""What is on a page: its results or groups, read, with their surroundings and their marked words."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search import grouping, highlighting, lookups, paging
from services.search.answer import Answer, Around
from services.search.contents import Contents
from services.search.question import Search
from services.search.ranking import Fused
from services.search.store import Filter, Subject
from services.search.vicinity import Vicinity

# However long nobody spoke: longer than any chat lasts, and PostgreSQL still has a time so long before one.
_AROUND_WITHIN: Final = timedelta(days=1_000_000)


async def present(connection: Connection, search: Search, answer: Answer) -> None:
    """Put the page into the answer; what was deleted meanwhile is left out, and what comes next moves up."""
    workspace, question = search.workspace, search.question
    if question.dress.group_by:
        # In the same groups, whichever page is asked for.
        await _drop_what_is_gone(connection, workspace, answer)
    shown = await _cut(connection, search, answer)
    if not question.dress.group_by and any(each.subject not in answer.contents for each in shown):
        await _drop_what_is_gone(connection, workspace, answer)
        cut_short = answer.more and paging.is_part(question, answer)
        gone = answer.page
        shown = await _cut(connection, search, answer)
        if cut_short:
            # Where nothing else was looked at the next page goes on after what is gone.
            answer.more, answer.page = True, answer.page or gone
    answer.results = [each for each in answer.page if each.subject in answer.contents]
    answer.groups = [
        group
        for group in answer.groups
        if any(
            each.subject in answer.contents for each in group.members[: question.dress.group_size]
        )
    ]
    if answer.sought is not None:
        near = [each.subject for each in shown if "semantic" in each.places]
        answer.cosines = await answer.sought.cosines(connection, workspace, near)
    if question.dress.highlight:
        queries = await highlighting.queries_of(connection, question.text, answer.lookup)
        found = [each.subject for each in shown if each.subject in answer.contents]
        answer.highlights = await highlighting.highlights(
            connection, answer.contents, found, queries
        )


async def _cut(connection: Connection, search: Search, answer: Answer) -> list[Fused]:
    """Cut the page out of the ranking and read it; return the results that are on it or in its groups."""
    workspace, question, dress = search.workspace, search.question, search.question.dress
    if dress.group_by:
        groups = await grouping.group(connection, workspace, answer.ranked, dress.group_by)
        answer.groups, answer.more = grouping.page(groups, question.after, question.count)
        answer.total = len(groups)
        shown = [each for group in answer.groups for each in group.members[: dress.group_size]]
        keys = [Subject("topic", g.key) for g in answer.groups if isinstance(g.key, UUID)]
    else:
        shown, answer.more = paging.page(answer.ranked, question.after, question.count)
        answer.page, keys = shown, []
    subjects = list(dict.fromkeys([*(each.subject for each in shown), *keys]))
    answer.around = {}
    if dress.neighbours:
        answer.around = await _around(connection, workspace, shown, dress.neighbours)
        others = {each for a in answer.around.values() for each in (*a.before, *a.after)}
        subjects += [Subject("message", each) for each in others]
    answer.contents = await Contents.read(connection, workspace, list(dict.fromkeys(subjects)))
    return shown


async def _drop_what_is_gone(connection: Connection, workspace: UUID, answer: Answer) -> None:
    """Take out of the ranking whatever may not be shown, so that it has no place on a page or in a group."""
    subjects = [each.subject for each in answer.ranked]
    gone = await lookups.gone(connection, workspace, subjects)
    kept = [each for each in answer.ranked if each.subject.id not in gone]
    answer.ranked, answer.gone = kept, len(answer.ranked) - len(kept)


async def _around(
    connection: Connection, workspace: UUID, shown: Sequence[Fused], count: int
) -> dict[UUID, Around]:
    """Find the live messages before and after each message, whatever the filter says of them."""
    messages = list(dict.fromkeys(e.subject.id for e in shown if e.subject.kind == "message"))
    vicinity = await Vicinity.read(
        connection, workspace, Filter(), messages, (), _AROUND_WITHIN, count
    )
    seen, by_anchor = vicinity.seen, defaultdict[UUID, list[tuple[int, UUID]]](list)
    for anchor, place, step in zip(
        seen.anchors.tolist(), seen.places.tolist(), seen.steps.tolist(), strict=True
    ):
        by_anchor[messages[anchor]].append((step, vicinity.ids[place]))
    return {anchor: _split(sorted(by_anchor[anchor])) for anchor in messages}


def _split(ordered: Sequence[tuple[int, UUID]]) -> Around:
    return Around(
        tuple(other for step, other in ordered if step < 0),
        tuple(other for step, other in ordered if step > 0),
    )
