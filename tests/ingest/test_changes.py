"""Updates and deletions of single messages over gRPC."""

from typing import Any

import grpc
import pytest

from tests.ingest.conftest import (
    CREATED,
    SOURCE,
    UNCHANGED,
    UPDATED,
    Ingest,
    at,
    failure,
    message,
)
from tests.ingest.test_rpc import FULL, get
from winnow.ingest.v1 import ingest_pb2 as pb


async def update(ingest: Ingest, key: str, text: str, seconds: float, **fields: Any) -> Any:
    """Edit a message of the usual source."""
    request = pb.UpdateMessageRequest(
        source=fields.pop("source", SOURCE),
        external_id=key,
        text=text,
        edited_at=at(seconds),
        **fields,
    )
    response = await ingest.stub.UpdateMessage(request, metadata=ingest.metadata)
    return response.result


async def test_update_replaces_the_text(ingest: Ingest) -> None:
    """UpdateMessage changes text and entities, keeps everything else, and is UNCHANGED when repeated or older."""
    sent = message(1, "before", **FULL)
    (created,) = await ingest.send(sent)
    result = await update(ingest, "1", "after", 100)
    assert (result.outcome, result.message_id) == (UPDATED, created.message_id)
    found = await get(ingest, created.message_id)
    assert (found.text, found.edited_at, len(found.entities)) == ("after", at(100), 0)
    assert (found.author, found.attachments[0]) == (sent.author, sent.attachments[0])
    assert (found.thread_id, found.sent_at) == (sent.thread_id, sent.sent_at)
    assert found.forwarded_from == sent.forwarded_from
    again = await update(ingest, "1", "after", 100)
    assert (again.outcome, again.superseded) == (UNCHANGED, False)
    late = await update(ingest, "1", "late", 95)
    assert (late.outcome, late.superseded) == (UNCHANGED, True)


async def test_update_is_the_same_as_ingesting_again(ingest: Ingest) -> None:
    """Ingesting the edited message after UpdateMessage changes nothing."""
    await ingest.send(message(1, "before", **FULL))
    await update(ingest, "1", "after", 100)
    same = FULL | {"edited_at": at(100), "entities": []}
    assert await ingest.outcomes(message(1, "after", **same)) == [UNCHANGED]


async def test_update_of_the_unknown(ingest: Ingest) -> None:
    """Editing a message or a source that was never ingested is NOT_FOUND, also when its deletion is remembered."""
    await ingest.send(message(1))
    await ingest.delete("2")
    other = pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="room")
    for key, source in (("2", SOURCE), ("3", SOURCE), ("1", other)):
        error = await failure(update(ingest, key, "text", 9, source=source))
        assert error.code() is grpc.StatusCode.NOT_FOUND
    assert len(await ingest.rows("select from ingest.source")) == 1


async def test_update_checks_the_time(ingest: Ingest) -> None:
    """An edited_at that no message may have is INVALID_ARGUMENT."""
    await ingest.send(message(1))
    error = await failure(update(ingest, "1", "text", 1 << 40))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "edited_at" in (error.details() or "")


async def test_deletion_is_counted_and_followed(ingest: Ingest, generation: str) -> None:
    """Deleting counts what was live, deleted already and unknown, and asks for the removal of what was made of it."""
    (one, _) = await ingest.send(message(1), message(2))
    response = await ingest.delete("1", "7", deleted_at=at(50))
    assert (response.deleted, response.unchanged, response.remembered) == (1, 0, 1)
    response = await ingest.delete("1", "2", "7", "2")
    assert (response.deleted, response.unchanged, response.remembered) == (1, 3, 0)
    found = await get(ingest, one.message_id)
    assert (found.deleted_at, found.text) == (at(50), "message 1")
    assert (await ingest.tasks("embed")).count(f"message:{generation}:gone") == 2
    assert (await ingest.tasks("window")).count("changed:deleted") == 2


async def test_what_was_deleted_stays_deleted(ingest: Ingest) -> None:
    """Neither an import nor an edit brings a deleted message back or asks for its vector."""
    await ingest.send(message(1))
    await ingest.delete("1", "2")
    embeds = await ingest.tasks("embed")
    outcomes = await ingest.outcomes(message(1, "new", edited_at=at(10)), message(2))
    assert outcomes == [UPDATED, UPDATED]
    assert (await update(ingest, "2", "again", 20)).outcome == UPDATED
    rows = await ingest.rows("select deleted_at, text from ingest.message order by external_id")
    assert [row["text"] for row in rows] == ["new", "again"]
    assert all(row["deleted_at"] for row in rows)
    assert await ingest.tasks("embed") == embeds


async def test_who_sends_what_is_deleted_is_told(ingest: Ingest) -> None:
    """Whatever becomes of a deleted message, its sender learns that nothing finds it, also if it never came before."""
    (known,) = await ingest.send(message(1))
    assert not known.deleted
    await ingest.delete("1", "2")
    assert (await update(ingest, "1", "edited", 20)).deleted
    again = [
        message(1, "edited", edited_at=at(20)),
        message(2, "two"),
        message(2, "two", edited_at=at(9)),
    ]
    results = await ingest.send(*again, message(3))
    assert [(each.outcome, each.deleted) for each in results] == [
        (UNCHANGED, True),
        (UNCHANGED, True),
        (UPDATED, True),
        (CREATED, False),
    ]
    frame = pb.StreamMessagesRequest(
        source=SOURCE, messages=[*again, message(3)], include_results=True
    )
    (acknowledged,) = await ingest.stream([frame])
    assert [each.deleted for each in acknowledged.results] == [True, True, True, False]
    (source,) = await ingest.rows("select id::text from ingest.source")
    erasing = pb.EraseMessagesRequest(source_id=source["id"], external_ids=["1"])
    await ingest.stub.EraseMessages(erasing, metadata=ingest.metadata)
    (erased,) = await ingest.send(message(1))
    assert (erased.erased, erased.deleted) == (True, False)


@pytest.mark.parametrize("seconds", [1 << 40, -(1 << 40)])
async def test_deletion_checks_the_time(ingest: Ingest, seconds: int) -> None:
    """A deleted_at that no message may have is INVALID_ARGUMENT."""
    error = await failure(ingest.delete("1", deleted_at=at(seconds)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "deleted_at" in (error.details() or "")
