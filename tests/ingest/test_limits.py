"""Bounded work: slots for transactions, turns, and frames ahead."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator

import grpc
import pytest

from services.common.errors import Overloaded
from services.ingest.limits import CommitSlots, Turn, in_order
from tests.common.edge import details_of
from tests.conftest import Deployment
from tests.ingest.conftest import CREATED, SOURCE, Ingest, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub


async def numbers(count: int, taken: list[int]) -> AsyncIterator[int]:
    """Count, and note what was asked for."""
    for number in range(count):
        taken.append(number)
        yield number


async def unchanged(number: int) -> int:
    """Prepare nothing."""
    return number


async def test_replies_keep_their_order() -> None:
    """Replies come in the order of the frames even if a later one is done first."""

    async def commit(number: int) -> int:
        await asyncio.sleep(0.02 if number % 3 == 0 else 0)
        return number

    replies = [reply async for reply in in_order(numbers(10, []), unchanged, commit, 3)]
    assert replies == list(range(10))


async def test_frames_are_read_only_a_few_ahead() -> None:
    """While no reply is taken, no more frames are read than may be unanswered."""
    taken: list[int] = []
    replies = in_order(numbers(10, taken), unchanged, unchanged, 3)
    await anext(replies)
    for _ in range(20):
        await asyncio.sleep(0)
    assert taken == [0, 1, 2]
    await replies.aclose()  # type: ignore[attr-defined]


async def test_a_failure_comes_in_its_turn() -> None:
    """What fails ends the replies after those before it; frames after it are stopped."""
    stopped: list[int] = []

    async def commit(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        if number > 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                stopped.append(number)
                raise
        return number

    replies = in_order(numbers(10, []), unchanged, commit, 4)
    assert [await anext(replies), await anext(replies)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        await anext(replies)
    assert set(stopped) <= {3, 4, 5}
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_failure_to_read_comes_after_what_was_read() -> None:
    """When the frames themselves fail, the replies to those before come first."""

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    replies = in_order(failing(), unchanged, unchanged, 3)
    assert await anext(replies) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(replies)


async def test_slots_are_bounded() -> None:
    """Who gets no slot in time is told to come again; a slot that is given back is used."""
    slots = CommitSlots(1, 0.01)
    async with slots.one():
        with pytest.raises(Overloaded):
            async with slots.one():
                pass
    async with slots.one():
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


async def test_overload_holds_nothing_in_memory(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fits is refused, unary and streamed, with RetryInfo and a pushback, and nothing of it is kept."""
    monkeypatch.setenv("WINNOW_INGEST_COMMITS_MAX", "1")
    monkeypatch.setenv("WINNOW_INGEST_WAIT_SECONDS", "0.05")
    many = [message(n, "x" * 10_000) for n in range(2, 42)]
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
        for _ in range(10):
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
        assert kept < 4 << 20 < 80 * frame.ByteSize()
        assert len(await ingest.rows("select from ingest.message")) == 1
        assert [each.created for each in await ingest.stream([frame])] == [40]


def assert_pushed_back(error: grpc.aio.AioRpcError) -> None:
    """The call was refused for want of room, and says in both ways when to come again."""
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = details_of(error)
    assert details.retry_seconds
    assert details.pushback_seconds
