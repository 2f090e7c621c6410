"""How fast vectors are written: the product's own statement, beside what one would write instead.

    python -m benchmarks.writes [--vectors 20000] [--indexed 12000] [--batch 256] [--at-once 4] [--rounds 9]

A real PostgreSQL as `winnow up` starts it, durable commits, 384 dimensions, vectors that spread as a chat's do; each
way has as many transactions under way as the embedder has batches (two lanes of WINNOW_EMBED_PARALLEL). Without an
index: the embedder's own; a bare batched INSERT into a table with the same columns and key; COPY straight into that
table, which row-level security refuses for the vectors, so that it says what the machine can do; COPY into a staging
table and INSERT from there; and a row-at-a-time UPDATE of a column beside the rows, as systems do that keep vectors in
the table of their texts. With HNSW the first two again, in processor time of PostgreSQL a row, and COPY first with the
index built afterwards, in every third round. The embedder builds its graphs beside its writes; until the last that is
due is there counts as its time. The ways take turns; figures are medians of the rounds. The last
line is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import numpy as np
import uvloop

from benchmarks.deployment import Deployed, cpu_seconds, deployed
from benchmarks.search_corpus import clustered
from services.common.database import Connection, Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.vectors import to_halfvecs
from services.embedder import generation_store, store
from services.embedder.generations import Generation, Generations, ModelIdentity
from services.embedder.indexing import Indexing
from services.embedder.segments import Sizes
from services.embedder.service import EmbedderSettings
from services.embedder.store import SubjectText, SubjectVectors

DIMENSIONS = 384
SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding, source_id, sent_at"
UPDATED_MAX = 1000
INDEXED_EVERY = 3
# As Indexing.run looks.
INDEXING_PAUSE_SECONDS = 1.0
SIZES = Sizes()
HNSW = (
    "hnsw (embedding halfvec_cosine_ops)"
    f" with (m = {SIZES.sparse.m}, ef_construction = {SIZES.sparse.ef_construction})"
)
Work = Callable[[], Awaitable[None]]
BARE = f"""
create schema bench;
create table bench.bare (workspace_id uuid not null, generation_id uuid not null, kind text not null,
  subject_id uuid not null, part int not null, text_sha256 bytea not null, embedding halfvec({DIMENSIONS}) not null,
  source_id uuid not null, sent_at timestamptz not null,
  primary key (workspace_id, generation_id, kind, subject_id, part));
create table bench.indexed (like bench.bare including all);
create index on bench.indexed using {HNSW};
create table bench.later (like bench.bare including all);
create table bench.text (id uuid primary key, body text, embedding halfvec({DIMENSIONS}));
create table bench.text_indexed (like bench.text including all);
create index on bench.text_indexed using {HNSW};
create table bench.copied (like bench.bare including all);
create table bench.from_staging (like bench.bare including all);
"""
STAGING = """create temporary table staging (workspace_id uuid, generation_id uuid, kind text, subject_id uuid,
  part int, text_sha256 bytea, embedding halfvec, source_id uuid, sent_at timestamptz) on commit delete rows"""
FROM_STAGING = f"""insert into bench.from_staging ({COLUMNS}) select {COLUMNS} from pg_temp.staging
  order by kind, subject_id, part on conflict do nothing"""
INSERT = """insert into {table} ({columns})
select $1, $2, 'message', x.id, 0, x.sha, x.embedding, $3, $4
from unnest($5::uuid[], $6::bytea[], $7::halfvec[]) as x (id, sha, embedding)"""


@dataclass(frozen=True)
class Batch:
    """Vectors to write at a stroke, with the keys of what they are of."""

    ids: list[UUID]
    vectors: np.ndarray


class Writes:
    """The ways to write, each over rows of its own."""

    def __init__(self, bench: Deployed, database: Database, pool: asyncpg.Pool) -> None:
        self._bench, self._database, self._pool = bench, database, pool
        self._source = uuid7()
        self.generations: dict[str, Generation] = {}
        unused = Generations(self._none, lambda _: None)
        self._indexing = Indexing(
            database, unused, SIZES, EmbedderSettings.model_fields["hnsw_build_memory_mb"].default
        )

    async def prepare(self) -> None:
        """Make the tables: a generation with an index and one without, and what stands beside them."""
        await self._bench.admin.execute(BARE)
        async with self._database.connection() as connection:
            for name in ("indexed", "plain"):
                digest = name.encode().hex().ljust(64, "0")
                model = ModelIdentity(name, digest, DIMENSIONS, "mean", "", "")
                self.generations[name] = await generation_store.start_generation(
                    connection, model, SIZES.segment_rows
                )

    async def index(self, all_written: asyncio.Event) -> None:
        """Build graphs beside the writes, as the embedder does, until the last that is due."""
        while not all_written.is_set():
            if not await self._indexing.index(self.generations["indexed"]):
                await asyncio.sleep(INDEXING_PAUSE_SECONDS)
        while await self._indexing.index(self.generations["indexed"]):
            pass

    async def _none(self) -> Sequence[Generation]:
        return []

    def product(self, name: str, batch: Batch) -> Work:
        """The statement that the embedder writes with, a transaction a batch."""
        workspace, generation = self._bench.workspace, self.generations[name].id
        made = [
            SubjectVectors(
                SubjectText("message", id_, "", id_.bytes * 2, self._source, SENT_AT, 0, False),
                generation,
                row[None],
            )
            for id_, row in zip(batch.ids, batch.vectors, strict=True)
        ]

        async def write() -> None:
            async with self._database.transaction(workspace) as connection:
                await store.add_vectors(connection, workspace, generation, made)

        return write

    def bare(self, table: str, batch: Batch) -> Work:
        """A batched INSERT with nothing around it."""
        sql = INSERT.format(table=table, columns=COLUMNS)
        hashes = [id_.bytes * 2 for id_ in batch.ids]
        key = (self._bench.workspace, self.generations["plain"].id, self._source, SENT_AT)

        async def write() -> None:
            async with self._pool.acquire() as connection:
                await connection.execute(sql, *key, batch.ids, hashes, to_halfvecs(batch.vectors))

        return write

    def copied(self, table: str, batch: Batch) -> Work:
        """COPY, straight into a table."""

        async def write() -> None:
            async with self._pool.acquire() as connection:
                await self._copy(connection, table, batch)

        return write

    async def _copy(self, connection: Connection, table: str, batch: Batch) -> None:
        schema, _, name = table.partition(".")
        first = (self._bench.workspace, self.generations["plain"].id, "message")
        records = [
            (*first, id_, 0, id_.bytes * 2, value, self._source, SENT_AT)
            for id_, value in zip(batch.ids, to_halfvecs(batch.vectors), strict=True)
        ]
        await connection.copy_records_to_table(
            name, schema_name=schema, records=records, columns=COLUMNS.split(", ")
        )

    def staged(self, batch: Batch) -> Work:
        """COPY into a staging table of the session, and INSERT from there: the only way under row-level security."""

        async def write() -> None:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._copy(connection, "pg_temp.staging", batch)
                await connection.execute(FROM_STAGING)

        return write

    def updated(self, table: str, batch: Batch) -> Work:
        """An UPDATE a row, each its own transaction; the rows are there before."""
        values = to_halfvecs(batch.vectors)

        async def write() -> None:
            async with self._pool.acquire() as connection:
                for id_, value in zip(batch.ids, values, strict=True):
                    await connection.execute(
                        f"update {table} set embedding = $2 where id = $1", id_, value
                    )

        return write

    async def add_texts(self, table: str, batches: Sequence[Batch]) -> None:
        """The rows that are updated."""
        rows = [(id_,) for batch in batches for id_ in batch.ids]
        await self._bench.admin.executemany(
            f"insert into {table} (id, body) values ($1, 'text')", rows
        )

    async def empty_later(self, _: Sequence[Batch]) -> None:
        """Make the table that is indexed at the end empty, and without its index."""
        await self._bench.admin.execute(
            "truncate bench.later; drop index if exists bench.later_hnsw"
        )

    async def index_later(self) -> None:
        """Build an index at a stroke."""
        await self._bench.admin.execute(f"create index later_hnsw on bench.later using {HNSW}")


@dataclass(frozen=True)
class Way:
    """How batches are written, how many vectors a round, and what stands before and after them."""

    write: Callable[[Batch], Work]
    count: int
    before: Callable[[Sequence[Batch]], Awaitable[None]] | None = None
    after: Work | None = None
    beside: Callable[[asyncio.Event], Coroutine[None, None, None]] | None = None
    """What goes on meanwhile, and ends after all is written."""
    every: int = 1
    """Takes part in one of so many rounds."""


def batches_of(count: int, size: int, dice: np.random.Generator) -> list[Batch]:
    """Make vectors with keys."""
    vectors = clustered(count, DIMENSIONS, int(dice.integers(2**31)))
    return [
        Batch([uuid7() for _ in range(len(part))], part)
        for part in np.split(vectors, range(size, count, size))
    ]


async def measure(
    way: Way, batches: Sequence[Batch], at_once: int, postgres: int
) -> tuple[float, float]:
    """Return rows a second, and microseconds of PostgreSQL's processor time a row."""
    if way.before:
        await way.before(batches)
    works = iter([way.write(batch) for batch in batches])
    count = sum(len(batch.ids) for batch in batches)

    async def work() -> None:
        for write in works:
            await write()

    spent, began, all_written = cpu_seconds(postgres), time.perf_counter(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        if way.beside:
            group.create_task(way.beside(all_written))
        await asyncio.gather(*(work() for _ in range(at_once)))
        all_written.set()
    if way.after:
        await way.after()
    seconds = time.perf_counter() - began
    return count / seconds, (cpu_seconds(postgres) - spent) / count * 1e6


async def _prepare_session(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
    )
    await connection.execute(STAGING)


async def run(options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Let the ways take turns, and return the medians of each."""
    async with deployed() as bench:
        url = bench.environment("embedder")["WINNOW_DATABASE_URL"]
        settings = DatabaseSettings(database_url=url)  # type: ignore[arg-type]
        async with (
            Database.open(settings, "winnow_embedder") as database,
            asyncpg.create_pool(
                bench.runtime.admin_database_url,
                min_size=options.at_once,
                max_size=options.at_once,
                init=_prepare_session,
                reset=_keep,
            ) as pool,
        ):
            writes = Writes(bench, database, pool)
            await writes.prepare()
            ways = _ways(writes, options.vectors, options.indexed)
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            dice, postgres = np.random.default_rng(5), bench.pids["postgres"]
            turns = [
                (name, way)
                for number in range(options.rounds)
                for name, way in ways.items()
                if number % way.every == 0
            ]
            for name, way in turns:
                batches = batches_of(way.count, options.batch, dice)
                found[name].append(await measure(way, batches, options.at_once, postgres))
    return {
        name: (statistics.median(r for r, _ in each), statistics.median(c for _, c in each))
        for name, each in found.items()
    }


async def _keep(_: asyncpg.Connection) -> None:
    """Leave a session its staging table."""


def _ways(writes: Writes, many: int, few: int) -> dict[str, Way]:
    some = min(few, UPDATED_MAX)

    def updated(table: str) -> Way:
        return Way(
            lambda batch: writes.updated(table, batch),
            some,
            before=lambda batches: writes.add_texts(table, batches),
        )

    return {
        "embedder, no index": Way(lambda batch: writes.product("plain", batch), many),
        "bare batched INSERT, no index": Way(lambda batch: writes.bare("bench.bare", batch), many),
        "COPY, no index": Way(lambda batch: writes.copied("bench.copied", batch), many),
        "COPY to staging, INSERT, no index": Way(writes.staged, many),
        "UPDATE a row, no index": updated("bench.text"),
        "embedder, HNSW": Way(
            lambda batch: writes.product("indexed", batch),
            few,
            beside=writes.index,
            every=INDEXED_EVERY,
        ),
        "bare batched INSERT, HNSW": Way(
            lambda batch: writes.bare("bench.indexed", batch), few, every=INDEXED_EVERY
        ),
        "COPY, HNSW afterwards": Way(
            lambda batch: writes.copied("bench.later", batch),
            few,
            before=writes.empty_later,
            after=writes.index_later,
            every=INDEXED_EVERY,
        ),
        "UPDATE a row, HNSW": replace(updated("bench.text_indexed"), every=INDEXED_EVERY),
    }


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writes")
    parser.add_argument("--vectors", type=int, default=20_000, help="without an index, a round")
    parser.add_argument("--indexed", type=int, default=12_000, help="with one, a round")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--at-once", type=int, default=4, help="transactions under way")
    parser.add_argument(
        "--rounds", type=int, default=9, help=f"those with an index every {INDEXED_EVERY}rd"
    )
    parser.add_argument("--data", help="not read: the vectors are made up")
    figures = await run(parser.parse_args())
    for name, (rate, cpu) in figures.items():
        print(
            f"{name:44} {rate:10,.0f} vectors/s   {cpu:8.1f} µs of PostgreSQL's processor a vector"
        )
    plain, bare_indexed = figures["embedder, no index"], figures["bare batched INSERT, HNSW"]
    indexed, later = figures["embedder, HNSW"], figures["COPY, HNSW afterwards"]
    rates = {
        "vectors_per_second": plain,
        "bare_vectors_per_second": figures["bare batched INSERT, no index"],
        "copy_vectors_per_second": figures["COPY, no index"],
        "staged_copy_vectors_per_second": figures["COPY to staging, INSERT, no index"],
        "update_vectors_per_second": figures["UPDATE a row, no index"],
        "hnsw_vectors_per_second": indexed,
        "hnsw_update_vectors_per_second": figures["UPDATE a row, HNSW"],
    }
    print(
        json.dumps(
            {name: round(rate) for name, (rate, _) in rates.items()}
            | {
                "cpu_us": round(plain[1], 1),
                "hnsw_cpu_us": round(indexed[1], 1),
                "hnsw_cpu_to_bare": round(indexed[1] / bare_indexed[1], 3),
                "hnsw_later_cpu_to_bare": round(later[1] / bare_indexed[1], 3),
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main())
