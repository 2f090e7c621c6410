"""What an erasure reads to find the windows that saw messages: no more of what is gone already than decides."""

from uuid import uuid4

from services.extractor.store import windows_that_saw
from services.extractor.windows import WindowLimits
from tests.conftest import Deployment
from tests.extractor.test_topic_erasing_cost import (
    BEGAN,
    READ,
    ROOM,
    SIZE,
    extracting,
    source_of,
)

CHUNK, REPLIES = 20, 100
SOURCE = """
    insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', uuidv7()::text) returning id"""
ANSWERED = """
    update ingest.message set reply_to_external_id = (external_id::int - 1)::text
    where workspace_id = $1 and external_id::int > 1"""
WINDOWED = """
    with made as (
      insert into extractor.conversation_window (workspace_id, source_id, thread_id, closed_by, first_sent_at,
        last_sent_at, message_count, noise_count)
      values ($1, $2, '', 'idle', $3, $3, 1, 0) returning id)
    insert into extractor.window_message (workspace_id, message_id, window_id, position)
    select $1, m.id, made.id, m.external_id::int from ingest.message m, made where m.workspace_id = $1"""


async def test_what_was_erased_after_messages_is_not_read_for_each(deployment: Deployment) -> None:
    """Of a source that is erased nothing is left after a message, and to see so must not take all of it."""
    admin, workspace = deployment.admin, deployment.workspace
    source = await source_of(deployment)
    await admin.execute(ROOM, workspace, source, BEGAN, SIZE)
    await admin.execute("update ingest.message set deleted_at = now(), text = ''")
    await admin.execute("vacuum analyze ingest.message")
    rows = await admin.fetch("select id from ingest.message order by sent_at limit $1", CHUNK)
    async with extracting(deployment) as connection:
        chunk = [row["id"] for row in rows]
        assert not await windows_that_saw(connection, workspace, chunk, WindowLimits())
        assert await connection.fetchval(READ, "ingest.message") < CHUNK * SIZE // 4


async def test_replies_are_found_by_key_where_nothing_is_known(deployment: Deployment) -> None:
    """Where all rows that statistics know are another workspace's, messages are not compared with all others."""
    admin = deployment.admin
    for workspace in (uuid4(), deployment.workspace):
        await admin.execute(
            "analyze ingest.message, extractor.conversation_window, extractor.window_message"
        )
        source = await admin.fetchval(SOURCE, workspace)
        await admin.execute(ROOM, workspace, source, BEGAN, REPLIES)
        await admin.execute(ANSWERED, workspace)
        await admin.execute(WINDOWED, workspace, source, BEGAN)
    rows = await admin.fetch("select id from ingest.message where workspace_id = $1", workspace)
    async with extracting(deployment) as connection:
        ids = [row["id"] for row in rows]
        saw = await windows_that_saw(connection, workspace, ids, WindowLimits())
        assert len(saw) >= 1
        assert await connection.fetchval(READ, "extractor.window_message") < 10 * REPLIES
