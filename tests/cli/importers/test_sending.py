"""Frames over a stream that breaks, and deletions of a service that goes away."""

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from services.cli import sending
from services.cli.sending import Frame, Sender
from services.cli.target import Target
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


@pytest.mark.timeout(20)
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


@pytest.mark.timeout(20)
async def test_deletions_wait_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that goes away before the end of an import is waited for by what it deletes, as by its messages."""
    monkeypatch.setattr(sending, "RETRIES_BEFORE_FIRST", 0)
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
    assert (sender.counts.deleted, len(told)) == (3, 1)
