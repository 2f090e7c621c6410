"""The queries as the server sees them: under search's own role, with the plans that they are written for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest
import pytest_asyncio

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Connection
from services.common.vectors import Matrix, of_segments, to_halfvecs
from services.search import lookups, statements, store
from services.search.conditions import All, Any_, Attribute, Leaf
from services.search.copies import Copies
from services.search.nearest import nearest_exact
from services.search.semantic import KEPT_PLANS, Plan, SemanticLeg
from services.search.statements import KINDS
from services.search.statistics import Statistics
from services.search.store import Filter, Scope
from tests.conftest import TEMPLATE, Deployment
from tests.graphs import add_graph, graphs
from tests.search.conftest import Desk
from tests.search.library import DIMENSIONS, START, Client, Library, as_search, unit
from winnow.search.v1 import search_pb2 as pb

MANY = 6_000
ANALYZE = "analyze ingest.message; analyze embedder.vector"
# What is about one kind at a time.
ONE_KIND = ("subject_vectors", "newest_vectors")
SEMANTIC = pb.SEARCH_MODE_SEMANTIC
READ = """select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int from pg_stat_xact_user_tables
          where relid = 'ingest.message'::regclass"""

VECTORS_READ = """select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int from pg_stat_xact_user_tables
                  where schemaname = 'embedder' and relname like 'vector%'"""
FIXED = 9


@dataclass(frozen=True)
class Filled:
    """A database that nobody is connected to, and what the library in it was opened with."""

    name: str
    source: UUID
    generation: UUID | None
    sent: int
    vectors: Matrix


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres_url: str) -> AsyncIterator[Filled]:
    """More messages than are compared one by one, every hundredth Ann's: written once, as their index takes seconds."""
    name = f"filled_{uuid4().hex}"
    owner = await asyncpg.connect(f"{postgres_url}/postgres")
    await owner.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    admin = await asyncpg.connect(f"{postgres_url}/{name}")
    library = await Library(
        admin, await store_key(admin, "test", "first", mint_key(), SCOPES)
    ).open()
    vectors = await fill(library)
    await admin.close()
    yield Filled(name, library.source, library.generation, library.sent, vectors)
    await owner.execute(f"drop database {name} with (force)")
    await owner.close()


async def fill(library: Library) -> Matrix:
    """Save the messages; return their vectors."""
    vectors = np.random.default_rng(7).standard_normal((MANY, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for author, chosen in (("ann", slice(0, MANY, 100)), ("bob", slice(1, MANY, 100))):
        names = [f"{author} {i}" for i in range(MANY)[chosen]]
        await library.add_messages(names, list(vectors[chosen]), author_external_id=author)
    await add_graph(library.admin)
    rest = [i for i in range(MANY) if i % 100 > 1]
    await library.add_messages([f"eve {i}" for i in rest[50:]], list(vectors[rest[50:]]))
    await add_graph(library.admin)
    await library.add_messages([f"eve {i}" for i in rest[:50]], list(vectors[rest[:50]]))
    await library.admin.execute(ANALYZE)
    return vectors


@pytest.fixture
def template(filled: Filled) -> str:
    """Each test has a copy of its own."""
    return filled.name


@pytest.fixture
async def desk(deployment: Deployment, filled: Filled) -> AsyncIterator[Desk]:
    """Search over the messages."""
    opened = (filled.generation, filled.source, filled.sent)
    library = Library(deployment.admin, deployment.workspace, *opened)
    await library.take_vectors()
    async with deployment.serving("search") as channel:
        yield Desk(deployment, library, Client(channel, deployment.metadata))


async def plan_of(
    connection: Connection,
    name: str,
    library: Library,
    chosen: Filter,
    kinds: Sequence[str] = ("message",),
) -> str:
    """How the server would run a semantic query."""
    text, values = statements.statement(
        name, kinds, chosen.conditions, library.generation or uuid4(), DIMENSIONS
    )
    text = of_segments(text, [*await graphs(library.admin)])
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    asked = statements.parameters_of(name) - FIXED
    arguments = (library.workspace, vector, 10, None)[:asked]
    rows = await connection.fetch(f"explain {text}", *chosen.arguments(), *arguments, *values)
    return "\n".join(row[0] for row in rows)


async def test_every_query_is_allowed_and_well_formed(desk: Desk) -> None:
    """Search's own role must be able to prepare every named query."""
    assert desk.library.generation
    async with as_search(desk.library) as connection:
        for name in statements.names():
            kinds = (("message",), ("atom",), ("topic",)) if name in ONE_KIND else (KINDS,)
            for each in kinds:
                text, _ = statements.statement(
                    name, each, None, desk.library.generation, DIMENSIONS
                )
                assert await connection.prepare(of_segments(text, ("1", "2"))), name


async def test_the_index_is_used_where_it_should_be(desk: Desk) -> None:
    """Unfiltered the plan must walk each graph, over filtered rows the exact one must walk none."""
    indexes = (await graphs(desk.library.admin)).values()
    async with as_search(desk.library) as connection:
        plan = await plan_of(connection, "nearest_hnsw", desk.library, Filter())
        assert all(index in plan for index in indexes), plan
        assert "_written_idx" in plan, "what is in none is read by when it was written"
        chosen = Filter(author_ids=("ann",))
        plan = await plan_of(connection, "nearest_exact", desk.library, chosen)
        assert not any(index in plan for index in indexes)


async def kept_plan_of(connection: Connection, name: str, library: Library) -> str:
    """The plan that a statement would keep under the settings of large workspaces."""
    generation = library.generation or uuid4()
    text, _ = statements.statement(name, ("message",), None, generation, DIMENSIONS)
    text = of_segments(text, [*await graphs(library.admin)])
    for setting, value in KEPT_PLANS:
        await connection.execute(f"set local {setting} = {value}")
    await connection.execute(f"prepare kept as {text}")
    count = await connection.fetchval(
        "select cardinality(parameter_types) from pg_prepared_statements where name = 'kept'"
    )
    rows = await connection.fetch(f"explain execute kept ({', '.join(['null'] * count)})")
    await connection.execute("deallocate kept")
    return "\n".join(row[0] for row in rows)


async def test_plans_that_are_kept_are_those_meant(desk: Desk) -> None:
    """A plan that is kept must walk the indexes it is meant for; the server forgets it when it analyzes the tables."""
    meant = {
        "nearest_hnsw": (
            *(await graphs(desk.library.admin)).values(),
            "_written_idx",
            "message_pkey",
        ),
        "nearest_known": ("_written_idx", "_pkey", "message_pkey"),
        "vicinity": ("Index Scan using message_pkey", "Index Scan Backward using message_"),
        "messages": ("message_pkey",),
        "cosines": ("subject_id = k.id", "message_pkey"),
    }
    async with as_search(desk.library) as connection:
        for name, parts in meant.items():
            plan = await kept_plan_of(connection, name, desk.library)
            assert all(part in plan for part in parts), plan
            assert "Seq Scan on message" not in plan
            assert "Bitmap Heap Scan on message" not in plan
            assert "Seq Scan on vector" not in plan
    workspace, leg = desk.library.workspace, SemanticLeg(statistics := Statistics())
    assert leg.settings(workspace, Filter(), ["message"], 20) == ()
    async with as_search(desk.library) as connection:
        await statistics.documents(connection, workspace, ["message"])
    assert leg.settings(workspace, Filter(), ["message"], 20) == KEPT_PLANS
    for chosen in (Filter(author_ids=("ann",)), Filter(made_until=uuid4())):
        assert not {*KEPT_PLANS} & {*leg.settings(workspace, chosen, ["message"], 20)}


async def test_word_indexes_are_used(desk: Desk) -> None:
    """Words must be looked up in the GIN index, although rows are secured by workspace."""
    async with as_search(desk.library) as connection:
        before = await scans(desk.library, "message_words")
        workspace, kinds = desk.library.workspace, ["message"]
        terms = ["'ann'", "'42'"]
        counts = await store.count_documents(connection, workspace, kinds, terms, 100)
        assert counts == {"message": [60, 1]}
        found = await store.match_documents(
            connection,
            workspace,
            Filter(),
            kinds,
            "'42'",
            ["'42'"],
            [1.0],
            (1.2, 0.5, 12, 5),
            100,
            10,
        )
        assert len(found) == 1
    assert await scans(desk.library, "message_words") >= before + 3


async def scans(library: Library, index: str) -> int:
    """How often an index has been scanned."""
    await library.admin.execute("select pg_stat_force_next_flush()")
    count: int = await library.admin.fetchval(
        "select idx_scan from pg_stat_user_indexes where indexrelname = $1", index
    )
    return count


async def test_a_selective_filter_gets_all_of_the_nearest(desk: Desk, filled: Filled) -> None:
    """At a selectivity of 1 % the ten nearest must be found, all of them and exactly."""
    vectors = filled.vectors
    query = unit(1, 1, 1)
    response = await desk.client.search(
        mode=SEMANTIC,
        query_vector=query.tolist(),
        filter=pb.SearchFilter(author_external_ids=["ann"]),
        explain=True,
    )
    cosines = {i: float(vectors[i] @ query) for i in range(0, MANY, 100)}
    best = sorted(cosines, key=lambda i: -cosines[i])[:10]
    assert [result.message.text for result in response.results] == [f"ann {i}" for i in best]
    assert response.explanation.semantic_plan == Plan.EXACT
    assert response.explanation.estimated_rows == 60
    assert not response.under_filled


async def test_a_topic_is_read_by_its_messages(desk: Desk) -> None:
    """What lists the messages of a topic must not ask every message of the workspace whether it is one of them."""
    said = await desk.library.add_messages([f"said {i}" for i in range(20)], [unit(1)] * 20)
    topic = await desk.library.add_topic("Nightly backups", said)
    await desk.library.admin.execute(f"{ANALYZE}; analyze extractor.topic_message")
    workspace, chosen = desk.library.workspace, Filter(topic_ids=(topic,))
    generation = store.Generation(desk.library.generation or uuid4(), "m", DIMENSIONS)
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    async with as_search(desk.library) as connection:
        kind = ["message"]
        assert await lookups.count_all(connection, workspace, chosen, kind) == {"message": 20}
        facets = await lookups.facets(connection, workspace, chosen, kind, ["label"], 10, None)
        assert facets.subjects == 20
        newest = (connection, workspace, generation, chosen, "message", 100)
        assert {each for each, _ in await lookups.newest_vectors(*newest)} == {*said}
        scope = Scope(workspace, generation, chosen, ("message",))
        nearest, rows = await nearest_exact(connection, scope, vector, 100)
        assert ({near.subject.id for near in nearest}, rows) == ({*said}, 20)
        assert await connection.fetchval(READ) < 10 * len(said)


SAID = {"author_ids": ("ann",), "thread_ids": ("t",), "sent_after": START, "sent_before": START}
NARROW = Any_((Leaf(Attribute.THREAD, ("t",)), Leaf(Attribute.TOPIC, (uuid4(),))))


@pytest.mark.parametrize(
    "chosen", [Filter(**SAID), Filter(condition=NARROW), Filter(condition=All((NARROW,)))]
)
async def test_what_is_listed_is_joined(desk: Desk, chosen: Filter) -> None:
    """What rests on a thread's messages must be found by these: no row may be asked by itself whether it does."""
    async with as_search(desk.library) as connection:
        plan = await plan_of(connection, "nearest_exact", desk.library, chosen, KINDS)
        assert "SubPlan" in plan
        plan = await plan_of(connection, "nearest_exact", desk.library, chosen.enumerable, KINDS)
        assert "SubPlan" not in plan


async def test_facets_are_counted_in_one_pass(desk: Desk) -> None:
    """All attributes must be counted at once, without sorting, and of everything no copy be kept for that."""
    keys = ["source", "author", "month"]
    arguments = (*Filter().arguments(), desk.library.workspace, None, keys, 10, "")
    async with as_search(desk.library) as connection:
        for name, copies in (("facets", 1), ("facets_of_everything", 0)):
            text, _ = statements.statement(name)
            rows = await connection.fetch(f"explain {text}", *arguments)
            plan = "\n".join(row[0] for row in rows)
            assert plan.count("CTE subject") == copies, plan
            assert plan.count("Hash Key: ") == 3, plan


async def test_too_many_rows_are_not_compared(desk: Desk) -> None:
    """What a filter leaves must be counted up to a limit alone, and no vector read where it is reached."""
    generation = store.Generation(desk.library.generation or uuid4(), "m", DIMENSIONS)
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    async with as_search(desk.library) as connection:
        scope = Scope(desk.library.workspace, generation, Filter(author_ids=("ann",)), KINDS)
        assert await nearest_exact(connection, scope, vector, 10, 60) == ([], 60)
        assert await connection.fetchval(VECTORS_READ) == 0
        nearest, rows = await nearest_exact(connection, scope, vector, 10, 61)
        assert (len(nearest), rows) == (10, 60)
        assert await connection.fetchval(VECTORS_READ) >= 60


async def test_what_has_words_is_listed_by_their_index(desk: Desk) -> None:
    """What a phrase leaves must be found by the index of words: no row may be asked by itself whether it has them."""
    generation = store.Generation(desk.library.generation or uuid4(), "m", DIMENSIONS)
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    async with as_search(desk.library) as connection:
        words = await store.compile_constraint(connection, ["ann"], ["100", "ann 300"])
        assert words is not None
        chosen = Filter(words=words)
        plan = await plan_of(connection, "nearest_exact", desk.library, chosen.enumerable, KINDS)
        assert "containing" in plan
        assert "@@" not in plan
        before = await scans(desk.library, "message_words")
        scope = Scope(desk.library.workspace, generation, chosen, KINDS)
        nearest, rows = await nearest_exact(connection, scope, vector, 100)
        assert (len(nearest), rows) == (58, 58)
    assert await scans(desk.library, "message_words") > before
    async with as_search(desk.library) as connection:
        # No index finds what lacks words.
        words = await store.compile_constraint(connection, [], ["ann"])
        counts = await lookups.count_all(
            connection, desk.library.workspace, Filter(words=words), ["message"]
        )
        assert counts == {"message": MANY - 60}


async def test_everything_is_counted_without_reading_it(desk: Desk) -> None:
    """How many messages there are must be told by indexes alone, those without a text and up to a limit as well."""
    await desk.library.add_message("")
    deleted = await desk.library.add_messages(["gone", ""], deleted_at=datetime.now(UTC))
    assert len(deleted) == 2
    # As wide as messages are.
    await desk.library.admin.execute("update ingest.message set author_name = repeat('x', 500)")
    for vacuum in ("vacuum full", "vacuum analyze"):
        await desk.library.admin.execute(f"{vacuum} ingest.message")
    async with as_search(desk.library) as connection:
        for limit, counted in ((None, MANY + 1), (100, 100)):
            found = await store.count_everything(
                connection, desk.library.workspace, ["message"], limit
            )
            assert found == {"message": counted}
        assert await lookups.count_all(connection, desk.library.workspace, Filter(), KINDS) == {
            "message": MANY + 1,
            "atom": 0,
            "topic": 0,
        }
        assert await connection.fetchval(READ) == 0


@pytest.mark.parametrize(
    ("plan", "filtered"),
    [
        (Plan.HNSW, False),
        (Plan.HNSW_ITERATIVE, True),
        (Plan.MEMORY, False),
        (Plan.MEMORY, True),
    ],
)
async def test_nearly_all_of_the_nearest_are_found(
    desk: Desk, filled: Filled, monkeypatch: pytest.MonkeyPatch, plan: Plan, filtered: bool
) -> None:
    """Over many rows the plan must be the index or the copy, and give at least 98 of the 100 nearest."""
    vectors = filled.vectors
    if plan is not Plan.MEMORY:
        monkeypatch.setattr(Copies, "of", lambda *_: None)
    else:
        await until_copied(desk)
    rest = range(MANY)
    chosen = pb.SearchFilter(source_ids=[str(desk.library.source)]) if filtered else None
    found = 0
    for seed in range(10):
        query = unit(*np.random.default_rng(seed).standard_normal(DIMENSIONS).tolist())
        response = await desk.client.search(
            mode=SEMANTIC, query_vector=query.tolist(), filter=chosen, explain=True
        )
        best = sorted(rest, key=lambda i: -float(vectors[i] @ query))[:10]
        names = {result.message.text.split()[1] for result in response.results}
        found += len(names & {str(i) for i in best})
        assert len(response.results) == 10
    assert response.explanation.semantic_plan == plan
    assert found >= 98


async def until_copied(desk: Desk) -> None:
    """Search until vectors are read from memory."""
    fields = {"mode": SEMANTIC, "query_vector": unit(1).tolist(), "explain": True}
    async with asyncio.timeout(60):
        while (await desk.client.search(**fields)).explanation.semantic_plan != Plan.MEMORY:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
