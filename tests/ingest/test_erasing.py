"""Erasing more than a call erases at once: written down with the call, and worked off chunk by chunk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from services.common.database import Database, DatabaseSettings
from services.ingest import erasing, store
from services.ingest.store import Score
from tests.conftest import Deployment
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
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.types.v1 import types_pb2 as types

CHUNK, COUNT = 2, 9
CHUNKS = 5
ANN = types.Author(external_id="ann", name="Ann")
LEFT = "select count(*) from ingest.message where text <> '' or author_external_id <> ''"


@pytest.fixture(autouse=True)
def small(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages are many: chunks of two, two chunks a list, and at most three before the call returns."""
    monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.02")
    monkeypatch.setenv("WINNOW_RPC_DRAIN_SECONDS", "0.2")
    monkeypatch.setattr(erasing, "CHUNK_MESSAGES", CHUNK)
    monkeypatch.setattr(erasing, "LISTED_MESSAGES", 2 * CHUNK)
    monkeypatch.setattr(erasing, "INLINE_MESSAGES_MAX", 3)


async def say(ingest: Ingest, count: int = COUNT) -> list[UUID]:
    """Send messages of one author; return their ids."""
    results = await ingest.send(*(message(n, author=ANN) for n in range(count)))
    return [UUID(result.message_id) for result in results]


async def erase_source(ingest: Ingest) -> pb.Operation:
    """Begin to erase the only source."""
    [source] = await ingest.rows("select id from ingest.source")
    request = pb.EraseSourceRequest(source_id=str(source["id"]))
    return (await ingest.stub.EraseSource(request, metadata=ingest.metadata)).operation


async def erase_author(ingest: Ingest, **fields: Any) -> pb.Operation:
    """Begin to erase all that Ann has said."""
    request = pb.EraseMessagesRequest(author_external_id=ANN.external_id, **fields)
    return (await ingest.stub.EraseMessages(request, metadata=ingest.metadata)).operation


async def look(ingest: Ingest, operation: pb.Operation) -> pb.Operation:
    """The operation as it is now."""
    request = pb.GetOperationRequest(operation_id=operation.id)
    return (await ingest.stub.GetOperation(request, metadata=ingest.metadata)).operation


async def erased(ingest: Ingest) -> None:
    """Return once every chunk is erased."""
    query = "select from spine.task where stage = 'erase' and state <> 'done'"
    async with asyncio.timeout(60):
        while await ingest.rows(query):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def listed(ingest: Ingest) -> list[str]:
    """The keys of all messages that a caller is shown, deleted ones too."""
    request = pb.ListMessagesRequest(include_deleted=True)
    reply = await ingest.stub.ListMessages(request, metadata=ingest.metadata)
    return [each.external_id for each in reply.messages]


KEEPING = """
    create table public.kept (fact text, payload bytea);
    create function public.keep() returns trigger language plpgsql security definer as $$
    begin
      insert into public.kept values (new.fact, new.payload);
      return new;
    end $$;
    create trigger keep after insert on spine.event for each row execute function public.keep()"""
HOLDING = """
    create table public.held (id uuid);
    create function public.wait() returns trigger language plpgsql security definer as $$
    begin
      if exists (select from public.held h where h.id = old.message_id) then
        perform pg_advisory_xact_lock_shared(42);
      end if;
      return old;
    end $$;
    create trigger wait before delete on ingest.message_to_erase for each row execute function public.wait()"""


@asynccontextmanager
async def held_up(ingest: Ingest, messages: list[UUID]) -> AsyncIterator[None]:
    """Keep the chunks of some messages from being erased, without a lock on the messages themselves."""
    admin = ingest.deployment.admin
    await admin.execute(HOLDING)
    await admin.execute("insert into public.held select unnest($1::uuid[])", messages)
    await admin.execute("select pg_advisory_lock(42)")
    try:
        yield
    finally:
        await admin.execute("select pg_advisory_unlock(42)")


@pytest.mark.parametrize("begin", [erase_source, erase_author])
async def test_what_is_written_down_is_not_there_any_more(ingest: Ingest, begin: Any) -> None:
    """From the answer on messages are neither shown nor changed, though their content is still stored."""
    ids = await say(ingest)
    async with held_up(ingest, ids):
        operation = await begin(ingest)
        assert operation.state == pb.OPERATION_STATE_RUNNING
        assert (operation.receipt.waiting, operation.receipt.messages) == (COUNT, 0)
        assert (await ingest.rows(LEFT))[0][0] == COUNT
        assert await listed(ingest) == []
        got = pb.GetMessageRequest(message_id=str(ids[3]))
        error = await failure(ingest.stub.GetMessage(got, metadata=ingest.metadata))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        edit = pb.UpdateMessageRequest(
            source=SOURCE, external_id="3", text="again", edited_at=at(10**6)
        )
        error = await failure(ingest.stub.UpdateMessage(edit, metadata=ingest.metadata))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        later = message(3, "again", edited_at=at(10**6))
        assert await asyncio.wait_for(ingest.outcomes(later), 60) == [UNCHANGED]
    await erased(ingest)
    assert (await ingest.rows(LEFT))[0][0] == 0
    assert await ingest.outcomes(later) == [UNCHANGED]
    assert await listed(ingest) == []
    done = await look(ingest, operation)
    assert (done.receipt.waiting, done.receipt.messages) == (0, COUNT)


async def test_writers_go_on_and_what_comes_later_stays(ingest: Ingest) -> None:
    """While a source is erased its writers wait for nothing, and their new messages are stored, shown and kept."""
    ids = await say(ingest)
    async with held_up(ingest, ids):
        await erase_source(ingest)
        await ingest.waiting_for_a_lock()
        later = [message(100 + n, author=ANN) for n in range(5)]
        assert await asyncio.wait_for(ingest.outcomes(*later), 60) == [CREATED] * 5
        edited = message(100, "edited", author=ANN, edited_at=at(10**6))
        assert await asyncio.wait_for(ingest.outcomes(edited), 60) == [UPDATED]
        assert await listed(ingest) == [str(100 + n) for n in range(5)]
    await erased(ingest)
    assert await listed(ingest) == [str(100 + n) for n in range(5)]
    assert (await ingest.rows(LEFT))[0][0] == 5


async def test_each_chunk_is_a_transaction_and_progress_is_seen(ingest: Ingest) -> None:
    """Chunks before one that cannot be erased are done, counted and followed; that one holds up no other."""
    ids = sorted(await say(ingest))
    async with held_up(ingest, ids[2:4]):
        operation = await erase_author(ingest)
        while (seen := await look(ingest, operation)).receipt.messages == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert seen.state == pb.OPERATION_STATE_RUNNING
        assert seen.receipt.messages + seen.receipt.waiting == COUNT
        assert not seen.receipt.verified
    await erased(ingest)
    chunks = await ingest.rows("select chunk, message_ids from ingest.erasure order by chunk")
    assert [row["chunk"] for row in chunks] == list(range(CHUNKS))
    assert [each for row in chunks for each in row["message_ids"]] == ids
    numbers = [str(n) for n in range(CHUNKS)]
    assert sorted(await ingest.tasks("erase_extractor")) == numbers
    assert sorted(await ingest.tasks("erase_embedder")) == [f"messages:{n}" for n in numbers]
    assert not (await look(ingest, operation)).receipt.verified


async def test_few_messages_are_gone_with_the_answer(ingest: Ingest) -> None:
    """What fits into the call needs no task of the stage: nothing of it is stored when the call returns."""
    await say(ingest, 3)
    operation = await erase_author(ingest)
    assert (await ingest.rows(LEFT))[0][0] == 0
    assert (operation.receipt.waiting, operation.receipt.messages) == (0, 3)
    assert await ingest.tasks("erase") == []


@pytest.mark.parametrize(
    "fields", [{"external_ids": ["0", "1", "9"]}, {"author_external_id": "ann"}]
)
async def test_an_erasure_is_announced(ingest: Ingest, fields: dict[str, Any]) -> None:
    """That live messages are erased is announced, whether they are named by their keys or by their author."""
    ids = await say(ingest, 2)
    await ingest.deployment.admin.execute(KEEPING)
    [source] = await ingest.rows("select id from ingest.source")
    request = pb.EraseMessagesRequest(source_id=str(source["id"]), **fields)
    await ingest.stub.EraseMessages(request, metadata=ingest.metadata)
    [kept] = await ingest.rows("select fact, payload from public.kept")
    assert kept["fact"] == "messages_deleted"
    assert all(str(each).encode() in kept["payload"] for each in ids)


async def test_nothing_is_scored_once_it_is_erased(ingest: Ingest) -> None:
    """A score that was made before its message was erased is not stored after it."""
    [erased_id] = await say(ingest, 1)
    operation = await erase_author(ingest)
    async with (
        Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
        database.transaction(ingest.deployment.workspace) as connection,
    ):
        score = Score(0.5, "weak", '{"base": 0.5}')
        await store.set_scores(
            connection, ingest.deployment.workspace, [(erased_id, score)], "a version"
        )
    assert (await look(ingest, operation)).receipt.remaining == 0


async def test_two_erasures_at_once_count_each_message_once(ingest: Ingest) -> None:
    """Both end, and each message is in the receipt of exactly one; a repeat of a request is no third."""
    ids, request_id = sorted(await say(ingest)), str(uuid4())
    async with held_up(ingest, ids):
        one, two, again = await asyncio.gather(
            erase_author(ingest, request_id=request_id),
            erase_source(ingest),
            erase_author(ingest, request_id=request_id),
        )
    assert again.id == one.id
    await erased(ingest)
    rows = await ingest.rows("select message_ids from ingest.erasure")
    assert sorted(each for row in rows for each in row["message_ids"]) == ids
    receipts = [(await look(ingest, operation)).receipt for operation in (one, two)]
    assert sum(receipt.messages for receipt in receipts) == COUNT
    assert [receipt.waiting for receipt in receipts] == [0, 0]


async def test_another_erasure_is_no_repeat(ingest: Ingest) -> None:
    """Whoever gives the id of an earlier request to another one is refused, and not told that it is done."""
    request_id = str(uuid4())
    await say(ingest)
    first = await erase_author(ingest, request_id=request_id)
    request = pb.EraseMessagesRequest(author_external_id="bob", request_id=request_id)
    refused = await failure(ingest.stub.EraseMessages(request, metadata=ingest.metadata))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.details() == "request_id: another request had it"
    await ingest.deployment.admin.execute("update ingest.operation set request_sha256 = null")
    before = (await ingest.stub.EraseMessages(request, metadata=ingest.metadata)).operation
    assert before.id == first.id


FAILING = """
    create sequence public.death;
    create function public.die() returns trigger language plpgsql security definer as $$
    begin
      if nextval('public.death') % 2 = 1 then
        raise exception 'the worker is killed';
      end if;
      return new;
    end $$;
    create trigger die after insert on ingest.erasure for each row execute function public.die()"""


async def test_a_chunk_that_fails_is_repeated_whole(ingest: Ingest) -> None:
    """A failure after the content is gone undoes it with all that would follow; the next attempt counts it once."""
    ids = sorted(await say(ingest))
    await ingest.deployment.admin.execute(FAILING)
    operation = await erase_source(ingest)
    await erased(ingest)
    assert (await ingest.rows("select last_value from public.death"))[0][0] >= 2 * CHUNKS
    rows = await ingest.rows("select message_ids from ingest.erasure")
    assert sorted(each for row in rows for each in row["message_ids"]) == ids
    assert (await look(ingest, operation)).receipt.messages == COUNT


async def test_a_service_that_ends_leaves_the_rest_to_others(
    deployment: Deployment, generation: str
) -> None:
    """A service whose time to drain ends within a chunk leaves it whole to the next one; nothing is counted twice."""
    async with AsyncExitStack() as holding:
        async with deployment.serving("ingest") as channel:
            ingest = Ingest(deployment, IngestServiceStub(channel), deployment.metadata)
            ids = sorted(await say(ingest))
            await holding.enter_async_context(held_up(ingest, ids[4:]))
            operation = await erase_source(ingest)
            await ingest.waiting_for_a_lock()
        assert 0 < (await ingest.rows(LEFT))[0][0] < COUNT
    async with deployment.serving("ingest") as channel:
        ingest = Ingest(deployment, IngestServiceStub(channel), deployment.metadata)
        await erased(ingest)
        assert (await ingest.rows(LEFT))[0][0] == 0
        assert (await look(ingest, operation)).receipt.messages == COUNT
