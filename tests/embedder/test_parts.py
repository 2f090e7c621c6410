"""What goes through all rows of a workspace does so in statements of a bounded size, and misses none of them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Connection, Database, DatabaseSettings
from services.embedder import counting, debts, generation_store, store
from services.embedder.specs import KINDS
from services.embedder.store import Debt
from tests.conftest import Deployment
from tests.search.library import Library, unit

TEXTS = [f"text {number}" for number in range(23)]


@pytest.fixture
async def library(deployment: Deployment) -> Library:
    """Messages, topics and atoms, some of which have a vector."""
    library = await Library(deployment.admin, deployment.workspace).open()
    messages = await library.add_messages(TEXTS)
    for number in (0, 1, 7, 8, 9, 10, 11, 22):
        place = ("message", [messages[number]], [TEXTS[number]], [unit(1)])
        await library.add_vectors(*place)
    for number in range(5):
        await library.add_topic(f"topic {number}")
        await library.add_atom(f"atom {number}", "content", [messages[number]])
    return library


@pytest.mark.parametrize("compared", [1, 3, 8, 100])
@pytest.mark.parametrize("batch", [2, 100])
async def test_what_is_missing_is_found_in_parts(
    library: Library, monkeypatch: pytest.MonkeyPatch, compared: int, batch: int
) -> None:
    """However few rows are compared in a statement, each that lacks its vector is asked for once, and no other."""
    monkeypatch.setattr(debts, "COMPARED_MAX", compared)
    spans: list[tuple[UUID, UUID]] = []

    async def noted(connection: Connection, *place: Any) -> Any:
        spans.append(place[3])
        return await look(connection, *place)

    look = store.vectors_to_ask_for
    monkeypatch.setattr(store, "vectors_to_ask_for", noted)
    assert library.generation
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        asker = debts.Debts(database, lambda: None)
        asked = asker.ask_for_missing(library.workspace, library.generation, batch, KINDS)
        made = [each async for each in asked]
        assert [
            each
            async for each in asker.ask_for_missing(library.workspace, library.generation, batch)
        ] == []
    assert (
        sum(made) == await library.admin.fetchval("select count(*) from spine.task") == 23 - 8 + 10
    )
    assert 0 < min(made) <= max(made) <= batch
    within = "select count(*) from spine.embeddable where subject_id > $1 and subject_id <= $2"
    assert max([await library.admin.fetchval(within, *span) for span in spans]) <= compared


@pytest.mark.parametrize("counted", [1, 3, 8, 100])
async def test_what_is_missing_is_counted_in_parts(
    library: Library, monkeypatch: pytest.MonkeyPatch, counted: int
) -> None:
    """However few rows are compared in a statement, what is missing and what is dead of it are each counted once."""
    monkeypatch.setattr(counting, "COUNTED_MAX", counted)
    spans: list[tuple[UUID, UUID]] = []

    async def noted(connection: Connection, *place: Any) -> Any:
        spans.append(place[3])
        return await look(connection, *place)

    look = store.embedding_debt
    monkeypatch.setattr(store, "embedding_debt", noted)
    generation, admin = library.generation, library.admin
    assert generation
    await admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, state)
           select workspace_id, 'embed', subject_id,
             kind || ':' || $1::uuid || ':' || encode(text_sha256, 'hex'), 'dead'
           from (select *, row_number() over (partition by kind order by subject_id) as n from spine.embeddable) e
           where n in (2, 3)""",
        generation,
    )
    seventh = await admin.fetchval("select id from ingest.message order by id offset 6 limit 1")
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        place = database, library.workspace, generation
        # The second message has its vector, though its task is dead.
        assert await counting.count(*place) == [
            Debt("atom", 5, 2),
            Debt("message", 15, 1),
            Debt("topic", 5, 2),
        ]
        assert await counting.count(*place, ["message"], seventh) == [Debt("message", 5, 1)]
        assert await counting.debt(database, generation) == (25, 5)
        assert await counting.lack(database, generation) == counting.Lack(25, 5, 1)
        async with database.transaction(library.workspace) as connection:
            await generation_store.pause_backfill(connection, library.workspace, paused=True)
        assert await counting.lack(database, generation) == counting.Lack(25, 5, 1, 20, 1)
    within = "select count(*) from spine.embeddable where subject_id > $1 and subject_id <= $2"
    assert max([await admin.fetchval(within, *span) for span in spans]) <= counted


@pytest.mark.parametrize("compared", [1, 3, 100])
@pytest.mark.parametrize(("limit", "asked"), [(100, 7), (4, 4)])
async def test_what_is_stale_is_found_in_parts(
    library: Library, monkeypatch: pytest.MonkeyPatch, compared: int, limit: int, asked: int
) -> None:
    """However few vectors are looked at in a statement, the removal of all that are stale is asked for, to a limit."""
    monkeypatch.setattr(debts, "COMPARED_MAX", compared)
    generation, admin = library.generation, library.admin
    assert generation
    topics = [row["id"] for row in await admin.fetch("select id from extractor.topic order by id")]
    titles = [f"topic {number}" for number in range(5)]
    await library.add_vectors("topic", topics, titles, [unit(1)] * 5)
    messages = await admin.fetch("select id from ingest.message order by id")
    gone = [messages[place]["id"] for place in (0, 7, 8, 22)]
    await admin.execute(
        "update ingest.message set deleted_at = now() where id = any ($1)", gone[:2]
    )
    await admin.execute(
        "update ingest.message set text_sha256 = sha256('x') where id = any ($1)", gone[2:]
    )
    await admin.execute(
        "update extractor.topic set retired_at = now() where id = any ($1)", topics[2:]
    )
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        asker = debts.Debts(database, lambda: None)
        assert await asker.ask_for_removal(library.workspace, generation, limit) == asked
    rows = await admin.fetch("select subject_id, spec from spine.task")
    assert {row["subject_id"] for row in rows} <= {*gone, *topics[2:]}
    assert {row["spec"].rpartition(":")[2] for row in rows} == {"gone"}


async def test_a_generation_is_forgotten_in_parts(
    library: Library, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tasks of a generation go, in every workspace, whatever stands between them; those of others stay."""
    monkeypatch.setattr(generation_store, "FORGOTTEN_MAX", 3)
    gone, kept = uuid4(), uuid4()
    other = await store_key(deployment.admin, "other", "test", mint_key(), SCOPES)
    tasks = [
        (workspace, stage, uuid4(), f"message:{generation}:{number}", datetime.now(UTC))
        for workspace in (deployment.workspace, other)
        for number in range(20)
        for generation in ((gone, kept) if number % 3 else (kept,))
        for stage in ("embed", "window")
    ]
    columns = ["workspace_id", "stage", "subject_id", "spec", "hint_at"]
    await deployment.admin.copy_records_to_table(
        "task", schema_name="spine", columns=columns, records=tasks
    )
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        await _forget_some(database, deployment.workspace, gone)
        left = "select count(*) from spine.task where stage = 'embed' and spec like $1"
        here = 2 * sum(1 for number in range(20) if number % 3)
        assert here - 3 <= await deployment.admin.fetchval(left, f"%{gone}%") <= here
        await generation_store.forget_tasks(database, gone)
        assert await deployment.admin.fetchval(left, f"%{gone}%") == 0
        assert await deployment.admin.fetchval(left, f"%{kept}%") == 40
    others = "select count(*) from spine.task where stage = 'window'"
    assert await deployment.admin.fetchval(others) == here + 40


async def _forget_some(database: Database, workspace: UUID, generation: UUID) -> None:
    async with database.connection() as connection:
        query = "select * from spine.forget_generation($1, $2, $3, '', 3)"
        rows = await connection.fetch(query, generation, workspace, UUID(int=0))
    assert len(rows) == 1
