"""What is being read when its messages are erased is not written down."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.outbox import Task
from services.extractor import store
from services.extractor.conversations import Pending, close_window
from services.extractor.erasing import EraseStage
from services.extractor.grounded import GroundedEngine
from services.extractor.subscriptions import ExtractStage
from services.extractor.windows import WindowLimits
from tests.conftest import Deployment
from tests.extractor.saved import BEGAN, TALK, say

LIMITS = WindowLimits(36, 144, timedelta(hours=1), timedelta(0), timedelta(hours=2), 4)


async def window_of(
    database: Database, deployment: Deployment, source: UUID, ids: list[UUID]
) -> Task:
    """Put messages into a closed window; return the task that reads it as it is."""
    workspace = deployment.workspace
    own = [Pending(each, "", BEGAN, BEGAN, "signal") for each in ids]
    async with database.transaction(workspace) as connection:
        window = await close_window(connection, workspace, source, "idle", own)
        (text,) = await store.window_texts(connection, workspace, [window])
    return Task(workspace, uuid4(), window, f"version:{text.digest}", 1, 1)


async def erase(deployment: Deployment, message: UUID) -> Task:
    """Erase a message as ingest would; return the task of the extractor."""
    admin, workspace, operation = deployment.admin, deployment.workspace, uuid7()
    await admin.execute(
        "update ingest.message set text = '', text_sha256 = sha256(''), deleted_at = now() where id = $1",
        message,
    )
    await admin.execute(
        "insert into ingest.operation (workspace_id, id, kind) values ($1, $2, 'erase')",
        workspace,
        operation,
    )
    await admin.execute(
        "insert into ingest.erasure values ($1, $2, 0, array[$3::uuid])",
        workspace,
        operation,
        message,
    )
    return Task(workspace, uuid4(), operation, "0", 1, 1)


@pytest.mark.parametrize("removed_first", [False, True])
async def test_a_reading_of_erased_text_is_dropped(
    deployment: Deployment, removed_first: bool
) -> None:
    """Neither before nor after the removal does a reading that began earlier bring a quote back."""
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, TALK)
        reading = ExtractStage(database, GroundedEngine(), "", LIMITS, lambda: None)
        erasing = EraseStage("version", lambda: None)
        task = await window_of(database, deployment, source, ids)
        read = await reading.perform([task])
        assert read[0].count
        asked = await erasing.perform([await erase(deployment, ids[1])])
        for removing in (removed_first, not removed_first):
            async with database.transaction(workspace) as connection:
                if removing:
                    await erasing.write(connection, workspace, asked)
                else:
                    await reading.write(connection, workspace, read)
    assert await deployment.admin.fetchval("select count(*) from extractor.atom") == 0
    specs = await deployment.admin.fetch("select spec from spine.task where stage = 'extract'")
    assert len(specs) == 1
    assert specs[0]["spec"] != task.spec
