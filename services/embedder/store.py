"""The queries of the embedder, one typed function each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.common import sql
from services.common.database import Connection
from services.common.vectors import Matrix, to_halfvecs
from services.embedder.specs import KINDS

T = TypeVar("T")

QUERIES = sql.load(Path(__file__).with_name("store.sql"))

Subject = tuple[str, UUID]
"""A kind and an id."""

LATEST = UUID(int=(1 << 128) - 1)
"""Later than every id that has a time."""

# For so long the vectors of what an erasure names are left to it; then reconciliation removes what is still there.
ERASURE_UNDER_WAY = timedelta(minutes=10)


@dataclass(frozen=True)
class SubjectText:
    """A live subject: its text as it is now, what filters need, how many current vectors it has, and whether any."""

    kind: str
    subject_id: UUID
    text: str
    text_sha256: bytes
    source_id: UUID
    sent_at: datetime
    vectors: int
    held: bool

    @property
    def key(self) -> Subject:
        """The kind and id of the subject."""
        return self.kind, self.subject_id


@dataclass(frozen=True)
class SubjectVectors:
    """What is to be stored of a subject in one generation; rows as in TextVectors."""

    subject: SubjectText
    generation: UUID
    rows: Matrix

    @property
    def key(self) -> Subject:
        """The kind and id of the subject."""
        return self.subject.key


@dataclass(frozen=True)
class Debt:
    """How many subjects of one kind have no current vector, and how many of those will not get one."""

    kind: str
    missing: int
    dead: int


async def read_subjects(
    connection: Connection, workspace: UUID, generation: UUID, subjects: Iterable[Subject]
) -> dict[Subject, SubjectText]:
    """Return those of the subjects that are live."""
    rows = await connection.fetch(
        QUERIES["read_subjects"], workspace, generation, *_by_kind(subjects)
    )
    return {(row["kind"], row["subject_id"]): SubjectText(**row) for row in rows}


async def current_texts(
    connection: Connection, workspace: UUID, subjects: Iterable[Subject]
) -> dict[Subject, bytes]:
    """Return the hash of the text of those of the subjects that are live."""
    rows = await connection.fetch(QUERIES["current_texts"], workspace, *_by_kind(subjects))
    return {(row["kind"], row["subject_id"]): row["text_sha256"] for row in rows}


async def lock_for_writing(connection: Connection, workspace: UUID) -> None:
    """Let nobody remove vectors of the workspace until this transaction ends."""
    await connection.execute(QUERIES["lock_for_writing"], workspace)


async def lock_for_removing(connection: Connection, workspace: UUID) -> None:
    """Wait for all who write vectors of the workspace, and keep others out until this transaction ends."""
    await connection.execute(QUERIES["lock_for_removing"], workspace)


async def add_vectors(
    connection: Connection, workspace: UUID, generation: UUID, subjects: Sequence[SubjectVectors]
) -> None:
    """Store the vectors of subjects that have none, in one statement; Duplicate if one has some by now."""
    if subjects:
        place = workspace, generation
        await connection.execute(QUERIES["add_vectors"], *place, *_columns(_rows(subjects)))


async def replace_vectors(
    connection: Connection, workspace: UUID, generation: UUID, subjects: Sequence[SubjectVectors]
) -> None:
    """Store the vectors of subjects whatever they have, and remove parts that a shorter text no longer has."""
    if subjects:
        place = workspace, generation
        await connection.execute(QUERIES["replace_vectors"], *place, *_columns(_rows(subjects)))
        kinds, ids = [each.key[0] for each in subjects], [each.key[1] for each in subjects]
        parts = [len(each.rows) for each in subjects]
        await connection.execute(QUERIES["remove_surplus"], *place, kinds, ids, parts)


class _Row(NamedTuple):
    text: SubjectText
    part: int
    vector: npt.NDArray[np.float32]


def _rows(subjects: Sequence[SubjectVectors]) -> list[_Row]:
    """The rows of subjects, sorted by key."""
    ordered = sorted(subjects, key=lambda each: (each.subject.kind, each.subject.subject_id.bytes))
    return [
        _Row(each.subject, part, vector)
        for each in ordered
        for part, vector in enumerate(each.rows)
    ]


def _columns(rows: Sequence[_Row]) -> tuple[Sequence[object], ...]:
    return (
        _once([row.text.kind for row in rows]),
        [row.text.subject_id for row in rows],
        _once([row.part for row in rows]),
        [row.text.text_sha256 for row in rows],
        to_halfvecs(np.stack([row.vector for row in rows])),
        _once([row.text.source_id for row in rows]),
        [row.text.sent_at for row in rows],
    )


def _once(values: list[T]) -> list[T]:
    """The first alone if all are the same: an array costs the driver as much as its elements do."""
    return values[:1] if values.count(values[0]) == len(values) else values


async def ask_for_merging(
    connection: Connection, workspace: UUID, generation: UUID, written: Sequence[SubjectVectors]
) -> None:
    """Have atoms and topics compared with what is known, now that they have vectors; only in the serving generation."""
    found = [each for each in written if each.key[0] != "message"]
    if found:
        await connection.fetchval(
            QUERIES["ask_for_merging"],
            workspace,
            generation,
            [each.key[0] for each in found],
            [each.key[1] for each in found],
            [each.subject.text_sha256 for each in found],
        )


async def remove_outdated(
    connection: Connection, workspace: UUID, generation: UUID, subjects: Sequence[Subject]
) -> None:
    """Remove every vector of the subjects that is not of their text as it is now."""
    kinds, ids = [kind for kind, _ in subjects], [subject for _, subject in subjects]
    await connection.execute(QUERIES["remove_outdated"], workspace, generation, kinds, ids)


async def erase_vectors(
    connection: Connection, workspace: UUID, operation: UUID, of_what: str, chunk: int
) -> None:
    """Remove every vector of what an erasure names, in all generations, and report how many there were."""
    place = (workspace, operation, of_what, chunk)
    rows = await connection.fetch(QUERIES["erased_subjects"], *place)
    kinds, ids = [row["kind"] for row in rows], [row["id"] for row in rows]
    count = await connection.fetchval(QUERIES["remove_vectors"], workspace, kinds, ids)
    await connection.execute(QUERIES["add_erasure"], *place, count)


async def now(connection: Connection) -> datetime:
    """Return the time by the database's clock."""
    moment: datetime = await connection.fetchval(QUERIES["now"])
    return moment


async def workspaces(connection: Connection) -> list[UUID]:
    """Return the ids of all workspaces."""
    return [row["workspace_id"] for row in await connection.fetch(QUERIES["workspaces"])]


async def embeddable_until(
    connection: Connection, workspace: UUID, kinds: Sequence[str], after: UUID, limit: int
) -> UUID | None:
    """Return the last of the next subjects that should have vectors, in order of id; None if there are no more."""
    last: UUID | None = await connection.fetchval(
        QUERIES["embeddable_until"], workspace, kinds, after, limit
    )
    return last


async def vectors_to_ask_for(
    connection: Connection,
    workspace: UUID,
    generation: UUID,
    kinds: Sequence[str],
    span: tuple[UUID, UUID],
    limit: int,
    due_after: datetime | None,
) -> dict[Subject, bytes]:
    """Return the hashes of subjects that have neither a current vector nor a task for it, in order of id.

    The subjects are those after the first of the span, up to the second.

    Tasks of backfills that nobody has tried yet and that are due only after a time do not count, if one is given.
    """
    rows = await connection.fetch(
        QUERIES["vectors_to_ask_for"], workspace, generation, kinds, *span, limit, due_after
    )
    return {(row["kind"], row["subject_id"]): row["text_sha256"] for row in rows}


async def stale_vectors(
    connection: Connection, workspace: UUID, generation: UUID, kind: str, after: UUID, limit: int
) -> tuple[list[UUID], UUID | None]:
    """Return those of the next subjects whose vectors are of a text that is gone or changed, and the last of the next.

    What an erasure will count is left out. There is no last if there are no more.
    """
    place = (workspace, generation, limit, ERASURE_UNDER_WAY, kind, after)
    rows = await connection.fetch(QUERIES["stale_vectors"], *place)
    stale = [row["subject_id"] for row in rows if row["is_stale"]]
    return stale, rows[-1]["subject_id"] if rows else None


async def embedding_debt(
    connection: Connection,
    workspace: UUID,
    generation: UUID,
    kinds: Sequence[str],
    span: tuple[UUID, UUID],
) -> list[Debt]:
    """Count what is missing of the subjects after the first of a span, up to the second, a kind each."""
    rows = await connection.fetch(QUERIES["embedding_debt"], workspace, generation, kinds, *span)
    return [Debt(**row) for row in rows]


def by_kind(subjects: Iterable[Subject]) -> dict[str, list[UUID]]:
    """Group the ids of subjects by kind, sorted."""
    ids: dict[str, list[UUID]] = defaultdict(list)
    for kind, subject in sorted(subjects):
        ids[kind].append(subject)
    return ids


def _by_kind(subjects: Iterable[Subject]) -> list[list[UUID]]:
    """The ids of messages, of atoms and of topics."""
    ids = by_kind(subjects)
    return [ids.get(kind, []) for kind in KINDS]
