"""A deployment filled with a corpus, to search in: how to call it, how to ask its database, and what is true."""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np

from benchmarks.ingest import cpu_seconds, family
from benchmarks.search_corpus import Corpus, Matrix
from services.cli.embedded.paths import DataDirectory
from services.cli.running import running
from services.common.ids import uuid7
from services.common.vectors import INDEX_SETTINGS, from_halfvec, to_halfvecs
from services.embedder.service import EmbedderSettings
from services.search import store
from services.search.semantic import KEPT_PLANS

SHARES = {"0.1 %": 0.001, "1 %": 0.01, "10 %": 0.1, "50 %": 0.5}


@dataclass
class Bench:
    """A filled deployment: how to call it, how to ask its database, and the truth."""

    target: Any
    admin: asyncpg.Connection
    bare_url: str
    workspace: UUID
    generation: store.Generation
    ids: list[UUID]
    authors: list[str]
    vectors: Matrix
    build_seconds: float = 0.0
    index_mb: float = 0.0
    place: dict[UUID, int] = field(default_factory=dict)
    of_author: dict[str, Any] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place = {each: at for at, each in enumerate(self.ids)}
        drawn = np.array(self.authors)
        self.of_author = {author: np.flatnonzero(drawn == author) for author in SHARES}

    def cpu(self) -> dict[str, float]:
        """The processor seconds of every part so far."""
        spent = {"client": time.process_time()}
        for name, pid in self.pids.items():
            spent[name] = sum(map(cpu_seconds, family(pid) if name == "postgres" else [pid]))
        return spent


async def fill(admin: asyncpg.Connection, workspace: UUID, corpus: Corpus) -> Bench:
    """Copy messages and vectors, and wait for the graph that the embedder builds of them."""
    await admin.set_type_codec(
        "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
    )
    [row] = await admin.fetch("select * from embedder.generation where state = 'serving'")
    generation = store.Generation(row["id"], row["model"], row["dimensions"])
    source, dice = uuid7(), random.Random(5)
    await admin.execute(
        """insert into ingest.source (workspace_id, id, kind, external_id, title)
           values ($1, $2, 'import', 'bench', 'Bench')""",
        workspace,
        source,
    )
    ids = [uuid7() for _ in corpus.messages]
    authors = dice.choices(
        [*SHARES, "others"], [*SHARES.values(), 1 - sum(SHARES.values())], k=len(ids)
    )
    halves = to_halfvecs(corpus.vectors)
    now = datetime.now(UTC)
    async with admin.transaction():
        await admin.copy_records_to_table(
            "message", schema_name="ingest",
            columns=["workspace_id", "id", "source_id", "external_id", "author_external_id", "author_name", "text",
                     "sent_at", "content_sha256", "text_sha256", "importance_score", "importance_label",
                     "importance_factors", "importance_version"],
            records=[(workspace, i, source, str(n), a, m.author.name, m.text,
                      datetime.fromtimestamp(m.sent_at.seconds, UTC), d, d, 0.5, "weak", "{}", "1")
                     for n, (i, a, m) in enumerate(zip(ids, authors, corpus.messages, strict=True))
                     for d in [sha256(m.text.encode()).digest()]],
        )  # fmt: skip
        await admin.copy_records_to_table(
            "vector", schema_name="embedder",
            columns=["workspace_id", "generation_id", "kind", "subject_id", "part", "text_sha256", "embedding",
                     "source_id", "sent_at"],
            records=[(workspace, generation.id, "message", i, 0, sha256(m.text.encode()).digest(), v, source, now)
                     for i, m, v in zip(ids, corpus.messages, halves, strict=True)],
        )  # fmt: skip
    await admin.execute("vacuum analyze ingest.message; ")
    await admin.execute("vacuum analyze embedder.vector")
    began, indexed = (
        time.perf_counter(),
        len(ids) < EmbedderSettings.model_fields["hnsw_segment_rows"].default,
    )
    while not indexed:
        await asyncio.sleep(0.1)
        indexed = await admin.fetchval("select exists (select from embedder.segment)")
    generation = await store.serving_generation(admin) or generation
    seconds = time.perf_counter() - began
    rounded = np.stack([from_halfvec(half) for half in halves])
    rounded /= np.linalg.norm(rounded, axis=1, keepdims=True)
    return Bench(None, admin, "", workspace, generation, ids, authors, rounded, seconds)


@asynccontextmanager
async def deployed(corpus: Corpus) -> AsyncIterator[Bench]:
    """A deployment with a corpus, as `winnow up` starts it, on a folder that is thrown away."""
    os.environ["WINNOW_EMBED_RECONCILE_SECONDS"] = "3600"
    os.environ["WINNOW_SEARCH_RECALL_SAMPLE_SECONDS"] = "0"
    # More than a graph of so many vectors takes: one that does not fit is built by inserts.
    os.environ["WINNOW_HNSW_BUILD_MEMORY_MB"] = str(1024 + len(corpus.messages) // 400)
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - PostgreSQL runs as another user
        data = DataDirectory(Path(folder) / "data")
        async with running(data, {}, lambda event: None, ("embedder", "search")) as up:
            admin = await asyncpg.connect(up.runtime.admin_database_url)
            while not await admin.fetchval("select count(*) from embedder.generation"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            workspace = await admin.fetchval("select workspace_id from spine.workspace")
            bench = await fill(admin, workspace, corpus)
            bench.target, bench.bare_url = up.target, up.runtime.admin_database_url
            records = data.resolved().records
            for name in ("postgres", "search"):
                bench.pids[name] = int((records / f"{name}.pid").read_text().split()[0])
            size = await admin.fetchval(
                """select sum(pg_relation_size(format('embedder.%I', index_name)::regclass)) / 1048576.0
                   from embedder.segment"""
            )
            bench.index_mb = float(size or 0)
            yield bench
            await admin.close()


async def bare_connection(bench: Bench) -> asyncpg.Connection:
    """A connection as search has it when it looks for what is near in a large workspace, that sees the workspace."""
    connection = await asyncpg.connect(
        bench.bare_url,
        server_settings={
            **INDEX_SETTINGS,
            **dict(KEPT_PLANS),
            "role": "winnow_search",
            "jit": "off",
            "winnow.workspace_id": str(bench.workspace),
        },
    )
    await connection.set_type_codec(
        "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
    )
    return connection
