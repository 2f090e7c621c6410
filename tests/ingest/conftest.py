"""A running ingest service, and messages to send to it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.conftest import Deployment
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

BEGAN = 1_700_000_000
SOURCE = pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id="room", title="Room")
CREATED, UPDATED = pb.INGEST_OUTCOME_CREATED, pb.INGEST_OUTCOME_UPDATED
UNCHANGED, REJECTED = pb.INGEST_OUTCOME_UNCHANGED, pb.INGEST_OUTCOME_REJECTED


def at(seconds: float) -> Timestamp:
    """A time, in seconds after the first message."""
    return Timestamp(seconds=BEGAN + int(seconds), nanos=int(seconds % 1 * 1e9))


def message(number: int, text: str | None = None, **fields: Any) -> pb.MessageInput:
    """A message sent `number` seconds after the first."""
    given = {"external_id": str(number), "sent_at": at(number)} | fields
    return pb.MessageInput(text=f"message {number}" if text is None else text, **given)


@dataclass
class Ingest:
    """A client of the running service, and its database."""

    deployment: Deployment
    stub: IngestServiceStub
    metadata: tuple[tuple[str, str], ...]

    async def send(
        self, *messages: pb.MessageInput, source: pb.SourceRef = SOURCE, **fields: Any
    ) -> Sequence[pb.IngestResult]:
        """Send messages in one request and return their results."""
        request = pb.IngestMessagesRequest(source=source, messages=messages, **fields)
        response = await self.stub.IngestMessages(request, metadata=self.metadata)
        return list(response.results)

    async def outcomes(self, *messages: pb.MessageInput) -> list[int]:
        """Send messages in one request and return what became of each."""
        return [result.outcome for result in await self.send(*messages)]

    async def delete(self, *keys: str, **fields: Any) -> pb.DeleteMessagesResponse:
        """Delete messages of the usual source."""
        request = pb.DeleteMessagesRequest(source=SOURCE, external_ids=keys, **fields)
        return await self.stub.DeleteMessages(request, metadata=self.metadata)

    async def stream(self, frames: Any) -> list[pb.StreamMessagesResponse]:
        """Send frames and return the acknowledgements."""
        call = self.stub.StreamMessages(frames, metadata=self.metadata)
        return [response async for response in call]

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Look into the database, past every workspace."""
        return await self.deployment.admin.fetch(query, *arguments)

    async def tasks(self, stage: str) -> list[str]:
        """The specs of a stage's tasks, in the order they were made."""
        query = "select spec from spine.task where stage = $1 order by id"
        return [row["spec"] for row in await self.rows(query, stage)]

    async def waiting_for_a_lock(self) -> None:
        """Return once some transaction waits for a lock."""
        while not await self.rows("select from pg_locks where not granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def generation(deployment: Deployment) -> str:
    """The id of a serving generation of vectors, so that messages get tasks for embedding."""
    query = "select (embedder.open_generation('m', repeat('0', 64), 8, 'mean', '', '')).id"
    return str(await deployment.admin.fetchval(query))


@pytest.fixture
async def ingest(deployment: Deployment, generation: str) -> AsyncIterator[Ingest]:
    """A running ingest service."""
    async with deployment.serving("ingest") as channel:
        yield Ingest(deployment, IngestServiceStub(channel), deployment.metadata)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """Await a call that must fail and return its error."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value
