"""Commands in a workspace that has used up its calls for a moment."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest

from services.cli import quotas
from services.cli.failures import Failure, explained
from services.cli.target import Target
from services.common import statuses
from services.common.errors import RateLimited, RequestTooLarge, WinnowError
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1 import embedder_pb2_grpc


class Refusing(embedder_pb2_grpc.EmbedderServiceServicer):
    """Refuses its first calls, each for a reason, and lets in the next."""

    def __init__(self, refusals: Sequence[WinnowError]) -> None:
        self.refusals = list(refusals)

    async def ListGenerations(
        self, request: pb.ListGenerationsRequest, context: Any
    ) -> pb.ListGenerationsResponse:
        """Answer a call with one reply."""
        await self._let_in(context)
        return pb.ListGenerationsResponse(next_page_token="answered")

    async def Backfill(
        self, request: pb.BackfillRequest, context: Any
    ) -> AsyncIterator[pb.BackfillResponse]:
        """Answer a call with many."""
        await self._let_in(context)
        yield pb.BackfillResponse(model="answered")

    async def _let_in(self, context: Any) -> None:
        if self.refusals:
            await statuses.abort(context, self.refusals.pop(0))


async def asked(*refusals: WinnowError) -> tuple[str, str]:
    """What such a service answers to both kinds of calls."""
    server = grpc.aio.server()
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(Refusing(refusals * 2), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    target = Target({"embedder": f"127.0.0.1:{port}"}, "key")
    try:
        async with target.channel("embedder") as channel:
            stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
            reply = await stub.ListGenerations(pb.ListGenerationsRequest())
            replies = [each async for each in stub.Backfill(pb.BackfillRequest())]
            return reply.next_page_token, replies[0].model
    finally:
        await server.stop(None)


def too_many(seconds: float) -> RateLimited:
    """The refusal of a call that may be made again so much later."""
    return RateLimited("too many calls of this workspace", seconds)


@pytest.mark.timeout(50)
async def test_a_short_wait_is_waited() -> None:
    """A script that makes its calls faster than it may is slowed down, not failed."""
    assert await asked(too_many(0.01), too_many(0.02)) == ("answered", "answered")


@pytest.mark.timeout(50)
async def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is kept waiting for longer than is bearable, by one hint or by many: they are told how long it takes."""
    with pytest.raises(Failure, match=r"retry in 60\.0 s"), explained():
        await asked(too_many(60))
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(quotas, "sleep", note)
    with pytest.raises(Failure, match=r"retry in 3\.0 s"), explained():
        await asked(*[too_many(3)] * 4)
    assert len(waited) in (2, 3)  # a hint is up to a third longer than what is told
    assert sum(waited) <= quotas.WAITS_SECONDS_MAX


@pytest.mark.timeout(50)
async def test_what_will_never_pass_is_not_repeated() -> None:
    """A request that is too large is refused with the same code, and stays too large."""
    with pytest.raises(Failure, match="send less at once"), explained():
        await asked(RequestTooLarge(1))
