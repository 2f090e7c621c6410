"""Vectors that no model made, and the graphs that the embedder builds of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg
import numpy as np

from services.common.database import Database, DatabaseSettings
from services.common.vectors import Matrix
from services.embedder import store
from services.embedder.generation_store import start_generation
from services.embedder.generations import Generation, Generations, ModelIdentity
from services.embedder.indexing import Indexing
from services.embedder.segments import Density, Sizes
from services.embedder.store import SubjectText, SubjectVectors
from tests.embedder.conftest import SENT_AT, Chat, sha256
from tests.embedder.operating import open_generations

MODEL = ModelIdentity("fake", "0" * 64, 8, "mean", "", "")
OTHER = ModelIdentity("other", "1" * 64, 8, "mean", "", "")
# A graph from ten vectors on, and none that is dense.
SIZES = Sizes(10, Density(12, 24), Density(24, 48), 0)
_HNSW = """select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid
           join pg_am a on a.oid = c.relam where a.amname = 'hnsw' order by 1"""
_SEGMENTS = """select s.until::text::bigint as until, s.rows, s.m, s.index_name,
                 coalesce(pg_get_indexdef(c.oid), '') as made
               from embedder.segment s left join pg_class c on c.relname = s.index_name
               where s.generation_id = $1 order by s.until"""


def circle(*degrees: float) -> Matrix:
    """Unit vectors in one plane of eight dimensions."""
    angles = np.radians(np.array(degrees))
    rest = np.zeros((len(angles), 6))
    found: Matrix = np.hstack([np.c_[np.cos(angles), np.sin(angles)], rest]).astype(np.float32)
    return found


def made(
    chat: Chat, generation: UUID, ids: Sequence[UUID], vectors: Matrix
) -> list[SubjectVectors]:
    """The vectors of messages that have none and say hello."""
    return [
        SubjectVectors(
            SubjectText("message", id_, "", sha256("hello"), chat.source, SENT_AT, 0, False),
            generation,
            vector[None],
        )
        for id_, vector in zip(ids, vectors, strict=True)
    ]


@dataclass(frozen=True)
class Segment:
    """A graph as PostgreSQL has it; the statement that makes it is empty if it was dropped."""

    until: int
    rows: int
    m: int
    index_name: str
    made: str


async def read_segments(admin: asyncpg.Connection, generation: UUID) -> list[Segment]:
    """The graphs of a generation, the oldest first."""
    return [Segment(**row) for row in await admin.fetch(_SEGMENTS, generation)]


async def hnsw_indexes(admin: asyncpg.Connection) -> dict[str, bool]:
    """The HNSW indexes that there are, and whether each is valid."""
    return {row["relname"]: row["indisvalid"] for row in await admin.fetch(_HNSW)}


@dataclass
class Filling:
    """A generation beside a chat, with what builds its graphs."""

    chat: Chat
    database: Database
    generations: Generations
    generation: Generation
    now: float = 0.0
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    @property
    def id(self) -> UUID:
        """The id of the generation."""
        return self.generation.id

    async def add(self, count: int, *, missing: int = 0) -> list[UUID]:
        """Say so many messages and write their vectors, in one transaction; say some more that get none."""
        ids = await self.chat.say(["hello"] * count, tasks=False)
        await self.chat.say(["hello"] * missing, tasks=False)
        await self.write(ids)
        return ids

    async def write(self, ids: Sequence[UUID]) -> None:
        """Write the vectors of messages."""
        rows = self.dice.standard_normal((len(ids), MODEL.dimensions))
        vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        async with self.database.transaction(self.chat.workspace) as connection:
            subjects = made(self.chat, self.id, ids, vectors)
            await store.add_vectors(connection, self.chat.workspace, self.id, subjects)

    def indexing(self, sizes: Sizes = SIZES, **changes: object) -> Indexing:
        """What builds graphs of some sizes, by the clock of this."""
        sizes = replace(sizes, **changes)  # type: ignore[arg-type]
        return Indexing(self.database, self.generations, sizes, 64, lambda: self.now)

    async def segments(self) -> list[Segment]:
        """The graphs that there are, the oldest first."""
        return await read_segments(self.chat.admin, self.id)

    async def rows(self) -> list[int]:
        """How many vectors each graph has, the oldest first."""
        return [each.rows for each in await self.segments()]

    async def state(self) -> str:
        """What is told of the graphs."""
        state: str = await self.chat.admin.fetchval(
            "select state from embedder.index_state($1)", self.id
        )
        return state


@asynccontextmanager
async def filling(
    chat: Chat, *, serves: bool = True, size: int | None = None
) -> AsyncIterator[Filling]:
    """Open a generation that serves, or one that is built beside it."""
    async with Database.open(DatabaseSettings.read(), "winnow_embedder", size=size) as database:
        async with database.connection() as connection:
            generation = await start_generation(connection, MODEL, SIZES.segment_rows)
            if not serves:
                generation = await start_generation(connection, OTHER, SIZES.segment_rows)
        yield Filling(chat, database, await open_generations(database), generation)
