"""An embedder that takes questions and answers none holds up one search at a time, for a moment, until it is well."""

import asyncio
from typing import Any, cast
from uuid import UUID, uuid4

import grpc
import pytest

from services.common.errors import ModelUnavailable, Unanswered
from services.search.query_vectors import QueryVector, QueryVectors
from services.search.silence import Silence
from tests.common.stages import eventually
from tests.conftest import Deployment
from tests.search.library import Client, Library, TinyEmbedder, embedder, texts, unit
from winnow.embedder.v1 import embedder_pb2
from winnow.search.v1 import search_pb2 as pb

AT_ONCE = 12


class Hanging:
    """Questions that are put to an embedder, each answered when the test says so."""

    def __init__(self) -> None:
        self.put: list[asyncio.Future[str]] = []

    def __call__(self) -> asyncio.Future[str]:
        """Put a question."""
        self.put.append(asyncio.get_running_loop().create_future())
        return self.put[-1]


async def silenced(patience_seconds: float) -> tuple[Silence, Hanging]:
    """A silence that has begun: one question was not answered in time."""
    silence, embedder = Silence(patience_seconds), Hanging()
    first = asyncio.create_task(silence.ask(embedder))
    await eventually(lambda: embedder.put)
    embedder.put[0].set_exception(Unanswered("in time", was_silent=True))
    with pytest.raises(Unanswered):
        await first
    return silence, embedder


async def test_one_question_at_a_time_finds_out() -> None:
    """While there is silence others fail without being put, and an answer is heard also after patience has ended."""
    silence, embedder = await silenced(patience_seconds=0.01)
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await silence.ask(embedder)
    assert len(embedder.put) == 2
    embedder.put[1].set_result("late")
    await eventually(lambda: not silence._is_silent)
    answers = [asyncio.create_task(silence.ask(embedder)) for _ in range(3)]
    await eventually(lambda: len(embedder.put) == 5)
    for each in embedder.put[2:]:
        each.set_result("well")
    assert await asyncio.gather(*answers) == ["well"] * 3


async def test_who_comes_while_it_is_found_out_shares_the_answer() -> None:
    """An embedder that is well again costs none of the searches that come meanwhile their vector."""
    silence, embedder = await silenced(patience_seconds=60)
    answers = [asyncio.create_task(silence.ask(embedder)) for _ in range(3)]
    await eventually(lambda: len(embedder.put) == 2)
    embedder.put[1].set_result("first")
    await eventually(lambda: len(embedder.put) == 4)
    for each in embedder.put[2:]:
        each.set_result("next")
    assert sorted(await asyncio.gather(*answers)) == ["first", "next", "next"]


async def test_an_embedder_that_is_away_is_asked_by_each() -> None:
    """One that refuses costs no time: whoever is refused is told so, and the next search asks again."""
    silence, embedder = Silence(), Hanging()
    for number in range(3):
        asked = asyncio.create_task(silence.ask(embedder))
        await eventually(lambda number=number: len(embedder.put) == number + 1)
        embedder.put[number].set_exception(ModelUnavailable("connection refused"))
        with pytest.raises(ModelUnavailable, match="refused"):
            await asked


async def test_a_search_that_is_given_up_ends_no_silence() -> None:
    """A caller that goes away while its question finds out takes nobody's answer along."""
    silence, embedder = await silenced(patience_seconds=60)
    leaving = asyncio.create_task(silence.ask(embedder))
    await eventually(lambda: len(embedder.put) == 2)
    staying = asyncio.create_task(silence.ask(embedder))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    embedder.put[1].set_result("nobody's")
    await eventually(lambda: len(embedder.put) == 3)
    embedder.put[2].set_result("own")
    assert await staying == "own"


class Frozen(TinyEmbedder):
    """An embedder that takes every question, and answers none before it thaws."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.thawed, self.waiting, self.most = asyncio.Event(), 0, 0

    async def Embed(
        self, request: embedder_pb2.EmbedRequest, context: Any
    ) -> embedder_pb2.EmbedResponse:
        """Answer once thawed."""
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.thawed.wait()
        finally:
            self.waiting -= 1
        return await super().Embed(request, context)


async def test_searches_do_without_an_embedder_that_hangs(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one search has waited in vain others are answered by words at once, and by meaning once it is well."""
    monkeypatch.setenv("WINNOW_SEARCH_EMBED_DEADLINE_SECONDS", "2")
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("disk is full", unit(1))
    assert library.generation
    async with (
        embedder(deployment, library.generation, {"disk": unit(1)}, Frozen) as frozen,
        deployment.serving("search") as channel,
    ):
        client = Client(channel, deployment.metadata)
        assert "embedder" in (await client.search("disk")).warnings[0]
        frozen.most = 0
        for response in await asyncio.gather(*(client.search("disk") for _ in range(AT_ONCE))):
            assert texts(response) == ["disk is full"]
            assert "embedder" in response.warnings[0]
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await client.search("disk", mode=pb.SEARCH_MODE_SEMANTIC)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
        # One that is given up may still be there while the next one comes.
        assert frozen.most <= AT_ONCE // 2
        frozen.thawed.set()
        async with asyncio.timeout(60):
            while (await client.search("disk")).warnings:
                pass


class Asked(QueryVectors):
    """An embedder that refuses one text and never answers another."""

    def __init__(self) -> None:
        super().__init__(cast(Any, None), 1)
        self.given_up = list[str]()

    async def of(self, text: str, authorization: str, generation: UUID | None) -> QueryVector:
        """Refuse, or hang until nobody waits any more."""
        try:
            await asyncio.sleep(0 if text == "refused" else 60)
        except asyncio.CancelledError:
            self.given_up.append(text)
            raise
        raise ModelUnavailable("refused")


async def test_nobody_is_left_asking_for_a_translation() -> None:
    """If the query or its translation cannot be embedded, the other must not be asked for any longer."""
    asked = Asked()
    with pytest.raises(ModelUnavailable, match="refused"):
        await asked.of_all(["refused", "its translation"], "", uuid4())
    assert asked.given_up == ["its translation"]
