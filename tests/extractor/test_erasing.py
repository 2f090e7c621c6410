"""What is being read when its messages are erased is not written down."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.outbox import Task
from services.extractor import erasing, store
from services.extractor.conversations import close_window
from services.extractor.erasing import EraseStage
from services.extractor.grounded import GroundedEngine
from services.extractor.subscriptions import ExtractStage
from services.extractor.windows import Arrival, WindowLimits
from tests.conftest import Deployment
from tests.extractor.asking import recorded
from tests.extractor.saved import BEGAN, TALK, erase_content, say

LIMITS = WindowLimits(36, 144, timedelta(hours=1), timedelta(0), timedelta(hours=2), 4)


async def window_of(
    database: Database, deployment: Deployment, source: UUID, ids: list[UUID], minutes: int = 0
) -> Task:
    """Put messages, said some minutes after the first, into a closed window; return the task that reads it as it is."""
    workspace, sent_at = deployment.workspace, BEGAN + timedelta(minutes=minutes)
    own = [Arrival(each, "", sent_at, sent_at, "signal") for each in ids]
    async with database.transaction(workspace) as connection:
        window = await close_window(connection, workspace, source, "idle", own)
        (text,) = await store.window_texts(connection, workspace, [window])
    return Task(workspace, uuid4(), window, f"version:{text.digest}", 1, 1)


async def erase(deployment: Deployment, message: UUID) -> Task:
    """Erase a message as ingest would; return the task of the extractor."""
    operation = await erase_content(deployment, message)
    return Task(deployment.workspace, uuid4(), operation, "0", 1, 1)


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


async def to_be_erased(deployment: Deployment, message: UUID) -> None:
    """Write down that a message is to be erased, as ingest does for a large erasure."""
    await deployment.admin.execute(
        "insert into ingest.message_to_erase values ($1, $2, uuidv7())",
        deployment.workspace,
        message,
    )


async def test_what_is_to_be_erased_is_not_read(deployment: Deployment) -> None:
    """A message that waits for its erasure is neither text nor context nor parent of what is read."""
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, TALK)
        await deployment.admin.execute(
            "update ingest.message set reply_to_external_id = '1' where id = $1", ids[4]
        )
        await window_of(database, deployment, source, ids[:2])
        window = (await window_of(database, deployment, source, ids[2:], minutes=2)).subject
        async with database.transaction(workspace) as connection:
            before = await store.read_window(connection, workspace, window, 9)
            said = dict(zip(ids, [text for _, text in TALK], strict=True))
            assert await store.still_say(connection, workspace, said)
        assert {ids[1]} < {each.id for each in before.previous}
        assert {*before.parents} == {ids[1]}
        for message in (ids[1], ids[2]):
            await to_be_erased(deployment, message)
        async with database.transaction(workspace) as connection:
            after = await store.read_window(connection, workspace, window, 9)
            (text,) = await store.window_texts(connection, workspace, [window])
            assert not await store.still_say(connection, workspace, {ids[1]: TALK[1][1]})
    assert [each.id for each in after.previous] == ids[:1]
    assert after.parents == {}
    assert [each.id for each in after.messages] == ids[3:]
    assert text.digest == after.digest != before.digest


@pytest.mark.parametrize("read_first", [False, True])
async def test_a_window_is_read_when_its_erasure_has_passed(
    deployment: Deployment, read_first: bool
) -> None:
    """Until then what is asked for ends without a reading, also one under way; then the rest is asked for."""
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        source, ids = await say(deployment, TALK)
        reading = ExtractStage(database, GroundedEngine(), "", LIMITS, lambda: None)
        erasing = EraseStage("version", lambda: None)
        if not read_first:
            await to_be_erased(deployment, ids[1])
        task = await window_of(database, deployment, source, ids)
        read = await reading.perform([task])
        assert (read[0].value is not None) == read_first
        if read_first:
            await to_be_erased(deployment, ids[1])
        async with database.transaction(workspace) as connection:
            await reading.write(connection, workspace, read)
        asked = "select count(*) from spine.task where stage = 'extract'"
        assert await deployment.admin.fetchval(asked) == 0
        await deployment.admin.execute("delete from ingest.message_to_erase")
        chunk = await erasing.perform([await erase(deployment, ids[1])])
        async with database.transaction(workspace) as connection:
            await erasing.write(connection, workspace, chunk)
    assert await deployment.admin.fetchval(asked) == 1
    assert await deployment.admin.fetchval("select count(*) from extractor.atom") == 0


async def test_no_embedding_is_asked_for_after_comparing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes vectors locks the tasks that embed before those that compare: so must who erases several chunks."""
    asked_for = recorded(monkeypatch, erasing)
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        _, ids = await say(deployment, TALK)
        stage = EraseStage("version", lambda: None)
        chunks = await stage.perform([await erase(deployment, each) for each in ids[:2]])
        async with database.transaction(deployment.workspace) as connection:
            await stage.lock(connection, deployment.workspace, chunks)
            await stage.write(connection, deployment.workspace, chunks)
    assert asked_for == ["atom", "atom", "compare"]
