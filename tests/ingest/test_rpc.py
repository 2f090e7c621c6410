"""IngestService over a real channel, with real PostgreSQL and NATS behind it."""

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.bus import Bus, BusSettings
from tests.ingest.conftest import (
    CREATED,
    REJECTED,
    SOURCE,
    UNCHANGED,
    UPDATED,
    Ingest,
    at,
    failure,
    message,
)
from winnow.errors.v1.errors_pb2 import ErrorReason
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

FULL = {
    "thread_id": "topic 7",
    "reply_to_external_id": "1",
    "author": types.Author(external_id="user1", name="Оксана 🌻", is_bot=True),
    "edited_at": at(90.5),
    "entities": [
        types.Entity(type="pre", offset=0, length=4, language="py"),
        types.Entity(type="text_link", offset=5, length=2, url="https://example.org/?a=\u2028"),
    ],
    "attachments": [types.Attachment(type="photo", file_name="кіт.png", size_bytes=1 << 40)],
    "forwarded_from": types.ForwardOrigin(external_id="channel9", name="Новини"),
}


async def get(ingest: Ingest, message_id: str) -> types.Message:
    """Return a stored message."""
    request = pb.GetMessageRequest(message_id=message_id)
    return (await ingest.stub.GetMessage(request, metadata=ingest.metadata)).message


async def test_new_messages_are_created(ingest: Ingest) -> None:
    """Every new message is CREATED, in the order sent, with an id of its own and an importance."""
    results = await ingest.send(message(3), message(1), message(2))
    assert [result.external_id for result in results] == ["3", "1", "2"]
    assert {result.outcome for result in results} == {CREATED}
    assert [r.message_id for r in results] == sorted({r.message_id for r in results})
    assert all(result.importance.label and result.importance.version for result in results)


async def test_everything_sent_is_stored(ingest: Ingest) -> None:
    """GetMessage gives back every field as it was sent, with the source's title and the factors of the score."""
    sent = message(1, "```x\n\ttabs \u200d and \r\n ends ", **FULL)
    (result,) = await ingest.send(sent, include_factors=True)
    found = await get(ingest, result.message_id)
    for field in (*FULL, "external_id", "text", "sent_at"):
        assert getattr(found, field) == getattr(sent, field), field
    assert found.source_title == SOURCE.title
    assert found.importance == result.importance
    total = sum(factor.value for factor in found.importance.factors)
    assert found.importance.score == pytest.approx(total, abs=1e-3)
    assert found.received_at.seconds > 0
    assert not found.HasField("deleted_at")


async def test_a_message_is_found_by_its_key(ingest: Ingest) -> None:
    """Who knows a message by its source and its id there gets the same as by the id that Winnow gave it."""
    stored, _ = await ingest.send(message(1, **FULL), message(2))
    await ingest.send(message(1, "another"), source=pb.SourceRef(kind=3, external_id="other"))
    await ingest.delete("2", "unknown")

    async def by_key(external_id: str, source: pb.SourceRef = SOURCE) -> types.Message:
        request = pb.GetMessageRequest(source=source, external_id=external_id)
        return (await ingest.stub.GetMessage(request, metadata=ingest.metadata)).message

    assert await by_key("1") == await get(ingest, stored.message_id)
    assert (await by_key("2")).HasField("deleted_at")
    nowhere = pb.SourceRef(kind=3, external_id="nowhere")
    for name, source in (("3", SOURCE), ("unknown", SOURCE), ("1", nowhere)):
        error = await failure(by_key(name, source))
        assert error.code() is grpc.StatusCode.NOT_FOUND
    assert len(await ingest.rows("select from ingest.source")) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"source": SOURCE},
        {"external_id": "1"},
        {"message_id": "0190d3a5-0000-7000-8000-000000000000", "external_id": "1"},
        {"message_id": "0190d3a5-0000-7000-8000-000000000000", "source": SOURCE},
    ],
    ids=lambda fields: " ".join(fields) or "nothing",
)
async def test_a_message_is_named_in_one_way(ingest: Ingest, fields: dict[str, Any]) -> None:
    """A message is named by its id, or by both parts of its key; anything else is refused and says so."""
    request = pb.GetMessageRequest(**fields)
    error = await failure(ingest.stub.GetMessage(request, metadata=ingest.metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "message_id: set either this, or source and external_id" in (error.details() or "")


async def test_factors_come_only_if_asked_for(ingest: Ingest) -> None:
    """Results carry the factors of a score only for include_factors."""
    (plain,) = await ingest.send(message(1, "How do I install it on Debian 12?"))
    (full,) = await ingest.send(
        message(2, "How do I install it on Debian 12?"), include_factors=True
    )
    assert not plain.importance.factors
    assert full.importance.factors


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x01\x7f\ufffe\uffff", "e\u0301", "Ґанок", "👩‍👩‍👧", "\u202eabc", "x" * 16384],
    ids=ascii,
)
async def test_text_is_stored_byte_for_byte(ingest: Ingest, text: str) -> None:
    """No normalising, no trimming: the text comes back as it was sent."""
    (result,) = await ingest.send(message(1, text))
    assert (await get(ingest, result.message_id)).text == text


async def test_repeating_changes_nothing(ingest: Ingest) -> None:
    """Sending the same again is UNCHANGED under the same id, and writes no row and no task."""
    batch = [message(1), message(2, ""), message(3, **FULL)]
    first = await ingest.send(*batch)
    query = "select xmin::text from {} order by id"
    tables = ["ingest.message", "ingest.source", "spine.task"]
    before = [await ingest.rows(query.format(table)) for table in tables[:2]]
    tasks = await ingest.rows("select id from spine.task order by id")
    again = await ingest.send(*batch)
    assert [result.outcome for result in again] == [UNCHANGED] * 3
    assert [result.message_id for result in again] == [result.message_id for result in first]
    assert not any(result.HasField("importance") or result.superseded for result in again)
    assert [await ingest.rows(query.format(table)) for table in tables[:2]] == before
    assert await ingest.rows("select id from spine.task order by id") == tasks


async def test_a_later_edit_updates(ingest: Ingest) -> None:
    """A message with a later edited_at is UPDATED and keeps its id."""
    (first,) = await ingest.send(message(1, "befor"))
    (second,) = await ingest.send(message(1, "before", edited_at=at(60)))
    assert (second.outcome, second.message_id) == (UPDATED, first.message_id)
    assert (await get(ingest, first.message_id)).text == "before"


async def test_an_older_version_changes_nothing(ingest: Ingest) -> None:
    """What is older than the stored version is UNCHANGED and told to be superseded, and what is not is no more."""
    (first,) = await ingest.send(message(1, "after", edited_at=at(60)))
    sent = message(1, "before"), message(1, "after", edited_at=at(60))
    older, same = await ingest.send(*sent)
    assert (older.outcome, older.superseded) == (UNCHANGED, True)
    assert (same.outcome, same.superseded) == (UNCHANGED, False)
    assert (await get(ingest, first.message_id)).text == "after"


async def test_the_latest_of_a_batch_wins(ingest: Ingest) -> None:
    """Of several versions in one batch the latest is saved; each gets a result with the same id."""
    results = await ingest.send(
        message(1, "one"),
        message(1, "three", edited_at=at(60)),
        message(1, "two", edited_at=at(30)),
        message(1, "one"),
    )
    assert [result.outcome for result in results] == [UNCHANGED, CREATED, UNCHANGED, UNCHANGED]
    assert [result.superseded for result in results] == [True, False, True, True]
    assert len({result.message_id for result in results}) == 1
    assert (await get(ingest, results[0].message_id)).text == "three"


REJECTS: list[tuple[str, dict[str, Any]]] = [
    ("external_id", {"external_id": ""}),
    ("external_id", {"external_id": "x" * 257}),
    ("external_id", {"external_id": "a\0b"}),
    ("thread_id", {"thread_id": "й" * 129}),
    ("reply_to_external_id", {"reply_to_external_id": "\0"}),
    ("author.external_id", {"author": types.Author(external_id="x" * 257)}),
    ("author.name", {"author": types.Author(name="\0")}),
    ("text", {"text": "x" * 16385}),
    ("text", {"text": "й" * 8192 + "x"}),
    ("text", {"text": "a\0b"}),
    ("sent_at", {"sent_at": None}),
    ("sent_at", {"sent_at": Timestamp(seconds=4102444800)}),
    ("sent_at", {"sent_at": Timestamp(seconds=-2208988801)}),
    ("sent_at", {"sent_at": Timestamp(seconds=1, nanos=1_000_000_000)}),
    ("sent_at", {"sent_at": Timestamp(seconds=1, nanos=-1)}),
    ("edited_at", {"edited_at": Timestamp(seconds=1 << 62)}),
    ("edited_at", {"edited_at": Timestamp(seconds=1, nanos=-1)}),
    ("entities", {"entities": [types.Entity(type="bold")] * 1001}),
    ("entities[1].url", {"entities": [types.Entity(), types.Entity(url="\0")]}),
    ("entities[0].type", {"entities": [types.Entity(type="\0")]}),
    ("attachments", {"attachments": [types.Attachment(type="photo")] * 101}),
    ("attachments[0].size_bytes", {"attachments": [types.Attachment(size_bytes=-1)]}),
    ("attachments[0].type", {"attachments": [types.Attachment(type="a\0")]}),
    ("forwarded_from.name", {"forwarded_from": types.ForwardOrigin(name="щ" * 257)}),
    ("forwarded_from.name", {"forwarded_from": types.ForwardOrigin(name="a\0")}),
    ("forwarded_from.external_id", {"forwarded_from": types.ForwardOrigin(external_id="x" * 257)}),
]


@pytest.mark.parametrize(("field", "fields"), REJECTS)
async def test_a_bad_message_is_rejected_alone(
    ingest: Ingest, field: str, fields: dict[str, Any]
) -> None:
    """A message that breaks a limit is REJECTED with the field and a reason; its neighbours are saved."""
    given = {"external_id": "2", "text": "hello", "sent_at": at(2)} | fields
    bad = pb.MessageInput(**given)
    before, result, after = await ingest.send(message(1), bad, message(3))
    assert (before.outcome, after.outcome) == (CREATED, CREATED)
    assert (result.outcome, result.external_id) == (REJECTED, bad.external_id)
    assert result.rejection.field == field
    assert result.rejection.reason == ErrorReason.ERROR_REASON_INVALID_FIELD
    assert result.rejection.description
    assert not result.message_id
    assert len(await ingest.rows("select from ingest.message")) == 2


async def test_a_batch_of_bad_messages_saves_nothing(ingest: Ingest) -> None:
    """A batch without one good message leaves no trace, not even its source."""
    assert await ingest.outcomes(message(1, "\0"), message(2, "\0")) == [REJECTED, REJECTED]
    assert not await ingest.rows("select from ingest.source")


async def test_the_limits_of_a_batch(ingest: Ingest) -> None:
    """500 messages fit; 501, none, and a source without a name are refused as a whole."""
    most = [message(number) for number in range(500)]
    assert await ingest.outcomes(*most) == [CREATED] * 500
    for batch, source, field in (
        ([*most, message(500)], SOURCE, "messages"),
        ([], SOURCE, "messages"),
        (most[:1], pb.SourceRef(kind=pb.SOURCE_KIND_API), "source.external_id"),
        (most[:1], pb.SourceRef(external_id="x"), "source.kind"),
        (most[:1], None, "source"),
    ):
        error = await failure(ingest.send(*batch, source=source))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field in (error.details() or "")


async def test_creation_asks_for_work_in_the_same_transaction(
    ingest: Ingest, generation: str
) -> None:
    """New messages get one task each for embedding if they have text, one window task together, and one event."""
    results = await ingest.send(message(3), message(1, ""), message(2))
    (source,) = await ingest.rows("select id from ingest.source")
    ids = [result.message_id for result in results]
    assert await ingest.tasks("window") == [f"new:{min(ids)}:{max(ids)}"]
    (window,) = await ingest.rows("select subject_id from spine.task where stage = 'window'")
    assert window["subject_id"] == source["id"]
    embeddable = await ingest.rows(
        "select 'message:' || $1 || ':' || encode(text_sha256, 'hex') as spec from ingest.message where text <> ''",
        generation,
    )
    assert sorted(await ingest.tasks("embed")) == sorted(row["spec"] for row in embeddable)
    made = await ingest.rows(
        """select distinct m.xmin::text = t.xmin::text from ingest.message m, spine.task t
           where t.hint_count = 0"""
    )
    assert all(row[0] for row in made)


async def test_history_waits_for_what_is_fresh(ingest: Ingest) -> None:
    """Hints for a message of now go before those of an import, whichever came first."""
    fresh = message(2)
    fresh.sent_at.GetCurrentTime()
    await ingest.send(message(1))
    await ingest.send(fresh)
    query = "select id from spine.task where stage = 'embed' order by id"
    old, new = [row["id"] for row in await ingest.rows(query)]
    async with Bus.open(BusSettings.read(), "test") as bus:
        for consumer, task in (("embed", new), ("embed_backfill", old)):
            (hint,) = await bus.hints(consumer, 8).fetch(8, 10)
            assert hint.tasks == (task,)


@pytest.mark.parametrize("function", ["enqueue_embedding_new", "enqueue", "announce"])
async def test_nothing_is_saved_without_its_work(ingest: Ingest, function: str) -> None:
    """When a task or the event cannot be made, neither a message nor a source nor a task is left."""
    statement = f"revoke execute on function spine.{function} from winnow_ingest"
    await ingest.deployment.admin.execute(statement)
    error = await failure(ingest.send(message(1)))
    assert error.code() is grpc.StatusCode.INTERNAL
    for table in ("ingest.source", "ingest.message", "spine.task", "spine.event"):
        assert not await ingest.rows(f"select from {table}")


async def test_edits_ask_for_work(ingest: Ingest, generation: str) -> None:
    """An edit asks for a new vector and a new look at its window, also when a text returns to what it was."""
    await ingest.send(message(1, "one"))
    await ingest.send(message(1, "two", edited_at=at(10)))
    await ingest.deployment.admin.execute(
        "update spine.task set state = 'done', hint_at = null, finished_at = now()"
    )
    await ingest.send(message(1, "one", edited_at=at(20)))
    await ingest.send(message(1, "two", edited_at=at(30)))
    open_tasks = await ingest.rows("select stage, spec from spine.task where state = 'ready'")
    (row,) = await ingest.rows("select encode(text_sha256, 'hex') as hash from ingest.message")
    assert {(t["stage"], t["spec"]) for t in open_tasks} >= {
        ("embed", f"message:{generation}:{row['hash']}"),
        ("window", f"changed:{row['hash']}"),
    }


async def test_a_text_that_is_emptied_loses_its_vector(ingest: Ingest, generation: str) -> None:
    """When an edit removes the text, the task that removes the vector is made."""
    await ingest.send(message(1, "one"))
    await ingest.send(message(1, "", edited_at=at(10)))
    assert (await ingest.tasks("embed"))[-1] == f"message:{generation}:gone"


async def test_an_edit_beside_the_text_costs_nothing(ingest: Ingest) -> None:
    """An edit that leaves the text alone asks for no vector and for no reading."""
    await ingest.send(message(1, "one"))
    await ingest.send(message(1, "one", edited_at=at(10), author=types.Author(name="Ada")))
    assert len(await ingest.tasks("embed")) == 1
    assert len(await ingest.tasks("window")) == 1


async def test_events_are_announced(ingest: Ingest) -> None:
    """Saving and deleting announce their facts with the messages' ids, in the same transaction."""
    admin = ingest.deployment.admin
    await admin.execute("alter table spine.event add column kept boolean")
    await admin.execute(
        """create table spine.kept as select * from spine.event;
           create function spine.keep() returns trigger language plpgsql security definer as
             'begin insert into spine.kept select new.*; return new; end';
           create trigger keep after insert on spine.event for each row execute function spine.keep()"""
    )
    (result,) = await ingest.send(message(1))
    await ingest.send(message(1))
    await ingest.delete("1", "2")
    facts = await ingest.rows("select fact, payload from spine.kept order by id")
    assert [row["fact"] for row in facts] == ["messages_ingested", "messages_deleted"]
    assert all(result.message_id.encode() in row["payload"] for row in facts)


async def test_get_of_the_unknown(ingest: Ingest) -> None:
    """A message that does not exist, or whose deletion alone is known, is NOT_FOUND."""
    await ingest.delete("1")
    (row,) = await ingest.rows("select id from ingest.message")
    for message_id in (str(row["id"]), "0190d3a5-0000-7000-8000-000000000000"):
        error = await failure(get(ingest, message_id))
        assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_equal_keys_of_two_sources_are_two_messages(ingest: Ingest) -> None:
    """Keys are unique per kind and external id of the source only."""
    for kind in (pb.SOURCE_KIND_API, pb.SOURCE_KIND_IMPORT, pb.SOURCE_KIND_TELEGRAM):
        source = pb.SourceRef(kind=kind, external_id="room")
        (result,) = await ingest.send(message(1), source=source)
        assert result.outcome == CREATED


async def test_workspaces_are_apart(ingest: Ingest) -> None:
    """What one workspace sends is invisible to another, which may use the same keys."""
    (mine,) = await ingest.send(message(1))
    other = Ingest(ingest.deployment, ingest.stub, await ingest.deployment.other_workspace())
    assert (await failure(get(other, mine.message_id))).code() is grpc.StatusCode.NOT_FOUND
    (theirs,) = await other.send(message(1))
    assert theirs.outcome == CREATED
    assert theirs.message_id != mine.message_id
    listed = await other.stub.ListMessages(pb.ListMessagesRequest(), metadata=other.metadata)
    assert [each.id for each in listed.messages] == [theirs.message_id]
    sources = await other.stub.ListSources(pb.ListSourcesRequest(), metadata=other.metadata)
    assert [source.message_count for source in sources.sources] == [1]
