"""What search reads from the database: one function a query, always inside a transaction of one workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.common import sql
from services.common.database import Connection

Row = Any
KINDS: Final = ("message", "atom", "topic")

_FILTER = (
    "row($1::uuid[], $2::text[], $3::timestamptz, $4::timestamptz, $5::text[], $6::text[], $7::uuid[], $8::text[],"
    " $9::text::tsquery)::search.filter"
)
_SQL: Final[Mapping[str, str]] = {
    name: text.replace("{filter}", _FILTER)
    for name, text in sql.load(Path(__file__).with_name("store.sql")).items()
}


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

    def arguments(self) -> tuple[Any, ...]:
        """The values of the parameters $1 to $9."""
        return tuple(getattr(self, each.name) for each in fields(self))

    @property
    def is_empty(self) -> bool:
        """Whether everything gets through."""
        return all(value is None for value in self.arguments())


@dataclass(frozen=True, slots=True)
class Generation:
    """The generation of vectors that searches read."""

    id: UUID
    model: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A message, an atom or a topic."""

    kind: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Near:
    """A subject and its cosine with the query."""

    subject: Subject
    cosine: float


@dataclass(frozen=True, slots=True)
class Document:
    """A subject, the terms that occur in it (a bit each), and the count of its distinct words."""

    subject: Subject
    terms: int
    length: int


@dataclass(frozen=True, slots=True)
class Step:
    """How many messages of a conversation one stands after another, or before it if negative."""

    anchor: UUID
    other: UUID
    count: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A live message near another one, and whether it satisfies the filter."""

    step: Step
    document: Document
    fits: bool


@dataclass(frozen=True, slots=True)
class Freshness:
    """How much waits for its vectors, and up to when everything has them."""

    pending: int
    searchable_up_to: datetime | None


def statements(generation: UUID, dimensions: int) -> dict[str, str]:
    """Every query by its name, as the server gets it."""
    return {name: _of_generation(text, generation, dimensions) for name, text in _SQL.items()}


def _of_generation(text: str, generation: UUID, dimensions: int) -> str:
    """Name the generation in the text itself, so that its partition and index are known to the planner."""
    named = text.replace("{generation}", str(UUID(str(generation))))
    return named.replace("{dimensions}", str(int(dimensions)))


async def compile_terms(
    connection: Connection, terms: Sequence[int], matches: Sequence[str], texts: Sequence[str]
) -> dict[int, str]:
    """Return a tsquery for each term from its alternatives; terms of stop words alone are left out."""
    rows = await connection.fetch(_SQL["compile_terms"], terms, matches, texts)
    return {row["term"]: row["query"] for row in rows}


async def compile_constraint(
    connection: Connection, phrases: Sequence[str], exclusions: Sequence[str]
) -> str | None:
    """Return the tsquery that every result must match, if there is one."""
    query: str | None = await connection.fetchval(_SQL["compile_constraint"], phrases, exclusions)
    return query


async def count_documents(
    connection: Connection, kinds: Sequence[str], queries: Sequence[str], limit: int
) -> dict[str, list[int]]:
    """Return for each kind in how many live documents each query matches, counted up to a limit."""
    counts = {kind: [0] * len(queries) for kind in kinds}
    rows = await connection.fetch(_SQL["count_documents"], kinds, queries, limit)
    for row in rows:
        counts[row["kind"]][row["term"] - 1] = row["documents"]
    return counts


async def match_documents(
    connection: Connection,
    chosen: Filter,
    kinds: Sequence[str],
    any_query: str,
    queries: Sequence[str],
    weights: Sequence[float],
    shape: tuple[float, float, float, int],
    scan_limit: int,
    limit: int,
) -> list[Document]:
    """Return the best documents that match any_query; shape is BM25's k1, b, typical and least length."""
    arguments = (kinds, any_query, queries, weights, *shape, scan_limit, limit)
    rows = await connection.fetch(_SQL["match_documents"], *chosen.arguments(), *arguments)
    return [_document(row) for row in rows]


async def words_like(connection: Connection, start: str, limit: int) -> list[str]:
    """Return words of live messages that start with some letters (letters and digits only)."""
    rows = await connection.fetch(_SQL["words_like"], start, limit)
    return [row["word"] for row in rows]


async def neighbours(
    connection: Connection,
    workspace: UUID,
    chosen: Filter,
    anchors: Sequence[UUID],
    queries: Sequence[str],
    within: timedelta,
    steps: int,
) -> list[Neighbour]:
    """Return the live messages around others in their conversations, and whether each satisfies the filter."""
    arguments = (workspace, anchors, queries, within, steps, chosen.is_empty)
    rows = await connection.fetch(_SQL["neighbours"], *chosen.arguments(), *arguments)
    return [
        Neighbour(
            Step(row["anchor"], row["id"], row["step"]),
            Document(Subject("message", row["id"]), row["terms"], row["length"]),
            row["fits"],
        )
        for row in rows
    ]


async def steps(
    connection: Connection,
    workspace: UUID,
    chosen: Filter,
    messages: Sequence[UUID],
    within: timedelta,
    steps_max: int,
) -> list[Step]:
    """Return the live messages around others in their conversations that satisfy the filter."""
    arguments = (workspace, messages, within, steps_max, chosen.is_empty)
    rows = await connection.fetch(_SQL["steps"], *chosen.arguments(), *arguments)
    return [Step(row["anchor"], row["id"], row["step"]) for row in rows]


async def cosines(
    connection: Connection,
    workspace: UUID,
    generation: Generation,
    messages: Sequence[UUID],
    vectors: Sequence[bytes],
) -> dict[UUID, float]:
    """Return each message's best cosine with any of some vectors; those not embedded yet are left out."""
    text = _of_generation(_SQL["cosines"], generation.id, generation.dimensions)
    rows = await connection.fetch(text, workspace, messages, vectors)
    return {row["id"]: row["cosine"] for row in rows}


async def serving_generation(connection: Connection) -> Generation | None:
    """Return the generation that serves, if there is one yet."""
    row = await connection.fetchrow(_SQL["serving_generation"])
    return Generation(row["id"], row["model"], row["dimensions"]) if row else None


async def complete_generation(connection: Connection, generation: UUID) -> Generation | None:
    """Return a generation that serves or stands by, complete."""
    row = await connection.fetchrow(_SQL["complete_generation"], generation)
    return Generation(row["id"], row["model"], row["dimensions"]) if row else None


async def count_live(
    connection: Connection, chosen: Filter, kinds: Sequence[str], limit: int
) -> dict[str, int]:
    """Return how many live subjects of each kind satisfy a filter, counted up to a limit."""
    rows = await connection.fetch(_SQL["count_live"], *chosen.arguments(), kinds, limit)
    return {row["kind"]: row["documents"] for row in rows}


async def nearest_exact(
    connection: Connection,
    workspace: UUID,
    generation: Generation,
    chosen: Filter,
    kinds: Sequence[str],
    vector: bytes,
    limit: int,
) -> list[Near]:
    """Compare a vector with everything that satisfies a filter; exact."""
    text = _of_generation(_SQL["nearest_exact"], generation.id, generation.dimensions)
    rows = await connection.fetch(text, *chosen.arguments(), workspace, kinds, vector, limit)
    return [_near(row) for row in rows]


async def nearest_hnsw(
    connection: Connection,
    workspace: UUID,
    generation: Generation,
    chosen: Filter,
    kinds: Sequence[str],
    vector: bytes,
    limit: int,
) -> tuple[list[Near], int]:
    """Walk the index until enough parts satisfy a filter; return their subjects and how many parts there were."""
    text = _of_generation(_SQL["nearest_hnsw"], generation.id, generation.dimensions)
    rows = await connection.fetch(text, *chosen.arguments(), workspace, kinds, vector, limit)
    return [_near(row) for row in rows], rows[0]["parts"] if rows else 0


async def widen_index_scan(connection: Connection, breadth: int) -> None:
    """Keep more candidates in this transaction's index scans."""
    await connection.execute("select set_config('hnsw.ef_search', $1, true)", str(breadth))


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
    for row in await connection.fetch(_SQL["evidence"], workspace, atom_ids):
        found[row["atom_id"]].append(row)
    return found


async def freshness(
    connection: Connection, workspace: UUID, generation: Generation | None
) -> Freshness:
    """Return what waits for its vector; without a serving generation everything does."""
    if generation is None:
        pending: int = await connection.fetchval(_SQL["count_missing"], workspace)
        return Freshness(pending, None)
    (row,) = await connection.fetch(_SQL["freshness"], generation.id)
    return Freshness(row["pending"], row["searchable_up_to"])


async def _by_id(
    connection: Connection, name: str, workspace: UUID, ids: Sequence[UUID]
) -> dict[UUID, Row]:
    if not ids:
        return {}
    rows = await connection.fetch(_SQL[name], workspace, ids)
    return {row["id"]: row for row in rows}


def _document(row: Row) -> Document:
    return Document(Subject(row["kind"], row["id"]), row["terms"], row["length"])


def _near(row: Row) -> Near:
    return Near(Subject(row["kind"], row["id"]), 1.0 - row["distance"])
