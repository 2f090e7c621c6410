"""Results put together by topic or by conversation."""

from collections.abc import Sequence
from uuid import UUID, uuid5

from services.common.database import Connection
from services.search import lookups
from services.search.answer import Group
from services.search.paging import page_of
from services.search.question import Place
from services.search.ranking import Fused
from services.search.store import Conversation

Key = UUID | Conversation | None


async def group(
    connection: Connection, workspace: UUID, ranked: Sequence[Fused], by: str
) -> list[Group]:
    """Group a ranking by `topic` or `conversation`; the group with the best result comes first."""
    subjects = [each.subject for each in ranked]
    members: dict[Key, list[Fused]] = {}
    if by == "topic":
        topics = await lookups.topics_of(connection, workspace, subjects)
        for each in ranked:
            found: list[Key] = [*topics.get(each.subject, ())] or [None]
            for topic in found:
                members.setdefault(topic, []).append(each)
    else:
        conversations = await lookups.conversations_of(connection, workspace, subjects)
        for each in ranked:
            if each.subject in conversations:
                members.setdefault(conversations[each.subject], []).append(each)
    groups = [Group(key, tuple(of_key)) for key, of_key in members.items()]
    places = {each.subject: place for place, each in enumerate(ranked)}
    return sorted(groups, key=lambda each: (places[each.members[0].subject], _name(each.key)))


def page(groups: Sequence[Group], after: Place | None, count: int) -> tuple[list[Group], bool]:
    """Return the groups after a place, and whether there are more."""
    _, found, more = page_of(groups, after, count, _position)
    return list(found), more


def place_after(groups: Sequence[Group], offset: int) -> Place:
    """Where the page that ends with these groups ends."""
    score, best, key = _position(groups[-1])
    return Place(offset + len(groups), -score, best, key)


def _position(group: Group) -> tuple[float, UUID, str]:
    """Groups in the order of their best results; those that share one, by their keys."""
    best = group.members[0]
    return -best.score, best.subject.id, _name(group.key)


def _name(key: Key) -> str:
    """A key in few letters, for page tokens: those of a conversation stay the same when its source is renamed."""
    return str(uuid5(key.source_id, key.thread_id) if isinstance(key, Conversation) else key)
