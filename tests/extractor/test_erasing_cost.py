"""What an erasure reads to find the windows that saw messages: no more of what is gone already than decides."""

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

CHUNK = 20


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
