"""Every query of the embedder as PostgreSQL sees it."""

from uuid import UUID

import numpy as np
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.vectors import to_halfvecs
from services.embedder.generation_store import IndexSettings, start_generation
from services.embedder.generations import ModelIdentity
from services.embedder.store import QUERIES
from tests.conftest import Deployment
from tests.embedder.conftest import SENT_AT, Chat

MODEL = ModelIdentity("fake", "0" * 64, 384, "mean", "q: ", "p: ")


@pytest.mark.parametrize("name", QUERIES)
async def test_queries_prepare(deployment: Deployment, name: str) -> None:
    """Each named query is valid under the role that runs it."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        await connection.prepare(QUERIES[name])


async def test_first_generation_serves(deployment: Deployment) -> None:
    """The first generation serves, a second one is building, and opening one again finds it."""
    other = ModelIdentity("other", "1" * 64, 8, "mean", "", "")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        first = await start_generation(connection, MODEL, IndexSettings(), bulk=False)
        second = await start_generation(connection, other, IndexSettings(), bulk=False)
        again = await start_generation(connection, MODEL, IndexSettings(), bulk=False)
    assert (first.state, second.state, again) == ("serving", "building", first)


async def test_search_uses_the_graph(deployment: Deployment, chat: Chat) -> None:
    """The search role's query for the nearest vectors of its workspace reads the HNSW index of the generation."""
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = (await start_generation(connection, MODEL, IndexSettings(), bulk=False)).id
        await _fill(database, chat.workspace, generation, 2500)
    await deployment.admin.execute("analyze embedder.vector")
    query = to_halfvecs(_unit(1, seed=1))[0]
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        database.transaction(chat.workspace) as connection,
    ):
        await connection.execute("set local hnsw.ef_search = 40")
        await connection.execute("set local hnsw.iterative_scan = relaxed_order")
        sql = f"""select subject_id from embedder.vector
                  where workspace_id = $2 and generation_id = '{generation}'
                  order by embedding::halfvec(384) <=> $1::halfvec(384) limit 10"""
        plan = await connection.fetch(f"explain {sql}", query, chat.workspace)
        found = await connection.fetch(sql, query, chat.workspace)
    text = "\n".join(row[0] for row in plan)
    assert f"Index Scan using vector_{generation.hex}_hnsw" in text, text
    assert len(found) == 10


async def _fill(database: Database, workspace: UUID, generation: UUID, count: int) -> None:
    async with database.transaction(workspace) as connection:
        await connection.execute(
            """insert into embedder.vector (workspace_id, generation_id, kind, subject_id, text_sha256, embedding,
                 source_id, sent_at)
               select $1, $2, 'message', x.id, x.hash, x.embedding, $1, $5
               from unnest($3::uuid[], $4::halfvec[], $6::bytea[]) as x (id, embedding, hash)""",
            workspace,
            generation,
            [uuid7() for _ in range(count)],
            to_halfvecs(_unit(count, seed=0)),
            SENT_AT,
            [bytes(32)] * count,
        )


def _unit(count: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)
