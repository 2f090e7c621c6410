"""How fast vectors are written: the product's own statement, beside what one would write instead.

    python -m benchmarks.writes [--vectors 20000] [--indexed 4000] [--batch 256] [--rounds 3]

A real PostgreSQL as `winnow up` starts it, durable commits, 384 dimensions. Without an index: the statement
of the embedder; a bare batched INSERT into a table with the same columns and key; COPY into a staging table
and INSERT from there (COPY straight into the vectors is refused by row-level security); and a row-at-a-time
UPDATE of a column beside the rows, as systems do that keep vectors in the table of their texts. With an
HNSW index the first two again, in processor time of PostgreSQL a row, and COPY first with the index built
afterwards. The ways take turns; figures are medians of the rounds. The last line is one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import uvloop

from benchmarks.deployment import Deployed, cpu_seconds, deployed
from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.vectors import to_halfvecs
from services.embedder import generation_store, store
from services.embedder.generation_store import IndexSettings
from services.embedder.generations import ModelIdentity
from services.embedder.store import SubjectText, SubjectVectors

DIMENSIONS = 384
SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding, source_id, sent_at"
UPDATED_MAX = 1000
BARE = f"""
create schema bench;
create table bench.bare (workspace_id uuid not null, generation_id uuid not null, kind text not null,
  subject_id uuid not null, part int not null, text_sha256 bytea not null, embedding halfvec({DIMENSIONS}) not null,
  source_id uuid not null, sent_at timestamptz not null,
  primary key (workspace_id, generation_id, kind, subject_id, part));
create table bench.indexed (like bench.bare including all);
create index on bench.indexed using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 64);
create table bench.later (like bench.bare including all);
create table bench.text (id uuid primary key, body text, embedding halfvec({DIMENSIONS}));
create table bench.text_indexed (like bench.text including all);
create index on bench.text_indexed using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 64);
create unlogged table bench.staging (like bench.bare);
"""
INSERT = """insert into {table} ({columns})
select $1, $2, 'message', x.id, 0, x.sha, x.embedding, $3, $4
from unnest($5::uuid[], $6::bytea[], $7::halfvec[]) as x (id, sha, embedding)"""


def clustered(count: int, dice: np.random.Generator) -> np.ndarray:
    """Unit vectors around 200 centres, as texts have them."""
    centres = dice.standard_normal((200, DIMENSIONS))
    values = centres[dice.integers(0, 200, count)] + 0.7 * dice.standard_normal((count, DIMENSIONS))
    unit: np.ndarray = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return unit


class Writes:
    """The ways to write, each over rows of its own."""

    def __init__(self, bench: Deployed, database: Database, batch: int) -> None:
        self._bench, self._database, self._batch = bench, database, batch
        self._admin, self._dice = bench.admin, np.random.default_rng(5)
        self._source = uuid7()
        self.generations: dict[str, UUID] = {}

    async def prepare(self) -> None:
        """Make the tables: a generation with an index and one without, and what stands beside them."""
        await self._admin.set_type_codec(
            "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
        )
        await self._admin.execute(BARE)
        async with self._database.connection() as connection:
            for name, bulk in (("plain", True), ("indexed", False)):
                model = ModelIdentity(
                    name, name.encode().hex().ljust(64, "0"), DIMENSIONS, "mean", "", ""
                )
                made = await generation_store.start_generation(
                    connection, model, IndexSettings(), bulk=bulk
                )
                self.generations[name] = made.id

    def _batches(self, vectors: np.ndarray) -> list[tuple[list[UUID], np.ndarray]]:
        return [
            ([uuid7() for _ in range(len(part))], part)
            for part in np.split(vectors, range(self._batch, len(vectors), self._batch))
        ]

    async def product(self, name: str, vectors: np.ndarray) -> None:
        """The embedder's own statement, a transaction a batch."""
        workspace, generation = self._bench.workspace, self.generations[name]
        for ids, part in self._batches(vectors):
            made = [
                SubjectVectors(
                    SubjectText("message", id_, "", id_.bytes * 2, self._source, SENT_AT, 0),
                    generation,
                    row[None],
                )
                for id_, row in zip(ids, part, strict=True)
            ]
            async with self._database.transaction(workspace) as connection:
                await store.write_vectors(connection, workspace, generation, made)

    async def bare(self, table: str, vectors: np.ndarray) -> None:
        """A batched INSERT with nothing around it."""
        sql = INSERT.format(table=table, columns=COLUMNS)
        for ids, part in self._batches(vectors):
            await self._admin.execute(
                sql,
                self._bench.workspace,
                self.generations["plain"],
                self._source,
                SENT_AT,
                ids,
                [id_.bytes * 2 for id_ in ids],
                to_halfvecs(part),
            )

    async def copied(self, table: str, vectors: np.ndarray) -> None:
        """COPY, straight into a table."""
        schema, _, name = table.partition(".")
        for ids, part in self._batches(vectors):
            records = [
                (
                    self._bench.workspace,
                    self.generations["plain"],
                    "message",
                    id_,
                    0,
                    id_.bytes * 2,
                    row,
                    self._source,
                    SENT_AT,
                )
                for id_, row in zip(ids, to_halfvecs(part), strict=True)
            ]
            await self._admin.copy_records_to_table(
                name, schema_name=schema, records=records, columns=COLUMNS.split(", ")
            )

    async def staged(self, vectors: np.ndarray) -> None:
        """COPY into a staging table, and INSERT from there: the only way in for COPY under row-level security."""
        for start in range(0, len(vectors), self._batch):
            async with self._admin.transaction():
                await self._admin.execute("truncate bench.staging")
                await self.copied("bench.staging", vectors[start : start + self._batch])
                await self._admin.execute(
                    f"insert into bench.later ({COLUMNS}) select {COLUMNS} from bench.staging "
                    "on conflict do nothing"
                )

    async def updated(self, table: str, vectors: np.ndarray) -> None:
        """An UPDATE a row, each its own transaction."""
        ids = [uuid7() for _ in range(len(vectors))]
        await self._admin.executemany(
            f"insert into {table} (id, body) values ($1, 'text')", [(id_,) for id_ in ids]
        )
        statement = await self._admin.prepare(f"update {table} set embedding = $2 where id = $1")
        self.began = time.perf_counter()
        for id_, row in zip(ids, to_halfvecs(vectors), strict=True):
            await statement.fetch(id_, row)

    async def index_later(self, vectors: np.ndarray) -> None:
        """COPY everything, then build the index at a stroke."""
        await self._admin.execute("truncate bench.later")
        await self.copied("bench.later", vectors)
        await self._admin.execute(
            "create index later_hnsw on bench.later using hnsw (embedding halfvec_cosine_ops) "
            "with (m = 16, ef_construction = 64)"
        )
        await self._admin.execute("drop index bench.later_hnsw")

    async def measure(
        self, work: Callable[[np.ndarray], Awaitable[None]], count: int
    ) -> tuple[float, float]:
        """Return rows a second, and microseconds of PostgreSQL's processor time a row."""
        vectors = clustered(count, self._dice)
        pid = self._bench.pids["postgres"]
        spent, self.began = cpu_seconds(pid), time.perf_counter()
        await work(vectors)
        seconds = time.perf_counter() - self.began
        return count / seconds, (cpu_seconds(pid) - spent) / count * 1e6


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writes")
    parser.add_argument("--vectors", type=int, default=20_000, help="without an index, a round")
    parser.add_argument("--indexed", type=int, default=4000, help="with one, a round")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    async with deployed() as bench:
        url = bench.environment("embedder")["WINNOW_DATABASE_URL"]
        settings = DatabaseSettings(database_url=url)  # type: ignore[arg-type]
        async with Database.open(settings, "winnow_embedder") as database:
            figures = await _rounds(Writes(bench, database, options.batch), options)
    for name, (rate, cpu) in figures.items():
        print(
            f"{name:44} {rate:10,.0f} vectors/s   {cpu:8.1f} µs of PostgreSQL's processor a vector"
        )
    plain, bare = figures["embedder, no index"], figures["bare batched INSERT, no index"]
    indexed, bare_indexed = figures["embedder, HNSW"], figures["bare batched INSERT, HNSW"]
    print(
        json.dumps(
            {
                "vectors_per_second": round(plain[0]),
                "bare_vectors_per_second": round(bare[0]),
                "staged_copy_vectors_per_second": round(
                    figures["COPY to staging, INSERT, no index"][0]
                ),
                "update_vectors_per_second": round(figures["UPDATE a row, no index"][0]),
                "hnsw_cpu_us": round(indexed[1], 1),
                "hnsw_cpu_to_bare": round(indexed[1] / bare_indexed[1], 3),
                "hnsw_later_cpu_to_bare": round(
                    figures["COPY, HNSW afterwards"][1] / bare_indexed[1], 3
                ),
                "hnsw_vectors_per_second": round(indexed[0]),
                "hnsw_update_vectors_per_second": round(figures["UPDATE a row, HNSW"][0]),
            }
        )
    )


async def _rounds(writes: Writes, options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    await writes.prepare()
    many, few = options.vectors, options.indexed
    some = min(few, UPDATED_MAX)
    ways: dict[str, tuple[Callable[[np.ndarray], Awaitable[None]], int]] = {
        "embedder, no index": (lambda v: writes.product("plain", v), many),
        "bare batched INSERT, no index": (lambda v: writes.bare("bench.bare", v), many),
        "COPY to staging, INSERT, no index": (writes.staged, many),
        "UPDATE a row, no index": (lambda v: writes.updated("bench.text", v), some),
        "embedder, HNSW": (lambda v: writes.product("indexed", v), few),
        "bare batched INSERT, HNSW": (lambda v: writes.bare("bench.indexed", v), few),
        "COPY, HNSW afterwards": (writes.index_later, few),
        "UPDATE a row, HNSW": (lambda v: writes.updated("bench.text_indexed", v), some),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (work, count) in ways.items():
            found[name].append(await writes.measure(work, count))
    return {
        name: (statistics.median(r for r, _ in each), statistics.median(c for _, c in each))
        for name, each in found.items()
    }


if __name__ == "__main__":
    uvloop.run(main())
