"""What an erasure reads to judge topics: no more of large ones than decides, and of others nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from services.common.database import Connection, Database, DatabaseSettings
from services.extractor.erasing import QUERIES
from tests.conftest import Deployment

SIZE, FEW = 2_000, 20
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ROOM = """
    insert into ingest.message (workspace_id, source_id, id, external_id, text, sent_at, content_sha256, text_sha256,
      importance_score, importance_label, importance_factors, importance_version)
    select $1, $2, uuidv7(), n::text, 'backups ' || n, $3::timestamptz + n * interval '1 minute',
      sha256(n::text::bytea), sha256(n::text::bytea), 0, 'signal', '{}', '' from generate_series(1, $4::int) n"""
TOPIC = """
    insert into extractor.topic (workspace_id, source_id, title, title_key, text_sha256, version)
    values ($1, $2, $3, $3, sha256($3::text::bytea), 2) returning id"""
VERSION = """
    insert into extractor.topic_version (workspace_id, topic_id, version, title, run_id, change)
    values ($1, $2, $3, $4, uuidv7(), $5)"""
HELD = """
    insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id)
    select workspace_id, $2, id, id from ingest.message where workspace_id = $1"""
OTHERS = """
    with made as (
      insert into extractor.topic (workspace_id, source_id, title, title_key, text_sha256, retired_at)
      select $1, $2, n::text, n::text, sha256(n::text::bytea), case when n % 2 = 0 then now() end
      from generate_series(1, $3::int) n
      returning id)
    insert into extractor.topic_version (workspace_id, topic_id, version, title, run_id, cause_topic_id, change)
    select $1, m.id, 1, '', uuidv7(), uuidv7(), 'parted' from made m"""
READ = """
    select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int from pg_stat_xact_user_tables
    where relid = $1::text::regclass"""
CASES = [("Backups", "extracted"), ("Quarterly planning", "edited")]


@asynccontextmanager
async def extracting(deployment: Deployment) -> AsyncIterator[Connection]:
    """A transaction of the extractor."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_extractor", size=1) as database,
        database.transaction(deployment.workspace) as connection,
    ):
        yield connection


async def source_of(deployment: Deployment) -> UUID:
    """Make a source."""
    source: UUID = await deployment.admin.fetchval(
        """insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', uuidv7()::text)
           returning id""",
        deployment.workspace,
    )
    return source


@pytest.mark.parametrize(("title", "change"), CASES)
async def test_a_large_topic_is_judged_by_few_messages(
    deployment: Deployment, title: str, change: str
) -> None:
    """What a person called so needs one message; of other titles each word does."""
    admin, workspace = deployment.admin, deployment.workspace
    source = await source_of(deployment)
    await admin.execute(ROOM, workspace, source, BEGAN, SIZE)
    topic = await admin.fetchval(TOPIC, workspace, source, title)
    await admin.execute(VERSION, workspace, topic, 1, "backups backups", "extracted")
    await admin.execute(VERSION, workspace, topic, 2, title, change)
    await admin.execute(HELD, workspace, topic)
    await admin.execute("analyze ingest.message; analyze extractor.topic_message")
    async with extracting(deployment) as connection:
        (row,) = await connection.fetch(QUERIES["topics_concerned"], workspace, [topic], [], [])
        assert (row["id"], row["is_persons"], row["goes"]) == (topic, change == "edited", False)
        await connection.execute(QUERIES["remove_earlier_titles"], workspace, [topic])
        for table in ("ingest.message", "extractor.topic_message"):
            assert await connection.fetchval(READ, table) < FEW
    assert await admin.fetchval("select count(*) from extractor.topic_version") == 2


async def test_topics_of_other_windows_and_sources_are_not_read(deployment: Deployment) -> None:
    """Runs, partings and what is out of use are found by key."""
    admin, workspace = deployment.admin, deployment.workspace
    await admin.execute(OTHERS, workspace, await source_of(deployment), SIZE)
    source = await source_of(deployment)
    await admin.execute(ROOM, workspace, source, BEGAN, 1)
    message = await admin.fetchval("select id from ingest.message where source_id = $1", source)
    topic = await admin.fetchval(TOPIC, workspace, source, "Backups")
    await admin.execute("analyze extractor.topic; analyze extractor.topic_version")
    async with extracting(deployment) as connection:
        place = (workspace, [topic], [uuid4()], [message])
        (row,) = await connection.fetch(QUERIES["topics_concerned"], *place)
        assert (row["id"], row["goes"]) == (topic, True)
        for table in ("extractor.topic_version", "extractor.topic"):
            assert await connection.fetchval(READ, table) < FEW
