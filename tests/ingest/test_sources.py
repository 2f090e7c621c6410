"""Sources: their titles, and that writers of one source never wait for each other in a circle."""

import asyncio

import grpc
import pytest

from services.common.database import Database, DatabaseSettings
from services.ingest import store
from services.ingest.store import SourceKey
from tests.conftest import Deployment
from tests.ingest.conftest import SOURCE, UPDATED, Ingest, at, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb

SOURCE_UNLOCKED = "select from ingest.source for update nowait"


async def test_a_source_takes_a_new_title(ingest: Ingest) -> None:
    """A title that is sent replaces the stored one; an empty one, and the id again, leave it alone."""
    sent = {"": "", "room": "room", "First": "First"}
    for title, stored in (*sent.items(), ("", "First"), ("room", "First"), ("Second", "Second")):
        source = pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id="room", title=title)
        await ingest.send(message(1), source=source)
        (row,) = await ingest.rows("select title from ingest.source")
        assert row["title"] == stored


async def test_a_title_of_spaces_is_refused(ingest: Ingest) -> None:
    """A title that nobody can read does not replace the stored one: calls that name a source are refused for it."""
    await ingest.send(message(1))
    blank = pb.SourceRef(kind=SOURCE.kind, external_id=SOURCE.external_id, title=" \u3000")
    calls = [
        ("IngestMessages", pb.IngestMessagesRequest(source=blank, messages=[message(2)])),
        ("UpdateMessage", pb.UpdateMessageRequest(source=blank, external_id="1", edited_at=at(9))),
        ("DeleteMessages", pb.DeleteMessagesRequest(source=blank, external_ids=["1"])),
    ]
    for method, request in calls:
        error = await failure(getattr(ingest.stub, method)(request, metadata=ingest.metadata))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "source.title: must not be only spaces"
    frame = pb.StreamMessagesRequest(sequence=1, source=blank)
    assert "source.title" in str((await failure(ingest.stream([frame]))).details())
    assert [row["title"] for row in await ingest.rows("select title from ingest.source")] == [
        "Room"
    ]


async def test_a_title_comes_back_after_an_erasure(ingest: Ingest) -> None:
    """A message that comes after its source was erased brings the title again."""
    await ingest.send(message(1))
    (row,) = await ingest.rows("select id from ingest.source")
    request = pb.EraseSourceRequest(source_id=str(row["id"]))
    await ingest.stub.EraseSource(request, metadata=ingest.metadata)
    assert [row["title"] for row in await ingest.rows("select title from ingest.source")] == [""]
    await ingest.send(message(2))
    assert [row["title"] for row in await ingest.rows("select title from ingest.source")] == [
        "Room"
    ]


async def test_a_title_is_what_was_sent_last(ingest: Ingest) -> None:
    """A title that another replica has stored is replaced by the one that a message brings."""
    await ingest.send(message(1))
    await ingest.deployment.admin.execute("update ingest.source set title = 'Of an old export'")
    for number in (1, 2):
        await ingest.deployment.admin.execute("update ingest.source set title = 'Of an old export'")
        await ingest.send(message(number))
        (row,) = await ingest.rows("select title from ingest.source")
        assert row["title"] == "Room"


@pytest.mark.parametrize("title", ["Room", "Another"])
async def test_a_source_is_not_held_while_its_messages_are_waited_for(
    ingest: Ingest, title: str
) -> None:
    """Every writer locks messages before their source, whatever title it sends with them."""
    await ingest.send(message(1))
    renamed = pb.SourceRef(kind=SOURCE.kind, external_id=SOURCE.external_id, title=title)
    admin = ingest.deployment.admin
    async with admin.transaction():
        await admin.execute("select from ingest.message for update")
        sending = asyncio.create_task(ingest.send(message(1, "edited"), source=renamed))
        await ingest.waiting_for_a_lock()
        await admin.execute(SOURCE_UNLOCKED)
    (result,) = await sending
    assert result.outcome == UPDATED
    assert [row["title"] for row in await ingest.rows("select title from ingest.source")] == [title]


async def test_a_source_that_another_has_made_is_not_held(deployment: Deployment) -> None:
    """Who comes second to make a source goes on to its messages without a lock on it."""
    source = SourceKey("api", "room", "Room")
    place = (deployment.workspace, source)
    async with Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database:
        async with database.transaction(deployment.workspace) as connection:
            assert await store.make_source(connection, *place) is not None
        async with database.transaction(deployment.workspace) as connection:
            assert await store.make_source(connection, *place) is None
            async with deployment.admin.transaction():
                await deployment.admin.execute(SOURCE_UNLOCKED)
