"""A configured model that does not answer when the embedder starts is awaited while another one serves."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import grpc
import pytest

from services.common.errors import ModelError, ModelUnavailable
from services.common.metrics import REGISTRY
from services.common.testing import FakeEncoder
from services.embedder import configured
from services.embedder.models import LoadedModel
from services.embedder.remote import RemoteModels, RemoteSettings
from tests.common.stages import eventually
from tests.conftest import Deployment, free_port
from tests.embedder.conftest import Chat, Embedder, fake_models, until
from tests.embedder.operating import Operator, vector_counts
from tests.embedder.provider import DROPPED, Provider
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub

Serve = Callable[[], AbstractAsyncContextManager[grpc.aio.Channel]]


def open_model(name: str) -> AbstractAsyncContextManager[LoadedModel]:
    """Open the model of this process, or one of the provider."""
    if name == "own":
        return fake_models(FakeEncoder(16), "own")(name)
    return RemoteModels(RemoteSettings.read()).open(name)


@pytest.fixture
def serve(embedder: Embedder, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Run the embedder, which tries a missing model again at once."""
    monkeypatch.setattr(configured, "AGAIN_SECONDS", 0.2)
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "own")
    return lambda: embedder.serving(open_model, reconciling=True)


def missing() -> float | None:
    """What the metric says of the provider's model."""
    return REGISTRY.get_sample_value("winnow_model_missing", {"model": "openai:m"})


@pytest.mark.parametrize("refusal", [503, 429, DROPPED])
async def test_others_are_served_until_it_answers(
    serve: Serve,
    deployment: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refusal: int,
) -> None:
    """Searches and fresh texts have the serving model; what is missing is said, and filled once it is back."""
    async with serve():
        await chat.say(["one", "two"])
        await until(lambda: vector_counts(chat, [2]))
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    provider.away, provider.refusal = True, refusal
    async with serve() as channel:
        reply = await EmbedderServiceStub(channel).Embed(
            pb.EmbedRequest(text="why"), metadata=deployment.metadata
        )
        assert len(reply.embedding.values) == 16
        await chat.say(["three"])
        await until(lambda: vector_counts(chat, [3]))
        assert "WINNOW_EMBEDDING_MODEL: openai:m is missing" in caplog.text
        assert missing() == 1
        provider.away = False
        await until(lambda: vector_counts(chat, [3, 3]))
        assert missing() == 0


async def test_a_file_that_cannot_be_read_ends_nothing(
    serve: Serve,
    embedder: Embedder,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever keeps a model from being opened while it is awaited, such as a broken disk, it is tried again."""
    failures: list[Exception] = [ModelUnavailable("away"), OSError("input/output error")]

    def open_late(name: str) -> AbstractAsyncContextManager[LoadedModel]:
        if name == "late" and failures:
            raise failures.pop(0)
        return fake_models(FakeEncoder(16), name)(name)

    async with serve():
        await chat.say(["one"])
        await until(lambda: vector_counts(chat, [1]))
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "late")
    async with embedder.serving(open_late, reconciling=True):
        await until(lambda: vector_counts(chat, [1, 1]))
    assert "input/output error" in caplog.text


async def test_nobody_at_its_address_is_no_reason_not_to_start(
    serve: Serve, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is down does not keep the embedder from its other model."""
    async with serve():
        pass
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", f"http://127.0.0.1:{free_port()}/v1")
    async with serve():
        await chat.say(["one"])
        await until(lambda: vector_counts(chat, [1]))


async def test_without_another_model_there_is_nothing_to_start_for(
    serve: Serve, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first model of a deployment, and the one that serves, must answer."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    provider.away, provider.refusal = True, 503
    with pytest.raises(ModelUnavailable, match="HTTP 503"):
        async with serve():
            pass
    provider.away = False
    async with serve():
        pass
    provider.away = True
    with pytest.raises(ModelUnavailable, match="HTTP 503"):
        async with serve():
            pass


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_is_wrong_is_refused_though_another_serves(
    serve: Serve, provider: Provider, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A provider that answers, but not with this model or to this key, is a wrong setting and told at the start."""
    async with serve():
        pass
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    provider.away, provider.refusal = True, status
    with pytest.raises(ModelUnavailable, match=f"HTTP {status}"):
        async with serve():
            pass
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m@many")
    with pytest.raises(ModelError, match="a number of dimensions"):
        async with serve():
            pass


async def test_one_that_comes_back_with_other_dimensions_is_not_used(
    serve: Serve,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its generation is left as it is, which is said, while the other one goes on."""
    async with serve():
        await chat.say(["one"])
        await until(lambda: vector_counts(chat, [1]))
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    async with serve():
        await until(lambda: vector_counts(chat, [1, 1]))
    provider.away, provider.refusal = True, 503
    with caplog.at_level(logging.ERROR):
        async with serve():
            provider.spoil = lambda data: [
                {**item, "embedding": item["embedding"][:-1]} for item in data
            ]
            provider.away = False
            await chat.say(["two"])
            await until(lambda: vector_counts(chat, [2, 1]))
            await until(lambda: _is_said(caplog))
    assert missing() == 1


async def _is_said(caplog: pytest.LogCaptureFixture) -> bool:
    return "gives 7 dimensions, but its generation" in caplog.text


async def test_a_wrong_setting_of_a_model_that_stands_by_ends_nothing(
    serve: Serve,
    deployment: Deployment,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Where the file of another provider's key is gone, searches and fresh texts have the serving model."""
    async with serve() as channel:
        await chat.say(["one"])
        await Operator(channel, deployment).start("openai:m")
        await until(lambda: vector_counts(chat, [1, 1]))
    monkeypatch.setenv("WINNOW_EMBEDDING_API_KEY_FILE", str(tmp_path / "nothing"))
    async with serve() as channel:
        await eventually(lambda: "WINNOW_EMBEDDING_API_KEY_FILE: cannot read it" in caplog.text)
        reply = await EmbedderServiceStub(channel).Embed(
            pb.EmbedRequest(text="why"), metadata=deployment.metadata
        )
        assert len(reply.embedding.values) == 16
        with pytest.raises(grpc.aio.AioRpcError, match="WINNOW_EMBEDDING_API_KEY_FILE") as caught:
            await Operator(channel, deployment).start("openai:other")
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        await chat.say(["two"])
        await until(lambda: vector_counts(chat, [2, 1]))
