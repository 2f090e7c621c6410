"""Bounded work: slots for transactions, turns, and what overload keeps."""

import asyncio
import gc
import tracemalloc
from uuid import UUID

import grpc
import pytest

from services.common.errors import Overloaded
from services.ingest.limits import CommitSlots, Turn
from tests.common.edge import details_of
from tests.conftest import Deployment
from tests.ingest.conftest import CREATED, SOURCE, Ingest, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

NOISY, QUIET = UUID(int=1), UUID(int=2)


async def test_slots_are_bounded() -> None:
    """Who gets no slot in time is told to come again; a slot that is given back is used."""
    slots = CommitSlots(1, 0.01)
    async with slots.one(NOISY):
        with pytest.raises(Overloaded):
            async with slots.one(NOISY):
                pass
    async with slots.one(NOISY):
        pass


async def test_workspaces_get_slots_by_turns() -> None:
    """A workspace that sends much at once keeps another waiting for one transaction, and its own stay in order."""
    slots, seen = CommitSlots(1, 60), list[tuple[UUID, int]]()

    async def write(workspace: UUID, number: int) -> None:
        async with slots.one(workspace):
            seen.append((workspace, number))
            await asyncio.sleep(0)

    async with slots.one(NOISY):
        writes = [asyncio.create_task(write(NOISY, number)) for number in range(5)]
        await asyncio.sleep(0)
        writes.append(asyncio.create_task(write(QUIET, 0)))
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    assert seen == [(NOISY, 0), (QUIET, 0), *((NOISY, number) for number in range(1, 5))]


@pytest.mark.parametrize("is_given", [False, True])
async def test_who_leaves_while_waiting_keeps_no_slot(is_given: bool) -> None:
    """Whether or not a slot was just given to a caller that leaves, the next one has it."""
    slots = CommitSlots(1, 60)

    async def hold() -> None:
        async with slots.one(NOISY):
            await asyncio.sleep(3600)

    async with slots.one(QUIET):
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0)
        if not is_given:
            waiting.cancel()
    waiting.cancel()
    await asyncio.wait([waiting])
    async with asyncio.timeout(60), slots.one(QUIET):
        pass


async def test_turns_are_taken_in_order() -> None:
    """The next turn begins when the one before ends, by itself or at the end of its block."""
    queue, seen = asyncio.Lock(), list[int]()

    async def write(number: int) -> None:
        async with Turn(queue, asyncio.Lock()) as turn:
            seen.append(number)
            await asyncio.sleep(0)
            turn.end()
            turn.end()
            await asyncio.sleep(0.01)

    await asyncio.gather(*map(write, range(5)))
    assert seen == list(range(5))


async def test_overload_says_when_to_come_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every slot taken a call is RESOURCE_EXHAUSTED with a pushback, saves nothing, and succeeds later."""
    monkeypatch.setenv("WINNOW_INGEST_COMMITS_MAX", "1")
    monkeypatch.setenv("WINNOW_INGEST_WAIT_SECONDS", "0.05")
    async with deployment.serving("ingest") as channel:
        ingest = Ingest(deployment, IngestServiceStub(channel), deployment.metadata)
        blocking = deployment.admin.transaction()
        await blocking.start()
        await deployment.admin.execute("lock table ingest.message in exclusive mode")
        first = asyncio.ensure_future(ingest.send(message(1)))
        await ingest.waiting_for_a_lock()
        error = await failure(ingest.send(message(2)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-retry-pushback-ms" in dict(error.trailing_metadata() or ())
        await blocking.rollback()
        assert (await first)[0].outcome == CREATED
        assert len(await ingest.rows("select from ingest.message")) == 1
        assert await ingest.outcomes(message(2)) == [CREATED]


async def test_a_lock_that_another_holds_is_told_as_one(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits too long for a lock reads that, the log says it, and what was sent is saved later."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "8")  # half of it for locks
    async with deployment.serving("ingest") as channel:
        ingest = Ingest(deployment, IngestServiceStub(channel), deployment.metadata)
        async with deployment.admin.transaction():
            await deployment.admin.execute("lock table ingest.message in exclusive mode")
            error = await failure(ingest.send(message(1)))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        told = "another transaction locked for too long what the database needed"
        assert error.details() == told
        assert "grpc-retry-pushback-ms" in dict(error.trailing_metadata() or ())
        assert told in caplog.text
        assert await ingest.outcomes(message(1)) == [CREATED]


async def test_overload_holds_nothing_in_memory(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fits is refused, unary and streamed, with RetryInfo and a pushback, and nothing of it is kept."""
    monkeypatch.setenv("WINNOW_INGEST_COMMITS_MAX", "1")
    monkeypatch.setenv("WINNOW_INGEST_WAIT_SECONDS", "0.05")
    many = [message(n, "x" * 15_000) for n in range(2, 28)]
    frame = pb.StreamMessagesRequest(sequence=1, source=SOURCE, messages=many)
    async with deployment.serving("ingest") as channel:
        ingest = Ingest(deployment, IngestServiceStub(channel), deployment.metadata)
        blocking = deployment.admin.transaction()
        await blocking.start()
        await deployment.admin.execute("lock table ingest.message in exclusive mode")
        first = asyncio.ensure_future(ingest.send(message(1)))
        await ingest.waiting_for_a_lock()
        for call in (ingest.send(*many), ingest.stream([frame])):
            assert_pushed_back(await failure(call))
        gc.collect()
        tracemalloc.start()
        # The first waits for ten seconds at most for a lock: that long its slot is taken.
        for _ in range(2):
            calls = [ingest.send(*many) for _ in range(4)] + [
                ingest.stream([frame]) for _ in range(4)
            ]
            for error in await asyncio.gather(*map(failure, calls)):
                assert_pushed_back(error)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await blocking.rollback()
        assert (await first)[0].outcome == CREATED
        assert kept < 2 << 20 < 16 * frame.ByteSize()
        assert len(await ingest.rows("select from ingest.message")) == 1
        assert [each.created for each in await ingest.stream([frame])] == [26]


def assert_pushed_back(error: grpc.aio.AioRpcError) -> None:
    """The call was refused for want of room, and says in both ways when to come again."""
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = details_of(error)
    assert details.retry_seconds
    assert details.pushback_seconds
