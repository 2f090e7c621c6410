"""Frames over a stream that breaks, and deletions of a service that goes away."""

import asyncio
import queue
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from services.cli import quotas, sending
from services.cli.sending import Frame, Sender
from services.cli.target import Target
from services.common.errors import DatabaseUnavailable, RateLimited
from services.common.statuses import status_of
from tests.conftest import free_port
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc


class BreakingOnce(ingest_pb2_grpc.IngestServiceServicer):
    """Acknowledges every frame, and ends the first stream after the first one."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []
        self.streams = 0
        self.second = asyncio.Event()

    async def StreamMessages(
        self, requests: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Note which stream brought which frame."""
        self.streams += 1
        stream = self.streams
        if stream == 2:
            self.second.set()
        async for request in requests:
            self.taken.append((stream, request.sequence))
            yield pb.StreamMessagesResponse(sequence=request.sequence, created=1)
            if stream == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


@pytest.mark.timeout(100)
@pytest.mark.parametrize("later", [0, 1, 20])
async def test_a_slow_file_survives_a_stream_that_breaks(later: int) -> None:
    """Frames that are read after the service was away come in order on the new stream, and the import ends."""
    server, service = grpc.aio.server(), BreakingOnce()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    arriving: queue.Queue[Frame | None] = queue.Queue()

    def frames() -> Iterator[Frame]:
        while (frame := arriving.get()) is not None:
            yield frame

    def frame(number: int) -> Frame:
        source = pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="x")
        return Frame(number, source, [pb.MessageInput(external_id=str(number))])

    sender = Sender(Target({"ingest": f"127.0.0.1:{port}"}, "key"), lambda: None)
    under_way = asyncio.create_task(sender.send(frames()))
    arriving.put(frame(0))
    await service.second.wait()
    for number in range(1, later + 1):
        arriving.put(frame(number))
    arriving.put(None)
    await under_way
    await server.stop(None)
    assert service.taken == [(1, 0), *((2, number) for number in range(1, later + 1))]
    assert sender.counts.created == later + 1


class Away(ingest_pb2_grpc.IngestServiceServicer):
    """Takes messages, and is away for the first calls that delete."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self.deleted: list[tuple[str, list[str]]] = []

    async def StreamMessages(
        self, requests: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Take every frame."""
        async for request in requests:
            yield pb.StreamMessagesResponse(sequence=request.sequence, created=1)

    async def DeleteMessages(
        self, request: pb.DeleteMessagesRequest, context: Any
    ) -> pb.DeleteMessagesResponse:
        """Delete, once it is back."""
        if self.calls:
            self.calls -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        self.deleted.append((request.source.external_id, list(request.external_ids)))
        return pb.DeleteMessagesResponse(deleted=len(request.external_ids))


@pytest.mark.timeout(100)
async def test_deletions_wait_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that goes away before the end of an import is waited for by what it deletes, as by its messages."""
    monkeypatch.setattr(sending, "WAIT_SECONDS_UNSEEN", 0)
    server, service, told = grpc.aio.server(), Away(calls=5), list[str]()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    one, other = (
        pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id=name) for name in ("one", "other")
    )
    sender = Sender(Target({"ingest": f"127.0.0.1:{port}"}, "key"), lambda: None, told.append)
    await sender.send([Frame(0, one, [pb.MessageInput(external_id="0")])])
    await sender.delete([(one, "1"), (one, "2"), (other, "1")])
    await server.stop(None)
    assert service.deleted == [("one", ["1", "2"]), ("other", ["1"])]
    assert sender.counts.deleted == 3
    assert [line.split(",")[0] for line in told] == [
        "ingest cannot be reached",
        "ingest answers again",
    ]


class Limited(Away):
    """Refuses the first calls that delete, since the workspace's quota is used up for a moment."""

    async def DeleteMessages(
        self, request: pb.DeleteMessagesRequest, context: Any
    ) -> pb.DeleteMessagesResponse:
        """Delete, once the quota has room."""
        if self.calls:
            self.calls -= 1
            refused, _ = status_of(RateLimited("too many messages", 0.01), "request")
            trailing = (("grpc-status-details-bin", refused.SerializeToString()),)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refused.message, trailing)
        return pb.DeleteMessagesResponse(deleted=len(request.external_ids))


@pytest.mark.timeout(50)
async def test_deletions_wait_for_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota may have deletions wait for longer than a service may be away: it says for how long, so it is there."""
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0)
    monkeypatch.setattr(quotas, "WAITS_SECONDS_MAX", 0)
    server = grpc.aio.server()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(Limited(calls=3), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sender = Sender(Target({"ingest": f"127.0.0.1:{port}"}, "key"), lambda: None)
    try:
        await sender.delete([(_FRAME.source, "1")])
    finally:
        await server.stop(None)
    assert sender.counts.deleted == 1


class Recovering(Away):
    """Answers that its database does not, or breaks streams off without a word, before it takes messages."""

    def __init__(self, calls: int, code: grpc.StatusCode, details: bytes | None) -> None:
        super().__init__(calls)
        self.code, self.details = code, details

    async def StreamMessages(
        self, requests: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Take every frame, once it can."""
        if self.calls:
            self.calls -= 1
            trailing = (("grpc-status-details-bin", self.details),) if self.details else ()
            await context.abort(self.code, "Internal error from Core", trailing)
        async for response in super().StreamMessages(requests, context):
            yield response


_FRAME = Frame(
    0,
    pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="x"),
    [pb.MessageInput(external_id="0")],
)


async def _sent(service: ingest_pb2_grpc.IngestServiceServicer) -> int:
    """How many messages of one frame such a service has taken in the end."""
    server = grpc.aio.server()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sender = Sender(Target({"ingest": f"127.0.0.1:{port}"}, "key"), lambda: None)
    try:
        await sender.send([_FRAME])
    finally:
        await server.stop(None)
    return sender.counts.created


_SAID = status_of(DatabaseUnavailable("no database"), "request")[0].SerializeToString()


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    ("code", "details"),
    [(grpc.StatusCode.UNAVAILABLE, _SAID), (grpc.StatusCode.INTERNAL, None)],
)
async def test_a_service_that_answers_is_waited_for_from_the_start(
    monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode, details: bytes | None
) -> None:
    """A database that starts again just when an import begins is no reason to give up."""
    monkeypatch.setattr(sending, "WAIT_SECONDS_UNSEEN", 0)
    assert await _sent(Recovering(3, code, details)) == 1


class Silent(Away):
    """Takes frames and never answers."""

    def __init__(self) -> None:
        super().__init__(calls=0)
        self.has_two = asyncio.Event()

    async def StreamMessages(
        self, requests: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Read, and no more."""
        async for request in requests:
            if request.sequence == 1:
                self.has_two.set()
        await asyncio.Event().wait()
        yield pb.StreamMessagesResponse()


@pytest.mark.timeout(100)
async def test_a_service_that_is_killed_before_its_first_answer_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever was there comes back, though nothing was acknowledged yet; nobody at the address is no reason to wait."""
    monkeypatch.setattr(sending, "WAIT_SECONDS_UNSEEN", 0)
    first, silent, port = grpc.aio.server(), Silent(), free_port()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(silent, first)  # type: ignore[no-untyped-call]
    first.add_insecure_port(f"127.0.0.1:{port}")
    await first.start()
    sender = Sender(Target({"ingest": f"127.0.0.1:{port}"}, "key"), lambda: None)
    under_way = asyncio.create_task(sender.send([_FRAME, replace(_FRAME, number=1)]))
    await silent.has_two.wait()
    await first.stop(None)
    second = grpc.aio.server()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(Away(calls=0), second)  # type: ignore[no-untyped-call]
    second.add_insecure_port(f"127.0.0.1:{port}")
    await second.start()
    await under_way
    await second.stop(None)
    assert sender.counts.created == 2
    with pytest.RaisesGroup(grpc.aio.AioRpcError):
        await Sender(Target({"ingest": f"127.0.0.1:{port}"}, "key"), lambda: None).send([_FRAME])


@pytest.mark.timeout(100)
async def test_a_service_that_is_started_again_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An import that begins while `winnow up` starts ingest again does not take it for one that nobody runs."""
    monkeypatch.setattr(sending, "WAIT_SECONDS_UNSEEN", 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port := free_port()))
        address = f"127.0.0.1:{port}"
        told = asyncio.Event()
        sender = Sender(
            Target({"ingest": address}, "key", frozenset(["ingest"])), told.set, lambda line: None
        )
        under_way = asyncio.create_task(sender.send([_FRAME]))
        await told.wait()
    server = grpc.aio.server()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(Away(calls=0), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(address)
    await server.start()
    await under_way
    await server.stop(None)
    assert sender.counts.created == 1


@pytest.mark.timeout(50)
async def test_streams_that_keep_breaking_are_told_as_a_service_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What gRPC says of itself when a stream breaks is no defect of Winnow, and must not be told as one."""
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0)
    with pytest.RaisesGroup(grpc.aio.AioRpcError) as failed:
        await _sent(Recovering(9, grpc.StatusCode.INTERNAL, None))
    (error,) = failed.value.exceptions
    assert error.code() == grpc.StatusCode.UNAVAILABLE


class Broken(Away):
    """Says once that it cannot save, and then breaks streams off, as gRPC does when many frames are under way."""

    async def StreamMessages(
        self, requests: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Take nothing."""
        self.calls += 1
        trailing = (("grpc-status-details-bin", _SAID),) if self.calls == 1 else ()
        code = grpc.StatusCode.INTERNAL if self.calls > 1 else grpc.StatusCode.UNAVAILABLE
        await context.abort(code, "no database" if trailing else "Internal error", trailing)
        yield pb.StreamMessagesResponse()


@pytest.mark.timeout(50)
async def test_what_a_service_said_is_told_though_streams_break_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service that cannot save must not be told as one that cannot be reached when an import gives up."""
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0.3)
    with pytest.RaisesGroup(grpc.aio.AioRpcError) as failed:
        await _sent(Broken(calls=0))
    (error,) = failed.value.exceptions
    assert (error.details(), sending.is_from_service(error)) == ("no database", True)
