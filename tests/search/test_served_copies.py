"""The served search keeps vectors in memory by itself."""

import asyncio

import pytest

from services.search import semantic
from services.search.semantic import Plan
from tests.conftest import Deployment
from tests.search.copied import MANY, some_vectors
from tests.search.library import Client, Library, texts, unit
from winnow.search.v1 import search_pb2 as pb


async def test_searches_of_the_service_are_answered_from_memory(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The served search must make the copy by itself, say so, and keep it up."""
    for least in ("EXACT_ROWS_MAX", "COMPARED_ROWS_MAX", "COPIED_ROWS_MIN"):
        monkeypatch.setattr(semantic, least, -1)
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_messages([f"m {i}" for i in range(MANY)], some_vectors())
    async with deployment.serving("search") as channel:
        client = Client(channel, deployment.metadata)
        fields = {"mode": pb.SEARCH_MODE_SEMANTIC, "query_vector": unit(1).tolist()}
        async with asyncio.timeout(60):
            while True:
                reply = await client.search(explain=True, **fields)
                if reply.explanation.semantic_plan == Plan.MEMORY:
                    break
                await asyncio.sleep(0.02)
        assert reply.explanation.index_breadth == 0
        for number in range(5):
            await library.add_message(f"new {number}", unit(1, number / 10))
            assert f"new {number}" in texts(await client.search(**fields))
