"""A workspace gets what its quota says, is told when to come back, and takes nothing from others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import rates
from services.common.database import Database, DatabaseSettings
from services.common.errors import RateLimited
from services.common.rates import Rate
from services.common.service import Service, serving
from tests.common.edge import KINDS, UNARY, Handlers, call, details_of, failure, servicers
from tests.conftest import Deployment
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1.pipeline_pb2 import GetStatusRequest
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now


@given(
    per_second=st.integers(1, 50),
    burst=st.integers(1, 10),
    steps=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2000)), max_size=60),
)
def test_no_more_than_the_rate(per_second: int, burst: int, steps: list[tuple[int, int]]) -> None:
    """However calls are spread, at most a burst and the rate since then get through; whoever waits as told does too."""
    clock, workspace = Clock(), uuid4()
    rate = Rate("calls", per_second, burst, clock)
    taken = 0
    for calls, milliseconds in steps:
        for _ in range(calls):
            try:
                rate.take(workspace)
                taken += 1
            except RateLimited as refused:
                clock.now += refused.retry_seconds + 1e-9
                rate.take(workspace)
                taken += 1
        assert taken <= per_second * burst + per_second * clock.now + 1e-3
        clock.now += milliseconds / 1000


def test_a_burst_is_counted_exactly() -> None:
    """Of ten times the burst, the burst gets in; another workspace gets all of its own."""
    clock = Clock()
    rate = Rate("calls", 10, 2, clock)

    def allowed(workspace: object) -> int:
        count = 0
        for _ in range(200):
            try:
                rate.take(workspace)  # type: ignore[arg-type]
                count += 1
            except RateLimited:
                pass
        return count

    one, other = uuid4(), uuid4()
    assert (allowed(one), allowed(other)) == (20, 20)
    clock.now += 1
    assert (allowed(one), allowed(other)) == (10, 10)


def test_a_large_batch_is_paid_for_later() -> None:
    """A batch larger than the bucket gets in when the bucket is not empty, and what it owes is waited for."""
    clock, workspace = Clock(), uuid4()
    rate = Rate("messages", 10, 1, clock)
    rate.take(workspace, 500)
    with pytest.raises(RateLimited) as refused:
        rate.take(workspace)
    assert refused.value.retry_seconds == pytest.approx(49.1)


def test_no_quota_is_no_limit() -> None:
    """A rate of 0 refuses nothing and remembers nobody."""
    rate = Rate("calls", 0, 1)
    for _ in range(1000):
        rate.take(uuid4())
    assert rate._buckets == {}


def test_workspaces_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many workspaces call, memory stays flat, and the one that called last is still held to its rate."""
    monkeypatch.setattr(rates, "BUCKETS_MAX", 10)
    rate = Rate("calls", 1, 1, Clock())
    for _ in range(1000):
        rate.take(last := uuid4())
    assert len(rate._buckets) == 10
    with pytest.raises(RateLimited):
        rate.take(last)


@asynccontextmanager
async def limited(deployment: Deployment) -> AsyncIterator[grpc.aio.Channel]:
    """The whole contract behind the settings of the moment."""
    address = deployment.address("search")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        serving(Service("search", database, servicers(Handlers()))),
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel


async def test_calls_over_the_quota_are_refused(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the quota every kind of call is refused in one typed way; another workspace is not touched."""
    monkeypatch.setenv("WINNOW_RATE_CALLS_PER_SECOND", "0.01")
    monkeypatch.setenv("WINNOW_RATE_BURST_SECONDS", "300")
    async with limited(deployment) as channel:
        for path in KINDS:
            await call(channel, path, deployment.metadata)
        for path in KINDS:
            error = await failure(call(channel, path, deployment.metadata))
            details = details_of(error)
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details.reason == "RATE_LIMITED"
            assert details.retry_seconds
            assert details.pushback_seconds
        assert await call(channel, UNARY, await deployment.other_workspace())
        # Nobody can use up the share of a workspace without one of its keys.
        for _ in range(5):
            error = await failure(call(channel, UNARY))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED


def _request(count: int, first: int = 0) -> ingest.IngestMessagesRequest:
    request = ingest.IngestMessagesRequest(
        source=ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id="s")
    )
    for number in range(first, first + count):
        message = request.messages.add(external_id=str(number), text=f"text {number}")
        message.sent_at.FromSeconds(1_700_000_000 + number)
    return request


async def test_messages_over_the_quota_wait_or_are_refused(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch or a deletion over the quota is refused whole; a stream is slowed and loses nothing; status tells."""
    monkeypatch.setenv("WINNOW_RATE_MESSAGES_PER_SECOND", "10")
    monkeypatch.setenv("WINNOW_RATE_BURST_SECONDS", "5")
    monkeypatch.setenv("WINNOW_LLM_TOKENS_PER_DAY", "1000")
    async with deployment.serving("ingest") as channel:
        stub, metadata = IngestServiceStub(channel), deployment.metadata
        await stub.IngestMessages(_request(100), metadata=metadata)
        error = await failure(stub.IngestMessages(_request(1, 900), metadata=metadata))
        assert details_of(error).reason == "RATE_LIMITED"
        deletion = ingest.DeleteMessagesRequest(source=_request(1).source, external_ids=["0"])
        error = await failure(stub.DeleteMessages(deletion, metadata=metadata))
        assert details_of(error).reason == "RATE_LIMITED"

        async def frames() -> AsyncIterator[ingest.StreamMessagesRequest]:
            for number in range(4):
                batch = _request(20, 100 + 20 * number)
                yield ingest.StreamMessagesRequest(
                    sequence=number, source=batch.source, messages=batch.messages
                )

        begun = asyncio.get_running_loop().time()
        replies = [reply async for reply in stub.StreamMessages(frames(), metadata=metadata)]
        took = asyncio.get_running_loop().time() - begun
        assert len(replies) == 4
        assert took > 0.7, "the stream was not slowed down"
        reply = await PipelineServiceStub(channel).GetStatus(GetStatusRequest(), metadata=metadata)
        assert reply.messages == 180
        assert reply.quotas.messages_per_second == 10
        assert reply.quotas.llm_tokens_per_day == 1000
