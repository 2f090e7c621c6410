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
