"""What search reads from the database: one function a query, always inside a transaction of one workspace."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.common.database import Connection
from services.search.conditions import Attribute, Condition, Leaf, Said, both, listed
from services.search.statements import KINDS, statement
from services.search.words import Term

Row = Any
_FIXED: Final = 9
# As a query of what is only excluded begins: no index finds what lacks words.
_EXCLUDED: Final = "!"


@dataclass(frozen=True, slots=True)
class Filter:
    """What a result must satisfy, in the order of the type search.filter; None lets everything through."""

    source_ids: tuple[UUID, ...] | None = None
    author_ids: tuple[str, ...] | None = None
    sent_after: datetime | None = None
    sent_before: datetime | None = None
    atom_types: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    topic_ids: tuple[UUID, ...] | None = None
    thread_ids: tuple[str, ...] | None = None
    words: str | None = None
    # What the database's type has no place for.
    condition: Condition | None = None
    # Only what was made up to this id, so that later pages see what the first one saw.
    made_until: UUID | None = None

    def arguments(self) -> tuple[Any, ...]:
        """The values of the parameters $1 to $9."""
        found: tuple[Any, ...] = _fixed(self)
        return found

    @property
    def is_empty(self) -> bool:
        """Whether everything gets through, except what is too new."""
        return self.condition is None and all(value is None for value in self.arguments())

    @property
    def conditions(self) -> Condition | None:
        """Everything that is asked beside the parameters $1 to $9."""
        if self.made_until is None:
            return self.condition
        return both(self.condition, Leaf(Attribute.MADE_UNTIL, (self.made_until,)))

    @property
    def enumerable(self) -> "Filter":
        """The same filter for a statement that lists all that satisfies it, not one that asks whether something does.

        The messages of a topic, what rests on an author's, and what has words are then found by these; as parameters
        they would be asked of every row there is.
        """
        sent = (self.sent_after, self.sent_before)
        said = [
            Leaf(attribute, values)
            for attribute, values in (
                (Attribute.AUTHOR, self.author_ids),
                (Attribute.THREAD, self.thread_ids),
                (Attribute.SENT, sent if any(sent) else None),
            )
            if values is not None
        ]
        condition = listed(self.condition)
        if said:
            condition = both(Said(tuple(said)), condition)
        if self.topic_ids is not None:
            condition = both(Leaf(Attribute.TOPIC, self.topic_ids), condition)
        words = self.words
        if words is not None and not words.startswith(_EXCLUDED):
            condition, words = both(Leaf(Attribute.WORDS, (words,)), condition), None
        fixed = Filter(source_ids=self.source_ids, atom_types=self.atom_types, labels=self.labels)
        return replace(fixed, words=words, condition=condition, made_until=self.made_until)


_fixed: Final = attrgetter(*(each.name for each in fields(Filter)[:_FIXED]))


@dataclass(frozen=True, slots=True)
class Generation:
    """The generation of vectors that searches read, and where its graphs end (see `of_segments`)."""

    id: UUID
    model: str
    dimensions: int
    bounds: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at by meaning: what satisfies a filter, of some kinds, by its vectors of a generation."""

    workspace: UUID
    generation: Generation
    filter: Filter
    kinds: tuple[str, ...]

    def statement(self, name: str) -> tuple[str, list[Any]]:
        """Return a statement about it, and the values of the conditions."""
        of = (self.generation.id, self.generation.dimensions)
        return statement(name, self.kinds, self.filter.conditions, *of)


# What a search reads by the hundred are tuples: they are made and compared at a fraction of the cost.


class Subject(NamedTuple):
    """A message, an atom or a topic."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Conversation:
    """A source or one of its threads."""

    source_id: UUID
    source_title: str
    thread_id: str


class Near(NamedTuple):
    """A subject and its cosine with the query."""

    subject: Subject
    cosine: float


class Document(NamedTuple):
    """A subject, the terms that occur in it (a bit each), and the count of its distinct words."""

    subject: Subject
    terms: int
    length: int


async def compile_terms(connection: Connection, terms: Sequence[Term]) -> dict[int, list[str]]:
    """Return the tsqueries of each term's forms by its place; terms of stop words alone are left out."""
    forms = [(place, form) for place, term in enumerate(terms) for form in term.alternatives]
    rows = await connection.fetch(
        _text("compile_terms"),
        [place for place, _ in forms],
        [form.match.value for _, form in forms],
        [form.text for _, form in forms],
    )
    return {row["term"]: row["forms"] for row in rows}


async def compile_constraint(
    connection: Connection, phrases: Sequence[str], exclusions: Sequence[str]
) -> str | None:
    """Return the tsquery that every result must match, if there is one."""
    query: str | None = await connection.fetchval(_text("compile_constraint"), phrases, exclusions)
    return query


async def count_documents(
    connection: Connection,
    workspace: UUID,
    kinds: Sequence[str],
    queries: Sequence[str],
    limit: int,
) -> dict[str, list[int]]:
    """Return for each kind in how many live documents each query matches, counted up to a limit."""
    counts = {kind: [0] * len(queries) for kind in kinds}
    text, _ = statement("count_documents", kinds)
    for row in await connection.fetch(text, workspace, queries, limit):
        counts[row["kind"]][row["term"] - 1] = row["documents"]
    return counts


async def match_documents(
    connection: Connection,
    workspace: UUID,
    chosen: Filter,
    kinds: Sequence[str],
    any_query: str,
    queries: Sequence[str],
    weights: Sequence[float],
    shape: tuple[float, float, float, int],
    scan_limit: int | None,
    limit: int,
) -> list[Document]:
    """Return the best documents that match any_query, if any is given; shape is BM25's k1, b, typical and least length.

    Conditions are asked of scan_limit of a kind at most, in no order; if it is None, of all.
    """
    weighed = queries, weights, *shape
    if scan_limit is None:
        chosen = chosen.enumerable
        words = " & ".join(f"({each})" for each in (any_query, chosen.words) if each) or None
        arguments = (*replace(chosen, words=words).arguments(), workspace, *weighed, limit)
        name = "match_listed"
    else:
        name = "match_documents" if chosen.conditions is None else "match_documents_where"
        arguments = (*chosen.arguments(), workspace, any_query, *weighed, scan_limit, limit)
    text, values = statement(name, kinds, chosen.conditions)
    return [_document(row) for row in await connection.fetch(text, *arguments, *values)]


async def newest_texts(connection: Connection, workspace: UUID, limit: int) -> list[str]:
    """Return the texts of the newest messages."""
    rows = await connection.fetch(_text("newest_texts"), workspace, limit)
    return [row["text"] for row in rows]


async def authors(
    connection: Connection, workspace: UUID, after: str, limit: int
) -> list[tuple[str, list[str]]]:
    """Return the next authors after an id, in order: their ids, and the names that they write under."""
    rows = await connection.fetch(_text("authors"), workspace, after, limit)
    return [(row["id"], row["names"]) for row in rows]


async def written(
    connection: Connection,
    workspace: UUID,
    authors: Collection[str],
    word: str,
    limits: tuple[int, int],
) -> tuple[int, int]:
    """Return how much authors wrote, and how many messages have a word, each counted up to a limit."""
    arguments = (workspace, list(authors), word, *limits)
    (row,) = await connection.fetch(_text("written"), *arguments)
    return row["written"], row["having"]


async def words_like(connection: Connection, workspace: UUID, start: str, limit: int) -> list[str]:
    """Return words of live messages that start with some letters (letters and digits only)."""
    rows = await connection.fetch(_text("words_like"), workspace, start, limit)
    return [row["word"] for row in rows]


async def cosines(
    connection: Connection,
    workspace: UUID,
    generation: Generation,
    subjects: Sequence[Subject],
    vectors: Sequence[bytes],
) -> dict[Subject, float]:
    """Return each subject's best cosine with any of some vectors; those not embedded yet are left out."""
    text, _ = statement("cosines", KINDS, None, generation.id, generation.dimensions)
    rows = await connection.fetch(text, workspace, *parallel(subjects), vectors)
    return {Subject(row["kind"], row["id"]): row["cosine"] for row in rows}


async def first_vectors(
    connection: Connection, workspace: UUID, generation: Generation, limit: int
) -> list[bytes]:
    """Return the vectors of the messages that were accepted first."""
    text, _ = statement("first_vectors", KINDS, None, generation.id, generation.dimensions)
    return [row["embedding"] for row in await connection.fetch(text, workspace, limit)]


async def serving_generation(connection: Connection) -> Generation | None:
    """Return the generation that serves, if there is one yet."""
    row = await connection.fetchrow(_text("serving_generation"))
    return _generation(row) if row else None


async def complete_generation(connection: Connection, generation: UUID) -> Generation | None:
    """Return a generation that serves or stands by, complete."""
    row = await connection.fetchrow(_text("complete_generation"), generation)
    return _generation(row) if row else None


async def count_everything(
    connection: Connection, workspace: UUID, kinds: Sequence[str], limit: int | None = None
) -> dict[str, int]:
    """Return how many live subjects of each kind there are, counted up to a limit if there is one."""
    text, _ = statement("count_everything", kinds)
    return {row["kind"]: row["documents"] for row in await connection.fetch(text, workspace, limit)}


async def messages(connection: Connection, workspace: UUID, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Return live messages by their ids."""
    return await _by_id(connection, "messages", workspace, ids)


async def atoms(connection: Connection, workspace: UUID, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Return atoms that hold, by their ids."""
    return await _by_id(connection, "atoms", workspace, ids)


async def topics(connection: Connection, workspace: UUID, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Return topics with their counts, by their ids."""
    return await _by_id(connection, "topics", workspace, ids)


async def evidence(
    connection: Connection, workspace: UUID, atom_ids: Sequence[UUID]
) -> dict[UUID, list[Row]]:
    """Return the evidence of atoms, in order, by their ids."""
    found: dict[UUID, list[Row]] = {atom: [] for atom in atom_ids}
    for row in await connection.fetch(_text("evidence"), workspace, atom_ids):
        found[row["atom_id"]].append(row)
    return found


async def subject_vectors(
    connection: Connection, workspace: UUID, generation: Generation, subject: Subject
) -> list[bytes]:
    """Return the vectors of the parts of a live subject; none if there is none or it has none yet."""
    of = (generation.id, generation.dimensions)
    text, _ = statement("subject_vectors", (subject.kind,), None, *of)
    return [row["embedding"] for row in await connection.fetch(text, workspace, subject.id)]


async def vectors(
    connection: Connection, workspace: UUID, generation: Generation, subjects: Sequence[Subject]
) -> dict[Subject, bytes]:
    """Return the vector of the first part of each subject that has one."""
    text, _ = statement("vectors", KINDS, None, generation.id, generation.dimensions)
    rows = await connection.fetch(text, workspace, *parallel(subjects))
    return {Subject(row["kind"], row["id"]): row["embedding"] for row in rows}


def parallel(subjects: Sequence[Subject]) -> tuple[list[str], list[UUID]]:
    """Return the kinds and the ids of subjects."""
    return [each.kind for each in subjects], [each.id for each in subjects]


def _generation(row: Row) -> Generation:
    return Generation(row["id"], row["model"], row["dimensions"], tuple(row["bounds"]))


def _text(name: str) -> str:
    return statement(name)[0]


async def _by_id(
    connection: Connection, name: str, workspace: UUID, ids: Sequence[UUID]
) -> dict[UUID, Row]:
    rows = await connection.fetch(_text(name), workspace, ids) if ids else []
    return {row["id"]: row for row in rows}


def _document(row: Row) -> Document:
    return Document(Subject(row["kind"], row["id"]), row["terms"], row["length"])
