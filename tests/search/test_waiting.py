"""Searches that wait for what was just written."""

import asyncio
from typing import Any, cast
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.database import Database, DatabaseSettings
from services.search.freshness import Serving
from services.search.query_vectors import GenerationGone, QueryVector, QueryVectors
from services.search.question import Leg, Question, Wait
from services.search.reads import Reads
from services.search.searcher import Searcher
from services.search.store import Filter
from services.search.waiting import Outcome, Waiting
from tests.common.test_breaker import Clock
from tests.search.asking import KEYWORD, SEMANTIC, stub
from tests.search.conftest import Desk
from tests.search.library import texts, unit
from winnow.search.v1 import search_pb2 as pb


def seconds(value: float) -> Duration:
    """A duration."""
    duration = Duration()
    duration.FromMilliseconds(int(value * 1000))
    return duration


async def test_a_caller_can_wait_for_its_own_write(desk: Desk) -> None:
    """A search that waits for a message must answer once it has its vector, and not find it missing."""
    message = await desk.library.add_message("just written")
    wait = pb.WaitFor(message_id=str(message), timeout=seconds(30))
    waiting = asyncio.create_task(
        desk.client.search(mode=SEMANTIC, query_vector=unit(1).tolist(), wait_for=wait)
    )
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await desk.library.add_vectors("message", [message], ["just written"], [unit(1)])
    reply = await waiting
    assert texts(reply) == ["just written"]
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_REACHED


async def test_searches_of_a_batch_wait_together(desk: Desk) -> None:
    """Twenty searches that wait must not wait one after another: the batch is over before its caller gives up."""
    message = await desk.library.add_message("never")
    wait = pb.WaitFor(message_id=str(message), timeout=seconds(2))
    request = pb.SearchRequest(query="anything", mode=KEYWORD, wait_for=wait)
    batch = pb.BatchSearchRequest(requests=[request] * 20)
    reply = await stub(desk).BatchSearch(batch, metadata=desk.client.metadata, timeout=30)
    ended = {each.response.freshness.wait_outcome for each in reply.results}
    assert ended == {pb.WAIT_OUTCOME_TIMED_OUT}


async def test_waiting_ends(desk: Desk) -> None:
    """Waiting must end at its timeout, at once when the work is dead, and be refused for an unknown message."""
    message = await desk.library.add_message("never", unit(0, 1))
    await desk.library.admin.execute("delete from embedder.vector")
    hashes = await desk.library.admin.fetchval("select text_sha256 from ingest.message")
    await desk.library.admin.execute(
        "select spine.enqueue_embedding($1, 'message', $2, $3)",
        desk.library.workspace,
        [message],
        [hashes],
    )
    wait = pb.WaitFor(message_id=str(message), timeout=seconds(0.1))
    reply = await desk.client.search("never", mode=KEYWORD, wait_for=wait)
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_TIMED_OUT
    assert (reply.freshness.pending_embeddings, reply.freshness.dead_embeddings) == (1, 0)
    until = Timestamp()
    until.GetCurrentTime()
    watermark = pb.WaitFor(accepted_until=until, timeout=seconds(0.1))
    reply = await desk.client.search("never", mode=KEYWORD, wait_for=watermark)
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_TIMED_OUT
    await desk.library.admin.execute("update spine.task set state = 'dead', hint_at = null")
    for dead in (
        pb.WaitFor(message_id=str(message), timeout=seconds(30)),
        pb.WaitFor(accepted_until=until, timeout=seconds(30)),
    ):
        reply = await desk.client.search("never", mode=KEYWORD, wait_for=dead)
        assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_DEAD
        assert reply.freshness.dead_embeddings == 1
    await desk.library.admin.execute("update spine.task set state = 'done'")
    watermark.timeout.CopyFrom(seconds(30))
    reply = await desk.client.search("never", mode=KEYWORD, wait_for=watermark)
    assert reply.freshness.wait_outcome == pb.WAIT_OUTCOME_REACHED
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.client.search("x", wait_for=pb.WaitFor(message_id=str(uuid4())))
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_looks_that_take_long_are_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a backlog of millions a look reads much: whoever waits leaves the database alone four times as long."""
    clock, slept = Clock(), list[float]()

    async def look(*_: object) -> None:
        clock.now += 1

    async def sleep(duration: float) -> None:
        slept.append(duration)
        clock.now += duration

    waiting = Waiting(cast(Any, None), Serving(clock), clock)
    monkeypatch.setattr(waiting, "_look", look)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    wait = Wait(seconds=12, message=None, accepted_until=None)
    assert await waiting.until(uuid4(), wait) == Outcome.TIMED_OUT
    assert slept == [4, 4, 1]


class Retired(QueryVectors):
    """An embedder for which every generation is retired."""

    async def of(self, text: str, authorization: str, generation: UUID | None) -> QueryVector:
        """Say so."""
        raise GenerationGone("retired")


async def test_a_search_that_begins_again_waits_no_longer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the generation is gone once the wait is over, no more is waited than what is left of the timeout."""
    clock, waited = Clock(), list[float]()

    async def until(_: Waiting, workspace: UUID, wait: Wait) -> Outcome:
        waited.append(wait.seconds)
        clock.now += 10
        return Outcome.TIMED_OUT

    monkeypatch.setattr(Waiting, "until", until)
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        searcher = Searcher(Reads(database), Retired(cast(Any, None), 1), clock)
        wait = Wait(message=uuid4(), accepted_until=None, seconds=12)
        question = Question("x", ("message",), Filter(), Leg(), None, wait=wait)
        with pytest.raises(GenerationGone):
            await searcher.search(desk.library.workspace, question)
    assert waited == [12, 2]
