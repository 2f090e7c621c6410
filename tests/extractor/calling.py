"""The calls of the extractor over knowledge whose stages run by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.channels import CHANNEL_OPTIONS
from services.common.service import Service, Servicer, serving
from services.extractor.extraction import Engine
from services.extractor.feed import Feed
from services.extractor.manual import Reading
from services.extractor.providing import Provider
from services.extractor.rpc import SCOPES, ExtractorRpc
from services.extractor.rules import NO_RULE, ApprovalRule
from tests.conftest import Deployment
from tests.extractor.known import LIMITS, Knowledge, knowing
from tests.extractor.saved import BEGAN, erase_content
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import (
    ExtractorServiceStub,
    add_ExtractorServiceServicer_to_server,
)
from winnow.types.v1 import types_pb2 as types

READING = Reading(LIMITS, "1", "saying 1", calls_model=False)


class Caller:
    """A person with a key."""

    def __init__(self, deployment: Deployment, channel: grpc.aio.Channel) -> None:
        self._metadata, self._stub = deployment.metadata, ExtractorServiceStub(channel)

    async def __call__(self, method: str, **fields: Any) -> Any:
        """Call a method with the fields of its request."""
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._stub, method)(request, metadata=self._metadata)

    async def follow(self, cursor: int, atom: UUID) -> types.Atom:
        """An atom as a stream tells it next."""
        request = pb.StreamKnowledgeRequest(cursor=str(cursor))
        stream = self._stub.StreamKnowledge(request, metadata=self._metadata)
        async with asyncio.timeout(60):
            async for change in stream:
                if change.atom.id == str(atom):
                    stream.cancel()
                    return change.atom
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def asked(
    deployment: Deployment, rule: ApprovalRule = NO_RULE, engine: Engine | None = None
) -> AsyncIterator[tuple[Knowledge, Caller]]:
    """Knowledge whose stages run by hand, and the calls of the extractor over the same database."""
    async with knowing(deployment, rule=rule, engine=engine) as knowledge:
        database = knowledge.databases["extractor"]
        rpc = ExtractorRpc(database, _nothing, Feed(database, 1), READING, Provider("saying", "1"))
        servicer = Servicer(
            "winnow.extractor.v1.ExtractorService",
            add_ExtractorServiceServicer_to_server,
            rpc,
            SCOPES,
        )
        service = Service("extractor", database, [servicer], [], [])
        async with (
            serving(service) as address,
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel,
        ):
            yield knowledge, Caller(deployment, channel)


def _nothing() -> None:
    """Nobody waits for a hint."""


async def erase(deployment: Deployment, message: UUID) -> None:
    """Erase a message as ingest would, with the task of the extractor."""
    operation = await erase_content(deployment, message)
    await deployment.admin.execute(
        "select spine.enqueue($1, 'erase_extractor', array[$2::uuid], array['0'])",
        deployment.workspace,
        operation,
    )


def at(minutes: int) -> Timestamp:
    """A time after the first message."""
    result = Timestamp()
    result.FromDatetime(BEGAN + timedelta(minutes=minutes))
    return result
