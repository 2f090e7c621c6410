"""Moving a source: it keeps its id and all that it has, and who still calls it as before means the same messages."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import grpc
import pytest

from services.common.database import Database, DatabaseSettings
from services.ingest import moving, store
from services.ingest.moving import Moved, Mover
from services.ingest.renumbering import Renumbering
from services.ingest.sources import Sources
from services.ingest.store import SourceKey
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
from tests.ingest.test_rpc import FULL
from winnow.ingest.v1 import ingest_pb2 as pb

SHIFT, SUFFIX = -1_000_000_000, "@ann"
HALL = pb.SourceRef(kind=SOURCE.kind, external_id="hall")
BEFORE = pb.SourceRef(kind=SOURCE.kind, external_id="before")
ALL_BUT_KEYS = """
    select (to_jsonb(m) - 'external_id' - 'reply_to_external_id' - 'content_sha256' - 'words')::text as kept
    from ingest.message m order by id"""
KEYS = "select external_id, reply_to_external_id from ingest.message order by sent_at, id"


def now(number: int) -> str:
    """What a message is called after the move, by its number before it."""
    return f"{SHIFT + number}{SUFFIX}"


async def move(ingest: Ingest, **fields: Any) -> pb.MoveSourceResponse:
    """Move the usual source to the hall."""
    given = {
        "source": SOURCE,
        "external_id": HALL.external_id,
        "title": "Hall",
        "number_shift": SHIFT,
        "key_suffix": SUFFIX,
    }
    request = pb.MoveSourceRequest(**(given | fields))
    return await ingest.stub.MoveSource(request, metadata=ingest.metadata)


async def outcomes(
    ingest: Ingest, source: pb.SourceRef, *messages: pb.MessageInput
) -> list[tuple[str, int, bool]]:
    """Send messages and return by what key each is answered, what became of it and whether something else is kept."""
    results = await ingest.send(*messages, source=source)
    return [(each.external_id, each.outcome, each.superseded) for each in results]


async def keys(ingest: Ingest) -> list[tuple[str, str]]:
    """The key of every message, and of what it replies to."""
    return [tuple(row) for row in await ingest.rows(KEYS)]


async def test_a_source_keeps_what_it_has(ingest: Ingest) -> None:
    """Nothing of a message changes but its number and that of the one it replies to; both numbers mean it then."""
    full = FULL | {"reply_to_external_id": "1", "thread_id": "9"}
    said = [message(1, zone_assumed=True), message(2, **full), message(3, external_id="greeting")]
    ids = [result.message_id for result in await ingest.send(*said)]
    await ingest.send(message(4, reply_to_external_id="greeting"), message(5), message(6))
    await ingest.delete("5", "7")
    (source,) = await ingest.rows("select id from ingest.source")
    request = pb.EraseMessagesRequest(source_id=str(source["id"]), external_ids=["6", "8"])
    operation = (await ingest.stub.EraseMessages(request, metadata=ingest.metadata)).operation
    before = await ingest.rows(ALL_BUT_KEYS)

    moved = await move(ingest)
    assert (moved.source_id, moved.renumbered) == (str(source["id"]), 7)
    assert await ingest.rows(ALL_BUT_KEYS) == before
    assert sorted(await keys(ingest)) == sorted([
        (now(1), ""), (now(2), now(1)), ("greeting", ""), (now(4), "greeting"),
        (now(5), ""), (now(6), ""), (now(7), ""), (now(8), ""),
    ])  # fmt: skip
    (row,) = await ingest.rows("select id, external_id, title from ingest.source")
    assert tuple(row) == (source["id"], "hall", "Hall")
    looked = pb.GetOperationRequest(operation_id=operation.id)
    receipt = (await ingest.stub.GetOperation(looked, metadata=ingest.metadata)).operation.receipt
    assert (receipt.messages, receipt.remaining) == (1, 0)

    again = [message(1, zone_assumed=True), message(2, **full), message(3, external_id="greeting")]
    assert await outcomes(ingest, SOURCE, *again) == [
        ("1", UNCHANGED, False),
        ("2", UNCHANGED, False),
        ("greeting", UNCHANGED, False),
    ]
    exported = full | {"external_id": now(2), "reply_to_external_id": now(1)}
    (result,) = await ingest.send(message(2, **exported), source=HALL)
    assert (result.outcome, result.superseded, result.message_id) == (UNCHANGED, False, ids[1])
    for source_ref, called in ((SOURCE, str), (HALL, now)):
        named = pb.GetMessageRequest(source=source_ref, external_id=called(2))
        got = await ingest.stub.GetMessage(named, metadata=ingest.metadata)
        assert got.message.id == ids[1]
        gone = [message(number, external_id=called(number)) for number in (5, 6, 7, 8)]
        await ingest.send(*gone, source=source_ref)
    live = await ingest.rows("select external_id from ingest.message where deleted_at is null")
    assert {row["external_id"] for row in live} == {now(1), now(2), "greeting", now(4)}
    assert len(await ingest.rows("select from ingest.source")) == 1


async def test_what_comes_late_by_the_former_key(ingest: Ingest) -> None:
    """New messages, edits and deletions by it are of the same source, renumbered, and answered as they were sent."""
    await ingest.send(message(1), message(2))
    await move(ingest)
    late = [
        message(3, reply_to_external_id="2"),
        message(2, "edited", edited_at=at(9)),
        message(4, "nul \0"),
    ]
    assert await outcomes(ingest, SOURCE, *late) == [
        ("3", CREATED, False),
        ("2", UPDATED, False),
        ("4", REJECTED, False),
    ]
    edit = pb.UpdateMessageRequest(source=SOURCE, external_id="3", text="new", edited_at=at(10))
    edited = (await ingest.stub.UpdateMessage(edit, metadata=ingest.metadata)).result
    assert (edited.external_id, edited.outcome) == ("3", UPDATED)
    assert (await ingest.delete("1")).deleted == 1
    frame = pb.StreamMessagesRequest(source=SOURCE, messages=[message(5)], include_results=True)
    (reply,) = await ingest.stream([frame])
    assert [each.external_id for each in reply.results] == ["5"]
    rows = await ingest.rows(
        "select external_id, text from ingest.message where deleted_at is null order by sent_at"
    )
    assert [tuple(row) for row in rows] == [
        (now(2), "edited"),
        (now(3), "new"),
        (now(5), "message 5"),
    ]
    (row,) = await ingest.rows("select title from ingest.source")
    assert row["title"] == "Hall"


async def test_numbers_that_begin_anew(ingest: Ingest) -> None:
    """After the move the same numbers are other messages, deleted and edited by the new key alone."""
    await ingest.send(message(1), message(2))
    await move(ingest)
    assert await outcomes(ingest, HALL, message(1, "new"), message(2, "new")) == [
        ("1", CREATED, False),
        ("2", CREATED, False),
    ]
    request = pb.DeleteMessagesRequest(source=HALL, external_ids=["1"])
    await ingest.stub.DeleteMessages(request, metadata=ingest.metadata)
    rows = await ingest.rows("select external_id from ingest.message where deleted_at is null")
    assert {row["external_id"] for row in rows} == {now(1), now(2), "2"}


async def test_moving_again(ingest: Ingest) -> None:
    """A repeated call changes nothing; a source that has moved can be moved on, and all its keys mean it."""
    await ingest.send(message(1))
    await move(ingest)
    (before,) = await ingest.rows("select * from ingest.source")
    assert (await move(ingest)).renumbered == 0
    assert await ingest.rows("select * from ingest.source") == [before]
    await ingest.send(message(2), source=HALL)
    loft = pb.SourceRef(kind=SOURCE.kind, external_id="loft")
    on = {"source": HALL, "external_id": "loft", "title": "", "key_suffix": "@bob"}
    assert (await move(ingest, **on)).renumbered == 1
    assert await outcomes(ingest, SOURCE, message(1)) == [("1", UNCHANGED, False)]
    assert await outcomes(ingest, HALL, message(2)) == [("2", UNCHANGED, False)]
    assert await outcomes(ingest, loft, message(1)) == [("1", CREATED, False)]
    assert (await move(ingest, **on)).renumbered == 0
    (row,) = await ingest.rows("select external_id, title from ingest.source")
    assert tuple(row) == ("loft", "Hall")


async def test_a_new_key_without_new_numbers(ingest: Ingest) -> None:
    """With no shift messages keep their keys, whatever the suffix; a title that is only the new id replaces none."""
    await ingest.send(message(1, reply_to_external_id="7"))
    assert (await move(ingest, number_shift=0, title="hall")).renumbered == 0
    assert await keys(ingest) == [("1", "7")]
    assert await outcomes(ingest, SOURCE, message(1, reply_to_external_id="7")) == [
        ("1", UNCHANGED, False)
    ]
    (row,) = await ingest.rows("select external_id, title from ingest.source")
    assert tuple(row) == ("hall", "Room")


async def test_new_numbers_after_a_move_without(ingest: Ingest) -> None:
    """Who still calls a source as before both moves means the same messages, not those that got their numbers since."""
    await ingest.send(message(1), message(2))
    await move(ingest, number_shift=0, key_suffix="")
    assert (await move(ingest, source=HALL, external_id="loft")).renumbered == 2
    loft = pb.SourceRef(kind=SOURCE.kind, external_id="loft")
    assert await outcomes(ingest, loft, message(1, "new")) == [("1", CREATED, False)]
    for former in (SOURCE, HALL):
        assert await outcomes(ingest, former, message(1), message(2)) == [
            ("1", UNCHANGED, False),
            ("2", UNCHANGED, False),
        ]
    assert (await ingest.delete("1")).deleted == 1
    rows = await ingest.rows("select external_id from ingest.message where deleted_at is null")
    assert {row["external_id"] for row in rows} == {now(2), "1"}


REFUSED: list[tuple[dict[str, Any], grpc.StatusCode, str]] = [
    ({"source": pb.SourceRef(kind=SOURCE.kind, external_id="den")}, grpc.StatusCode.NOT_FOUND, "no source den"),
    ({"external_id": "taken"}, grpc.StatusCode.ALREADY_EXISTS, "there is a source taken already"),
    ({"external_id": "before"}, grpc.StatusCode.ALREADY_EXISTS, "there is a source before already"),
    ({"key_suffix": ""}, grpc.StatusCode.ALREADY_EXISTS, "a source or message with a key that hall needs"),
    ({"source": BEFORE}, grpc.StatusCode.ABORTED, "source before has moved to taken"),
    ({"external_id": "room"}, grpc.StatusCode.INVALID_ARGUMENT, "external_id: must be another than it has"),
    ({"title": "\u3000"}, grpc.StatusCode.INVALID_ARGUMENT, "title: must not be only spaces"),
    ({"number_shift": 1}, grpc.StatusCode.INVALID_ARGUMENT, ""),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "code", "text"), REFUSED)
async def test_moves_that_are_refused(
    ingest: Ingest, fields: dict[str, Any], code: grpc.StatusCode, text: str
) -> None:
    """A move that would mix messages, or means nothing, is refused by name, and all stays where it is."""
    await ingest.send(message(1), source=BEFORE)
    await move(ingest, source=BEFORE, external_id="taken", title="", key_suffix="")
    await ingest.send(message(1), message(2, external_id=str(SHIFT + 1)))
    looks = ("select * from ingest.source order by id", "select * from ingest.message order by id")
    before = [await ingest.rows(look) for look in looks]
    error = await failure(move(ingest, **fields))
    assert error.code() is code
    assert text in (error.details() or "")
    assert [await ingest.rows(look) for look in looks] == before
    assert await outcomes(ingest, SOURCE, message(1)) == [("1", UNCHANGED, False)]


async def test_more_than_a_call_can_renumber(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source with more messages than the contract allows stays as it is; one with just as many moves, in chunks."""
    monkeypatch.setattr(moving, "MESSAGES_MAX", 4)
    monkeypatch.setattr(moving, "CHUNK_MESSAGES", 3)
    await ingest.send(*map(message, range(5)))
    error = await failure(move(ingest))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert [key for key, _ in await keys(ingest)] == [str(number) for number in range(5)]
    monkeypatch.setattr(moving, "MESSAGES_MAX", 5)
    assert (await move(ingest)).renumbered == 5
    assert [key for key, _ in await keys(ingest)] == [now(number) for number in range(5)]


async def elsewhere(ingest: Ingest, known: str = "room", new: str = "hall") -> Moved:
    """Move the usual source by another replica, of which the running one learns nothing."""
    async with Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database:
        mover = Mover(database, Sources())
        source, to = SourceKey("api", known), SourceKey("api", new)
        return await mover.move(ingest.deployment.workspace, source, to, Renumbering(SHIFT, SUFFIX))


@pytest.mark.parametrize("method", ["delete", "send", "send again"])
async def test_a_replica_that_remembers_the_former_key(ingest: Ingest, method: str) -> None:
    """What it would save or delete under a number that means another message now is refused, to be sent again."""
    await ingest.send(message(1), message(2))
    await elsewhere(ingest)
    await ingest.deployment.admin.execute(
        "update ingest.message set external_id = '2' where external_id like '%8@ann'"
    )
    before = await ingest.rows("select * from ingest.message order by id")

    def call() -> Any:
        said = message(2 if method == "send again" else 3)
        return ingest.delete("2") if method == "delete" else ingest.send(said)

    error = await failure(call())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "source room has just moved to another key" in (error.details() or "")
    assert await ingest.rows("select * from ingest.message order by id") == before
    await call()
    last = {"delete": now(2), "send": now(3), "send again": now(2)}[method]
    assert last in {key for key, _ in await keys(ingest)}


async def test_a_replica_that_remembers_the_former_key_reads_by_it(ingest: Ingest) -> None:
    """A message is found and edited by the number that it had, also where that is another message's by now."""
    first, second = [each.message_id for each in await ingest.send(message(1), message(2))]
    await elsewhere(ingest)
    await ingest.deployment.admin.execute(
        "update ingest.message set external_id = '2', text = 'another' where external_id = $1",
        now(1),
    )
    named = pb.GetMessageRequest(source=SOURCE, external_id="2")
    got = (await ingest.stub.GetMessage(named, metadata=ingest.metadata)).message
    assert (got.id, got.text) == (second, "message 2")
    edit = pb.UpdateMessageRequest(source=SOURCE, external_id="2", text="new", edited_at=at(9))
    edited = (await ingest.stub.UpdateMessage(edit, metadata=ingest.metadata)).result
    assert (edited.message_id, edited.external_id, edited.outcome) == (second, "2", UPDATED)
    rows = await ingest.rows("select id::text, text from ingest.message order by sent_at")
    assert [tuple(row) for row in rows] == [(first, "another"), (second, "new")]


async def test_a_replica_that_remembers_two_former_keys(ingest: Ingest) -> None:
    """Refused once, it looks for all of them again."""
    await ingest.send(message(1))
    await move(ingest)
    await ingest.send(message(2))
    await elsewhere(ingest, "hall", "loft")
    error = await failure(ingest.send(message(3)))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert await outcomes(ingest, SOURCE, message(3)) == [("3", CREATED, False)]
    assert [key for key, _ in await keys(ingest)] == [now(1), now(2), now(3)]


async def patiently(call: Any, *arguments: Any) -> Any:
    """Call until what is called has not just moved."""
    while True:
        try:
            return await call(*arguments)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise


async def test_a_source_that_moves_while_it_is_looked_at(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for a move that another commits between two looks is told that it has moved, not that both are there."""
    await ingest.send(message(1))
    look = store.find_source

    async def slowly(*arguments: Any) -> Any:
        found = await look(*arguments)
        monkeypatch.setattr(store, "find_source", look)
        await elsewhere(ingest)
        return found

    monkeypatch.setattr(store, "find_source", slowly)
    assert (await move(ingest)).renumbered == 0
    assert [key for key, _ in await keys(ingest)] == [now(1)]


async def test_writers_while_a_source_moves(ingest: Ingest) -> None:
    """However writes by the former key and moves interleave, every message is there once, under its new number."""
    await ingest.send(*map(message, range(15)))

    async def write(first: int) -> Sequence[pb.IngestResult]:
        said = [
            message(number, reply_to_external_id=str(number - 1)) for number in (first, first + 1)
        ]
        return await ingest.send(*said)

    writes = [patiently(write, number) for number in range(15, 40)]
    moves = [patiently(move, ingest), patiently(elsewhere, ingest)]
    done = await asyncio.gather(*writes[:10], *moves, *writes[10:])
    assert {result.outcome for results in (*done[:10], *done[12:]) for result in results} <= {
        CREATED,
        UPDATED,
        UNCHANGED,
    }
    stored = await keys(ingest)
    assert sorted(key for key, _ in stored) == sorted(now(number) for number in range(41))
    assert {key: reply for key, reply in stored if reply} == {
        now(number): now(number - 1) for number in range(15, 41)
    }
    assert len(await ingest.rows("select from ingest.source")) == 1


async def test_what_is_saved_while_the_numbers_change(ingest: Ingest) -> None:
    """A message that is committed after a move has looked at its source gets its new number, too."""
    await ingest.send(message(1), message(2))
    admin = ingest.deployment.admin
    async with admin.transaction():
        await admin.execute("select from ingest.message for update")
        moving_ = asyncio.ensure_future(move(ingest))
        await ingest.waiting_for_a_lock()
        await ingest.send(message(3))
    assert (await moving_).renumbered == 3
    assert [key for key, _ in await keys(ingest)] == [now(1), now(2), now(3)]


async def test_an_unknown_key_that_is_erased_first(ingest: Ingest) -> None:
    """A key is remembered as erased as it was meant: the operation holds its source, so that a move waits."""
    await ingest.send(message(1))
    (source,) = await ingest.rows("select id from ingest.source")
    erasure = pb.EraseMessagesRequest(source_id=str(source["id"]), external_ids=["1", "9"])
    admin = ingest.deployment.admin
    async with admin.transaction():
        await admin.execute("select from ingest.message for update")
        erasing = asyncio.ensure_future(
            ingest.stub.EraseMessages(erasure, metadata=ingest.metadata)
        )
        await ingest.waiting_for_a_lock()
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with admin.transaction():
                await admin.execute("select from ingest.source for update nowait")
    await erasing
    assert (await move(ingest)).renumbered == 2
    assert {key for key, _ in await keys(ingest)} == {now(1), now(9)}
