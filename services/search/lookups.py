"""What search reads beside the legs: counts, facets, groups, marked words, and vectors to compare with each other."""

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.speech import ASKING_WORDS_MAX
from services.search.statements import statement
from services.search.store import Conversation, Filter, Generation, Subject


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of an attribute, its title if it has one, and how many subjects have it."""

    value: str
    title: str
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """The most frequent values of some attributes, how many each has in all, and how many subjects were looked at."""

    values: dict[str, list[FacetValue]]
    distinct: dict[str, int]
    subjects: int


async def count_all(
    connection: Connection, workspace: UUID, chosen: Filter, kinds: Sequence[str]
) -> dict[str, int]:
    """Return how many live subjects of each kind satisfy a filter."""
    if chosen.is_empty and chosen.made_until is None:
        return await store.count_everything(connection, workspace, kinds)
    chosen = chosen.enumerable
    text, values = statement("count_all", kinds, chosen.conditions)
    rows = await connection.fetch(text, *chosen.arguments(), workspace, *values)
    return {row["kind"]: row["documents"] for row in rows}


async def facets(
    connection: Connection,
    workspace: UUID,
    chosen: Filter,
    kinds: Sequence[str],
    keys: Sequence[str],
    values_max: int,
    ids: Sequence[UUID] | None,
    title_part: str = "",
) -> Facets:
    """Count the values of attributes among what a filter leaves; only among some ids unless they are None.

    With `title_part` only those whose title has that in it, in any case.
    """
    everything = ids is None and chosen.is_empty
    name, chosen = "facets_of_everything" if everything else "facets", chosen.enumerable
    text, values = statement(name, kinds, chosen.conditions)
    arguments = (workspace, ids, keys, values_max, title_part)
    found: dict[str, list[FacetValue]] = defaultdict(list)
    distinct: dict[str, int] = {}
    subjects = 0
    for row in await connection.fetch(text, *chosen.arguments(), *arguments, *values):
        if not row["key"]:
            subjects = row["n"]
            continue
        found[row["key"]].append(FacetValue(row["value"], row["title"] or "", row["n"]))
        distinct[row["key"]] = row["distinct_values"]
    return Facets(found, distinct, subjects)


async def gone(connection: Connection, workspace: UUID, subjects: Sequence[Subject]) -> set[UUID]:
    """Return which of some subjects that were found may not be shown."""
    text, _ = statement("gone")
    of_kind = ([each.id for each in subjects if each.kind == kind] for kind in ("message", "atom"))
    rows = await connection.fetch(text, workspace, *of_kind)
    return {row["id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Settling:
    """What holds results back: messages that prove nothing any more, with what replaced that, what ended last first;
    and messages and atoms that only ask, with what was told to that, atoms and messages.
    """

    ended: dict[UUID, Set[UUID]]
    asking: dict[UUID, Set[UUID]]


async def settling(
    connection: Connection,
    workspace: UUID,
    subjects: Sequence[Subject],
    *,
    asked: bool,
) -> Settling:
    """Look up what holds some subjects back; which of them only ask, if anything was asked that somebody was told."""
    text, _ = statement("settling")
    messages = [each.id for each in subjects if each.kind == "message"]
    atoms = [each.id for each in subjects if each.kind == "atom"]
    rows = await connection.fetch(text, workspace, messages, atoms, asked, ASKING_WORDS_MAX)
    found: dict[str, dict[UUID, Set[UUID]]] = {"ended": {}, "asking": {}}
    for row in rows:
        found[row["what"]][row["id"]] = frozenset(row["others"])
    return Settling(**found)


async def topics_of(
    connection: Connection, workspace: UUID, subjects: Sequence[Subject]
) -> dict[Subject, list[UUID]]:
    """Return the live topics that messages and atoms belong to; a topic belongs to itself."""
    found: dict[Subject, list[UUID]] = defaultdict(list)
    text, _ = statement("group_by_topic")
    for row in await connection.fetch(text, workspace, [each.id for each in subjects]):
        found[Subject(row["kind"], row["id"])].append(row["topic_id"])
    found |= {each: [each.id] for each in subjects if each.kind == "topic"}
    return found


async def conversations_of(
    connection: Connection, workspace: UUID, subjects: Sequence[Subject]
) -> dict[Subject, Conversation]:
    """Return where messages and topics are, and where atoms were said first."""
    text, _ = statement("group_by_conversation")
    rows = await connection.fetch(text, workspace, [each.id for each in subjects])
    return {
        Subject(row["kind"], row["id"]): Conversation(
            row["source_id"], row["source_title"], row["thread_id"]
        )
        for row in rows
    }


async def mark(
    connection: Connection, texts: Sequence[str], query: str, marks: tuple[str, str]
) -> list[str]:
    """Return texts with the words that a query matches between two marks."""
    text, _ = statement("highlight")
    options = f"HighlightAll=true, StartSel={marks[0]}, StopSel={marks[1]}"
    rows = await connection.fetch(text, texts, query, options)
    return [row["marked"] for row in sorted(rows, key=lambda row: int(row["n"]))]


async def matching(connection: Connection, texts: Sequence[str], query: str) -> set[int]:
    """Return the places of the texts that a query matches."""
    text, _ = statement("matching")
    return {row["n"] - 1 for row in await connection.fetch(text, texts, query)}


async def newest_vectors(
    connection: Connection,
    workspace: UUID,
    generation: Generation,
    chosen: Filter,
    kind: str,
    limit: int,
) -> list[tuple[UUID, bytes | None]]:
    """Return the newest subjects that a filter leaves, oldest first, with the vectors of their whole texts, if any."""
    chosen = chosen.enumerable
    text, values = statement(
        "newest_vectors", (kind,), chosen.conditions, generation.id, generation.dimensions
    )
    rows = await connection.fetch(text, *chosen.arguments(), workspace, limit, *values)
    return [(row["id"], row["embedding"]) for row in rows]
