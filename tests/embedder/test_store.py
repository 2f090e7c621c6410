"""Every query of the embedder as PostgreSQL sees it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import numpy as np
import pytest

from services.common.database import Connection, Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.vectors import of_segments, to_halfvecs
from services.embedder import store
from services.embedder.generation_store import (
    start_generation,
    wake_failing,
    wake_parked,
)
from services.embedder.generations import ModelIdentity
from services.embedder.store import QUERIES, Subject, SubjectText, SubjectVectors
from tests.conftest import Deployment
from tests.embedder.conftest import SENT_AT, Chat, sha256
from tests.graphs import add_graph, graphs

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
        first = await start_generation(connection, MODEL, 4096)
        second = await start_generation(connection, other, 4096)
        again = await start_generation(connection, MODEL, 4096)
    assert (first.state, second.state, again) == ("serving", "building", first)


@asynccontextmanager
async def few_tasks_are_read(connection: Connection) -> AsyncIterator[None]:
    """Of all tasks at most twenty may be read within."""
    read = (
        "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'task'"
    )
    async with connection.transaction():
        before = await connection.fetchval(read)
        yield
        assert await connection.fetchval(read) - before <= 20


async def test_waking_reads_what_is_parked_alone(deployment: Deployment, chat: Chat) -> None:
    """Every embedder asks once a second: of all tasks only those are read that wait for a model that it has."""
    here, elsewhere = uuid7(), uuid7()
    await deployment.admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, hint_at, error_class)
           select $1, 'embed', gen_random_uuid(),
             'message:' || case when n <= 5 then $2::text else $3::text end || ':gone', now(),
             case when n <= 5 or n > 2500 then 'model_missing' end
           from generate_series(1, 5000) n""",
        chat.workspace,
        str(here),
        str(elsewhere),
    )
    async with few_tasks_are_read(deployment.admin):
        assert await wake_parked(deployment.admin, [here], 1000) == 5
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        assert await wake_parked(connection, [here], 1000) == 0
        assert await wake_parked(connection, [here, elsewhere], 1000) == 1000


async def test_fresh_tasks_are_woken_first(deployment: Deployment, chat: Chat) -> None:
    """Of what waits for a provider that answers again, fresh tasks go first, and no more are read than are woken."""
    here, elsewhere = uuid7(), uuid7()
    await deployment.admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, hint_at, lane, error_class, error)
           select $1, 'embed', gen_random_uuid(),
             'message:' || case when n % 2 = 0 then $2::text else $3::text end || ':gone',
             now() + interval '1 h', case when n > 4990 then 0 else 1 end, 'ProviderFailing', 'HTTP 500'
           from generate_series(1, 5000) n""",
        chat.workspace,
        str(here),
        str(elsewhere),
    )
    async with few_tasks_are_read(deployment.admin):
        assert await wake_failing(deployment.admin, here, 5) == 5
    woken = await deployment.admin.fetch(
        "select distinct lane, spec, error from spine.task where error_class is null and hint_at <= now()"
    )
    assert [tuple(row) for row in woken] == [(0, f"message:{here}:gone", "HTTP 500")]
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        assert await wake_failing(connection, here, 10_000) == 2495
        assert await wake_failing(connection, here, 10_000) == 0


async def test_search_uses_the_graph(deployment: Deployment, chat: Chat) -> None:
    """The search role's query for the nearest vectors of its workspace reads the HNSW index of a graph."""
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = (await start_generation(connection, MODEL, 4096)).id
        await _fill(database, chat.workspace, generation, [uuid7() for _ in range(2500)])
    name = await add_graph(deployment.admin)
    await deployment.admin.execute("analyze embedder.vector")
    query = to_halfvecs(_unit(1, seed=1))[0]
    nearest = f"""/*segment*/select v.subject_id from embedder.vector v
                  where v.workspace_id = $2 and v.generation_id = '{generation}' and {{segment}}
                  order by v.embedding::halfvec(384) <=> $1::halfvec(384) limit 10/*end segment*/"""
    sql = of_segments(nearest, [*await graphs(deployment.admin)])
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        database.transaction(chat.workspace) as connection,
    ):
        await connection.execute("set local hnsw.ef_search = 40")
        await connection.execute("set local hnsw.iterative_scan = relaxed_order")
        plan = await connection.fetch(f"explain {sql}", query, chat.workspace)
        found = await connection.fetch(sql, query, chat.workspace)
    text = "\n".join(row[0] for row in plan)
    assert f"Index Scan using {name}" in text, text
    assert len(found) == 10


READ = """select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int from pg_stat_xact_user_tables
          where schemaname = any (array['ingest', 'extractor', 'embedder'])"""
FEW = 20
STATEMENT_VECTORS = 250
Use = Callable[[Connection, UUID, UUID, Sequence[SubjectVectors]], Awaitable[object]]


async def _erase(
    connection: Connection, workspace: UUID, _: UUID, batch: Sequence[SubjectVectors]
) -> None:
    kinds, ids = ["message"] * len(batch), [each.subject.subject_id for each in batch]
    await connection.fetchval(QUERIES["remove_vectors"], workspace, kinds, ids)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda c, w, g, b: store.replace_vectors(c, w, g, b), id="replace"),
        pytest.param(lambda c, w, g, b: store.read_subjects(c, w, g, _keys(b)), id="read"),
        pytest.param(lambda c, w, g, b: store.current_texts(c, w, _keys(b)), id="current"),
        pytest.param(lambda c, w, g, b: store.remove_outdated(c, w, g, _keys(b)), id="outdated"),
        pytest.param(_erase, id="erase"),
    ],
)
async def test_a_batch_costs_the_same_in_a_large_generation(
    deployment: Deployment, chat: Chat, use: Use
) -> None:
    """What is done with a few subjects reads their rows alone, however many there are, before any is analysed."""
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = (await start_generation(connection, MODEL, 4096)).id
        ids = await chat.say([f"text {n}" for n in range(2000)], tasks=False)
        await _fill(database, chat.workspace, generation, ids)
        batch = [
            SubjectVectors(
                SubjectText("message", id_, "new", sha256("new"), chat.source, SENT_AT, 0, True),
                generation,
                _unit(1, seed=2),
            )
            for id_ in ids[:FEW]
        ]
        async with database.transaction(chat.workspace) as connection:
            before = await connection.fetchval(READ)
            await use(connection, chat.workspace, generation, batch)
            read = await connection.fetchval(READ) - before
    assert 0 < read <= 10 * FEW


async def test_the_gauges_read_each_vector_once(deployment: Deployment, chat: Chat) -> None:
    """What they say is missing, stale or current is as many as there are, and each vector is met with its text once."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        generation = (await start_generation(connection, MODEL, 4096)).id
        ids = await chat.say([f"text {n}" for n in range(100)] + [""] * 5, tasks=False)
        await chat.delete(ids[:10])
        known = [await chat.learn("Backups", "run at night"), await chat.name_topic("Backups")]
        await _fill(database, chat.workspace, generation, [*ids[:50], uuid7(), known[1]])
    admin, place = deployment.admin, (chat.workspace, generation)
    # Of those that are whole, 20 are of texts that stand, one of them deleted.
    await admin.execute(
        """update embedder.vector v set text_sha256 = m.text_sha256 from ingest.message m
           where m.workspace_id = v.workspace_id and m.id = v.subject_id and m.id = any ($1)""",
        ids[9:29],
    )
    missing = await admin.fetchval("select count(*) from spine.missing_vectors($1, $2)", *place)
    stale = await admin.fetchval("select count(*) from spine.stale_vectors($1, $2)", *place)
    vectors_read = READ.replace("schemaname", "relname like 'vector%' and schemaname")
    async with admin.transaction():
        before = await admin.fetchval(vectors_read)
        gauges = await admin.fetchrow("select * from spine.gauges($1)", chat.workspace)
        read = await admin.fetchval(vectors_read) - before
    counts = (gauges["vectors"], gauges["vectors_missing"], gauges["vectors_stale"])
    assert counts == (19, missing, stale) == (19, 73, 33)
    assert read == 52


async def test_what_is_replaced_counts_as_written_then(deployment: Deployment, chat: Chat) -> None:
    """Who follows what is written must see a vector that is replaced, and not one that stays as it was."""
    written = "select written::text::bigint from embedder.vector"
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = (await start_generation(connection, MODEL, 4096)).id
        (message,) = await chat.say(["text"], tasks=False)
        moments = [0]
        for text in ("old", "old", "new"):
            subject = SubjectText(
                "message", message, text, sha256(text), chat.source, SENT_AT, 0, True
            )
            vectors = [SubjectVectors(subject, generation, _unit(1, seed=2))]
            async with database.transaction(chat.workspace) as connection:
                await store.replace_vectors(connection, chat.workspace, generation, vectors)
            moments.append(await deployment.admin.fetchval(written))
    assert moments[0] < moments[1] == moments[2] < moments[3]


def _keys(batch: Sequence[SubjectVectors]) -> list[Subject]:
    return [each.key for each in batch]


async def _fill(
    database: Database, workspace: UUID, generation: UUID, subjects: Sequence[UUID]
) -> None:
    """Write vectors, few at a time: on a busy machine one statement that writes all takes longer than any may."""
    vectors = to_halfvecs(_unit(len(subjects), seed=0))
    async with database.transaction(workspace) as connection:
        for start in range(0, len(subjects), STATEMENT_VECTORS):
            part = slice(start, start + STATEMENT_VECTORS)
            await connection.execute(
                """insert into embedder.vector (workspace_id, generation_id, kind, subject_id, text_sha256, embedding,
                     source_id, sent_at)
                   select $1, $2, 'message', x.id, x.hash, x.embedding, $1, $5
                   from unnest($3::uuid[], $4::halfvec[], $6::bytea[]) as x (id, embedding, hash)""",
                workspace,
                generation,
                subjects[part],
                vectors[part],
                SENT_AT,
                [bytes(32)] * len(subjects[part]),
            )


def _unit(count: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)
