"""What is on a page: its results or groups, read, with their surroundings and their marked words."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search import grouping, highlighting, paging, store
from services.search.answer import Answer, Around
from services.search.contents import Contents
from services.search.question import Question
from services.search.ranking import Fused
from services.search.store import Filter, Step, Subject

_AROUND_WITHIN: Final = timedelta(days=1)


async def present(
    connection: Connection, workspace: UUID, question: Question, answer: Answer
) -> None:
    """Put the page into the answer; what was deleted meanwhile is left out."""
    dress = question.dress
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
    around: dict[UUID, Around] = {}
    if dress.neighbours:
        around = await _around(connection, workspace, shown, dress.neighbours)
        others = {each for a in around.values() for each in (*a.before, *a.after)}
        subjects += [Subject("message", each) for each in others]
    answer.contents = await Contents.read(connection, workspace, list(dict.fromkeys(subjects)))
    answer.around = around
    answer.results = [each for each in answer.page if each.subject in answer.contents]
    if dress.highlight and answer.lookup is None:
        answer.lookup = await highlighting.look_up(connection, question.text)
    if dress.highlight and answer.lookup is not None:
        found = [each.subject for each in shown if each.subject in answer.contents]
        answer.highlights = await highlighting.highlights(
            connection, answer.contents, found, answer.lookup.queries
        )


async def _around(
    connection: Connection, workspace: UUID, shown: Sequence[Fused], count: int
) -> dict[UUID, Around]:
    """Find the live messages before and after each message, whatever the filter says of them."""
    messages = [each.subject.id for each in shown if each.subject.kind == "message"]
    steps, _ = await store.steps(connection, workspace, Filter(), messages, _AROUND_WITHIN, count)
    by_anchor: dict[UUID, list[Step]] = {message: [] for message in messages}
    for step in steps:
        by_anchor[step.anchor].append(step)
    return {anchor: _split(found) for anchor, found in by_anchor.items()}


def _split(steps: Sequence[Step]) -> Around:
    ordered = sorted(steps, key=lambda step: step.apart)
    return Around(
        tuple(step.other for step in ordered if step.apart < 0),
        tuple(step.other for step in ordered if step.apart > 0),
    )
