"""What is to be read of an import keeps no conversation waiting, of another workspace or of today."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.common.database import Database, DatabaseSettings
from services.extractor.conversations import close_window
from services.extractor.grounded import GroundedEngine
from services.extractor.readings import enqueue_reading
from services.extractor.windows import Arrival
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.saved import BEGAN, TALK, say

NOISY, QUIET = UUID(int=1 << 96), UUID(int=2 << 96)


async def _to_be_read(
    deployment: Deployment, database: Database, workspace: UUID, said: datetime = BEGAN
) -> UUID:
    """Save a conversation of a workspace, closed and asked to be read; return its window."""
    bound = "select set_config('winnow.workspace_id', $1, false)"
    await deployment.admin.execute(bound, str(workspace))
    source, ids = await say(replace(deployment, workspace=workspace), TALK)
    await deployment.admin.execute(
        "update ingest.message set sent_at = $1 where id = any ($2)", said, ids
    )
    times = [said + timedelta(minutes=number) for number in range(len(ids))]
    own = [Arrival(each, "", at, at, "signal") for each, at in zip(ids, times, strict=True)]
    async with database.transaction(workspace) as connection:
        window = await close_window(connection, workspace, source, "idle", own)
        await enqueue_reading(connection, workspace, [window], GroundedEngine().version)
    return window


async def test_a_conversation_is_read_beside_an_import(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a workspace with forty conversations to be read, those of one batch are before the one of another."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        for workspace in [NOISY] * 40 + [QUIET]:
            await _to_be_read(deployment, database, workspace)
    assert await _read_before(deployment, "workspace_id = $1", QUIET) <= 8


async def test_what_was_said_today_is_read_beside_an_import(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of forty conversations of long ago, those of a few batches are before the one of today that came last."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        for _ in range(40):
            await _to_be_read(deployment, database, NOISY)
        today = await _to_be_read(deployment, database, NOISY, datetime.now(UTC))
    assert await _read_before(deployment, "window_id = $1", today) <= 8


async def _read_before(deployment: Deployment, which: str, value: UUID) -> int:
    """Have all read, and count what was read before one conversation."""
    await deployment.admin.execute("delete from spine.task where stage = 'window'")
    async with deployment.serving("extractor"):
        await until_true(
            deployment.admin, "bool_and(state = 'done') from spine.task where stage = 'extract'"
        )
    assert await deployment.admin.fetchval("select count(*) from extractor.run") == 41
    before: int = await deployment.admin.fetchval(
        f"""select count(*) from extractor.run
            where created_at < (select created_at from extractor.run where {which})""",
        value,
    )
    return before
