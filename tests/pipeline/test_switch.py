"""Generations are switched under a load of queries: nobody notices."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from services.common.channels import CHANNEL_OPTIONS
from services.common.service import serving
from services.common.testing import FakeEncoder
from services.embedder.models import LoadedModel
from services.embedder.service import open_service
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, fake_models
from winnow.embedder.v1 import embedder_pb2
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.search.v1 import search_pb2
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

QUERIES_AT_ONCE = 4
TEXTS = [f"text {n}" for n in range(60)]
MODELS = {
    "first": fake_models(FakeEncoder(8), "first"),
    "second": fake_models(FakeEncoder(16), "second"),
}


@asynccontextmanager
async def open_model(name: str) -> AsyncIterator[LoadedModel]:
    """Open one of two models of different dimensions."""
    async with MODELS[name](name) as loaded:
        yield loaded


async def test_queries_never_notice_a_switch(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promoted, rolled back, promoted and the old one retired: no query fails or comes back empty."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    monkeypatch.setenv("WINNOW_EMBED_RECONCILE_SECONDS", "0.3")
    monkeypatch.setenv("WINNOW_EMBED_RETIRED_SECONDS", "10")
    chat = await Chat(deployment.admin, deployment.workspace).open()
    async with (
        open_service(open_model) as service,
        serving(service) as address,
        grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as embedder,
        deployment.serving("search") as search,
    ):
        await chat.say(TEXTS)
        await chat.settled()
        stub, metadata = EmbedderServiceStub(embedder), deployment.metadata
        start = embedder_pb2.StartGenerationRequest(model="second")
        second = (await stub.StartGeneration(start, metadata=metadata)).generation
        watch = embedder_pb2.WatchGenerationRequest(generation_id=second.id)
        async for _ in stub.WatchGeneration(watch, metadata=metadata):
            pass
        listed = await stub.ListGenerations(
            embedder_pb2.ListGenerationsRequest(), metadata=metadata
        )
        (first,) = [each for each in listed.generations if each.id != second.id]
        stop = asyncio.Event()
        answers = Counter[str]()
        askers = [
            asyncio.create_task(_ask(search, metadata, stop, answers))
            for _ in range(QUERIES_AT_ONCE)
        ]
        for _ in range(3):
            for generation in (second.id, first.id):
                await stub.PromoteGeneration(
                    embedder_pb2.PromoteGenerationRequest(generation_id=generation),
                    metadata=metadata,
                )
                await asyncio.sleep(0.3)
                await _are_answered(answers, 20)
        await stub.PromoteGeneration(
            embedder_pb2.PromoteGenerationRequest(generation_id=second.id), metadata=metadata
        )
        await stub.RetireGeneration(
            embedder_pb2.RetireGenerationRequest(generation_id=first.id), metadata=metadata
        )
        async with asyncio.timeout(60):
            while await _partitions(chat) > 1:  # noqa: ASYNC110 - it is the database that changes
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        await _are_answered(answers, 20)
        stop.set()
        await asyncio.gather(*askers)
        assert await chat.debt() == (0, 0)
    assert set(answers) == {"found"}
    assert answers["found"] > 100


async def _are_answered(answers: Counter[str], count: int) -> None:
    """Return when so many more queries are answered."""
    wanted = answers.total() + count
    async with asyncio.timeout(60):
        while answers.total() < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _ask(
    channel: grpc.aio.Channel,
    metadata: tuple[tuple[str, str], ...],
    stop: asyncio.Event,
    answers: Counter[str],
) -> None:
    """Search by meaning, again and again; count what comes back."""
    stub, number = SearchServiceStub(channel), 0
    while not stop.is_set():
        number += 1
        request = search_pb2.SearchRequest(
            query=f"question {number}", mode=search_pb2.SEARCH_MODE_SEMANTIC
        )
        try:
            response = await stub.Search(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            answers[str(error.details())] += 1
        else:
            answers["found" if response.results else "empty"] += 1


async def _partitions(chat: Chat) -> int:
    count: int = await chat.admin.fetchval(
        "select count(*) from pg_inherits where inhparent = 'embedder.vector'::regclass"
    )
    return count
