"""The gauges are read in statements of a bounded size, and say of all parts together what is so."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from services.common import gauges
from services.common.database import Database, DatabaseSettings
from tests.conftest import Deployment
from tests.search.library import Library, unit


async def fill(library: Library, messages: Sequence[UUID], texts: Sequence[str]) -> None:
    """Give some messages vectors, add knowledge, and let some of all be gone, outdated, rejected, read or waiting."""
    admin, ones = library.admin, [unit(1)]
    for place in (0, 1, 5, 6, 7, 14, 18):
        await library.add_vectors("message", [messages[place]], [texts[place]], ones)
    await library.add_vectors("message", [messages[1]], ["a part"], ones, part=1)
    for number in range(4):
        vector = unit(1) if number % 2 else None
        await library.add_atom(f"atom {number}", "content", [messages[number]], vector)
        topic = await library.add_topic(f"topic {number}")
        if number:
            await library.add_vectors("topic", [topic], [f"topic {number}"], ones)
    gone = "update ingest.message set deleted_at = now() where id = any ($1)"
    await admin.execute(gone, [messages[place] for place in (1, 2, 17, 18)])
    edited = "update ingest.message set text_sha256 = sha256('x') where id = any ($1)"
    await admin.execute(edited, [messages[place] for place in (5, 9)])
    await admin.execute(
        "update ingest.message set importance_label = 'noise' where sent_at < '2024-05-01 09:08Z'"
    )
    await admin.execute(
        "update extractor.atom set approval_state = 'rejected' where title = 'atom 1'"
    )
    await admin.execute(
        "update extractor.topic set retired_at = now() where title in ('topic 2', 'topic 3')"
    )
    window = await admin.fetchval("select id from extractor.conversation_window limit 1")
    await admin.execute(
        """insert into extractor.window_message (workspace_id, window_id, message_id, position)
           select workspace_id, $1, id, 0 from ingest.message where id = any ($2)""",
        window,
        messages[3:9],
    )
    await admin.execute(
        """insert into extractor.pending_message (workspace_id, message_id, source_id, thread_id, sent_at, received_at)
           select workspace_id, id, source_id, '', sent_at, now() from ingest.message where id = any ($1)""",
        messages[9:12],
    )


@pytest.fixture
async def library(deployment: Deployment) -> Library:
    """A workspace in which something of everything is wrong; its newest vectors are of what is gone."""
    library = await Library(deployment.admin, deployment.workspace).open()
    texts = [f"text {number}" if number % 6 != 4 else "" for number in range(19)]
    await fill(library, await library.add_messages(texts), texts)
    return library


async def together(library: Library) -> dict[str, Any]:
    """What one statement says."""
    row = await library.admin.fetchrow("select * from spine.gauges($1)", library.workspace)
    assert row
    return dict(row)


@pytest.mark.parametrize("counted", [1, 2, 5, 1000])
async def test_parts_say_what_one_statement_says(
    library: Library, monkeypatch: pytest.MonkeyPatch, counted: int
) -> None:
    """However few rows are counted in a statement, each is counted once."""
    monkeypatch.setattr(gauges, "COUNTED_MAX", counted)
    expected = await together(library)
    assert 0 not in [
        expected[name]
        for name in expected
        if name
        not in ("extractions_inconsistent", "leases_expired", "tokens_spent", "messages_signal")
    ]
    async with Database.open(DatabaseSettings.read(), "winnow_relay") as database:
        assert await gauges.read_gauges(database, library.workspace) == expected


@pytest.mark.parametrize("counted", [2, 1000])
async def test_nothing_is_without_a_window_while_one_is_to_be_cut(
    library: Library, monkeypatch: pytest.MonkeyPatch, counted: int
) -> None:
    """What was just saved waits for the extractor: that is no loss to be told of."""
    monkeypatch.setattr(gauges, "COUNTED_MAX", counted)
    await library.admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, hint_at)
           values ($1, 'window', uuidv7(), 'x', now())""",
        library.workspace,
    )
    async with Database.open(DatabaseSettings.read(), "winnow_relay") as database:
        found = await gauges.read_gauges(database, library.workspace)
    assert found["messages_unwindowed"] == 0
    assert found == await together(library)


async def test_without_a_generation_everything_is_missing(deployment: Deployment) -> None:
    """Before the embedder was ever started there are messages, and no vectors."""
    library = await Library(deployment.admin, deployment.workspace).open(dimensions=None)
    await library.add_messages(["one", "", "two"])
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        found = await gauges.read_gauges(database, library.workspace)
    assert (found["vectors"], found["vectors_missing"], found["serving_model"]) == (0, 2, "")
    assert found == await together(library)
