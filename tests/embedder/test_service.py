"""How the embedder starts, and the default model from end to end."""

import asyncio
import hashlib
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import grpc
import pytest

from services.common.errors import InvalidSetting
from services.common.models import ModelMissing, ModelStore
from services.common.testing import FakeEncoder
from services.common.vectors import from_halfvec
from services.embedder import models
from services.embedder.embedding import embed_texts
from services.embedder.models import GgufModels, LoadedModel
from services.embedder.service import open_service
from tests.conftest import Deployment, free_port
from tests.embedder.conftest import Chat, Embedder, fake_models, until
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub


@pytest.mark.models
async def test_default_model(embedder: Embedder, deployment: Deployment, chat: Chat) -> None:
    """With the default model a message gets the vector of its passage, and a question in other words finds it."""
    texts = [
        "The database ran out of connections after the deploy.",
        "Lunch at noon? There is a new pizza place.",
        "Ми перенесли реліз на четвер через відпустки.",
    ]
    async with deployment.serving("embedder") as channel:
        messages = await chat.say(texts)
        await chat.settled()
        stub = EmbedderServiceStub(channel)
        reply = await stub.Embed(pb.EmbedRequest(text="коли реліз?"), metadata=deployment.metadata)
        passage = await stub.Embed(
            pb.EmbedRequest(text=texts[0], role=pb.TEXT_ROLE_PASSAGE), metadata=deployment.metadata
        )
    await chat.admin.set_type_codec(
        "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
    )
    rows = await chat.admin.fetch("select subject_id, embedding from embedder.vector")
    vectors = {row["subject_id"]: from_halfvec(row["embedding"]) for row in rows}
    query = reply.embedding.values
    assert max(vectors, key=lambda message: float(vectors[message] @ query)) == messages[2]
    assert float(vectors[messages[0]] @ passage.embedding.values) > 0.999


@pytest.mark.models
async def test_default_model_self_test() -> None:
    """Opening the default model checks it and says how fast it is; it is the model that the registry names."""
    opened = GgufModels(ModelStore.open(), contexts=1, threads=1)
    async with opened.open("multilingual-e5-small") as loaded:
        assert loaded.identity.query_prefix == "query: "
        assert loaded.identity.passage_prefix == "passage: "
        assert loaded.texts_per_second > 0
        (vectors,) = await embed_texts(loaded.encoder, ["text"], "passage: ")
    assert vectors.rows.shape == (1, loaded.identity.dimensions)


async def test_other_dimensions_are_refused(embedder: Embedder) -> None:
    """A file that gives vectors of another length than its generation has is one clear error at start."""
    async with embedder.serving(fake_models(FakeEncoder(8))):
        pass
    with pytest.raises(InvalidSetting, match="WINNOW_EMBEDDING_MODEL: fake gives 16 dimensions"):
        async with open_service(fake_models(FakeEncoder(16))):
            pass


@pytest.mark.parametrize("kind", ["", "DENSE_"])
async def test_an_index_that_cannot_be_built_is_refused_at_start(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """pgvector wants an index searched for twice its neighbours: less is told by its name, not when a build fails."""
    breadth, neighbours = f"WINNOW_HNSW_{kind}EF_CONSTRUCTION", f"WINNOW_HNSW_{kind}M"
    monkeypatch.setenv(neighbours, "80")
    monkeypatch.setenv(breadth, "159")
    with pytest.raises(InvalidSetting, match=f"{breadth}: .* {neighbours}, 160"):
        async with open_service(fake_models(FakeEncoder())):
            pass


async def test_second_model_builds_beside_the_first(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another configured model is a building generation: both are kept complete, and queries use the serving one."""
    models = {
        "first": fake_models(FakeEncoder(8), "first", query_prefix="1: "),
        "second": fake_models(FakeEncoder(16), "second", query_prefix="2: "),
    }

    @asynccontextmanager
    async def open_model(name: str) -> AsyncIterator[LoadedModel]:
        async with models[name](name) as loaded:
            yield loaded

    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model):
        await chat.say(["one", "two"])
        await chat.settled()
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "second")
    async with embedder.serving(open_model, reconciling=True) as channel:
        await chat.say(["three"])
        await until(lambda: _per_generation(chat, [3, 3]))
        await chat.settled()
        reply = await EmbedderServiceStub(channel).Embed(
            pb.EmbedRequest(text="why"), metadata=deployment.metadata
        )
    (expected,) = await embed_texts(FakeEncoder(8), ["why"], "1: ")
    assert list(reply.embedding.values) == expected.rows[0].tolist()


async def _per_generation(chat: Chat, counts: list[int]) -> bool:
    rows = await chat.admin.fetch(
        "select count(*) as n from embedder.vector group by generation_id order by generation_id"
    )
    return [row["n"] for row in rows] == counts


async def test_missing_serving_model_is_said(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If the serving generation's model is not here, the log says what to do, its tasks wait, and queries fail."""
    async with embedder.serving(fake_models(FakeEncoder(8), "first")):
        pass
    second = fake_models(FakeEncoder(16), "second")

    @asynccontextmanager
    async def open_model(name: str) -> AsyncIterator[LoadedModel]:
        if name == "first":
            raise ModelMissing(name, ModelStore.open().directory)
        async with second(name) as loaded:
            yield loaded

    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "second")
    with caplog.at_level(logging.ERROR):
        async with embedder.serving(open_model) as channel:
            await chat.say(["one"])
            await until(lambda: _per_generation(chat, [1]))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await EmbedderServiceStub(channel).Embed(
                    pb.EmbedRequest(text="why"), metadata=deployment.metadata
                )
            await until(lambda: _parked(chat))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "fetch the model first" in caplog.text
    serving = hashlib.sha256(b"first").hexdigest()
    state = await chat.admin.fetchval(
        "select state from embedder.generation where digest = $1", serving
    )
    assert state == "serving"


async def _parked(chat: Chat) -> bool:
    rows = await chat.unfinished()
    return [(row["state"], row["attempts"], row["error_class"]) for row in rows] == [
        ("ready", 0, "model_missing")
    ]


async def test_what_lacks_a_model_is_parked_until_somebody_has_it(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task without its model is claimed once, and done at once by a replica that has it beside one that has not."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(both_models, reconciling=True) as channel:
        request = pb.StartGenerationRequest(model="second")
        await EmbedderServiceStub(channel).StartGeneration(request, metadata=deployment.metadata)
    async with embedder.serving(first_model_alone, reconciling=True):
        await chat.say([f"text {n}" for n in range(5)])
        await until(lambda: _per_generation(chat, [5]))
        await until(lambda: _all_parked(chat, 5))
        asked_again = "select max(fence), min(available_at - now()) > '10 min' from spine.task where state = 'ready'"
        assert tuple(await chat.admin.fetchrow(asked_again)) == (1, True)
        monkeypatch.setenv("WINNOW_EMBEDDER_ADDRESS", f"127.0.0.1:{free_port()}")
        async with embedder.serving(both_models, reconciling=True):
            await until(lambda: _per_generation(chat, [5, 5]))
            await chat.say(["while only one has it"])
            await until(lambda: _per_generation(chat, [6, 6]))


async def test_what_is_removed_needs_no_model(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vectors of a deleted message go though the model is not here that would make others."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(both_models, reconciling=True) as channel:
        request = pb.StartGenerationRequest(model="second")
        await EmbedderServiceStub(channel).StartGeneration(request, metadata=deployment.metadata)
        deleted, _, _ = await chat.say(["one", "two", "three"])
        await until(lambda: _per_generation(chat, [3, 3]))
    async with embedder.serving(first_model_alone, reconciling=True):
        await chat.delete([deleted])
        await until(lambda: _per_generation(chat, [2, 2]))
        assert await chat.unfinished() == []


async def _all_parked(chat: Chat, count: int) -> bool:
    rows = await chat.unfinished()
    return [row["error_class"] for row in rows] == ["model_missing"] * count


@asynccontextmanager
async def both_models(name: str) -> AsyncIterator[LoadedModel]:
    """Open one of two models."""
    dimensions = {"first": 8, "second": 16}[name]
    async with fake_models(FakeEncoder(dimensions), name)(name) as loaded:
        yield loaded


@asynccontextmanager
async def first_model_alone(name: str) -> AsyncIterator[LoadedModel]:
    """Open one of two models, where the other is missing."""
    if name == "second":
        raise ModelMissing(name, ModelStore.open().directory)
    async with both_models(name) as loaded:
        yield loaded


class SlowToOpen:
    """Stands for the model of llama.cpp: opening it takes until it may go on."""

    def __init__(self) -> None:
        self.opening, self.may_open, self.closed = (threading.Event() for _ in range(3))

    def open(self, path: Path, *, contexts: int, threads: int, exact: bool) -> "SlowToOpen":
        """Open it."""
        self.opening.set()
        assert self.may_open.wait(30)
        return self

    def close(self) -> None:
        """Note it."""
        self.closed.set()


async def test_a_model_that_nobody_waits_for_any_more_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call that ends while its model is loaded leaves no model behind, whose memory nobody could give back."""
    model = SlowToOpen()
    monkeypatch.setattr(models, "EmbeddingModel", model)
    files = Mock(spec=ModelStore)

    async def load() -> None:
        async with GgufModels(files, contexts=1, threads=1).open("any"):
            pass

    loading = asyncio.create_task(load())
    await asyncio.to_thread(model.opening.wait, 30)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    model.may_open.set()
    assert await asyncio.to_thread(model.closed.wait, 10)
