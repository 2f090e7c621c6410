"""What was never compared is asked for again and again, in every workspace."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from services.common.database import Database, DatabaseSettings
from services.extractor.merge_reconciliation import MergeReconciliation
from tests.conftest import Deployment
from tests.extractor.known import Knowledge, knowing
from tests.extractor.saved import say

DISK = "problem: The nightly backup fails because the archive disk of host db-2 is full"
TABLES = "'extractor.atom'::regclass, 'spine.task'::regclass"
READ = f"""select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int from pg_stat_user_tables
           where relid in ({TABLES}) or relid in (select inhrelid from pg_inherits)"""
COPIED = """
    insert into embedder.vector (
      workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding, source_id, sent_at)
    select workspace_id, $1, kind, subject_id, part, text_sha256, embedding, source_id, sent_at from embedder.vector"""
ASKED = "select workspace_id from spine.task where stage = 'merge'"


@pytest.fixture
async def impatient(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A database whose statements wait for no lock for long."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "0.6")
    async with Database.open(DatabaseSettings.read(), "winnow_extractor", size=2) as database:
        yield database


async def forgotten(knowledge: Knowledge, workspace: UUID) -> None:
    """Let a workspace know something that nobody asked to compare."""
    theirs = replace(knowledge, deployment=replace(knowledge.deployment, workspace=workspace))
    admin = knowledge.deployment.admin
    await admin.execute("select set_config('winnow.workspace_id', $1, false)", str(workspace))
    await say(theirs.deployment, [("ann", DISK)])
    await theirs.settled()
    await admin.execute("delete from spine.task where stage = 'merge'")


async def test_a_workspace_that_is_locked_keeps_none_behind_it_from_being_looked_at(
    deployment: Deployment, impatient: Database, database_url: str
) -> None:
    """Where a statement fails for what only its workspace holds, the others are asked for all the same."""
    await deployment.other_workspace()
    rows = await deployment.admin.fetch("select workspace_id from spine.workspaces()")
    first, last = (row["workspace_id"] for row in rows)
    async with knowing(deployment, merges=False) as knowledge:
        for workspace in (first, last):
            await forgotten(knowledge, workspace)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute(f"set winnow.workspace_id = '{first}'")
            # Whoever asks for the same waits until it is known whether this is kept.
            await other.execute("select spine.ask_for_forgotten_merges($1, 10)", first)
            assert await MergeReconciliation(impatient, 60, int).look() == 1
            assert [row["workspace_id"] for row in await deployment.admin.fetch(ASKED)] == [last]
    finally:
        await other.close()


async def read(deployment: Deployment, database: Database) -> int:
    """How many rows were read in all."""
    async with database.connection() as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    await deployment.admin.execute("select pg_stat_force_next_flush()")
    rows: int = await deployment.admin.fetchval(READ)
    return rows


async def test_what_was_looked_at_is_not_read_again(
    deployment: Deployment, impatient: Database
) -> None:
    """Only what got its vector since the last look is read, and everything once when another generation serves."""
    admin = deployment.admin
    reconciliation = MergeReconciliation(impatient, 60, int)
    async with knowing(deployment, merges=False) as knowledge:
        await say(deployment, [("ann", f"{DISK}, number {n}") for n in range(100)])
        await knowledge.settled()
        known = len(await knowledge.atoms())
        await admin.execute("delete from spine.task where stage = 'merge'")
        assert await reconciliation.look() == known
        before = await read(deployment, impatient)
        assert await reconciliation.look() == 0
        assert await read(deployment, impatient) - before < known // 10
        await forgotten(knowledge, deployment.workspace)
        assert await reconciliation.look() == 1
        second = await admin.fetchval(
            "select id from embedder.open_generation('second', repeat('2', 64), 384, 'mean', '', '')"
        )
        await admin.execute(COPIED, second)
        await admin.execute("delete from spine.task where stage = 'merge'")
        assert await reconciliation.look() == 0
        await admin.execute("select embedder.promote_generation($1, true)", second)
        assert await reconciliation.look() == known + 1
