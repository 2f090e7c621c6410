"""Generations that cannot be started are refused by the name of the field."""

from collections.abc import AsyncIterator, Sequence

import grpc
import pytest

from services.common.llama import TooManyTokens
from services.common.testing import FakeEncoder
from services.embedder.embedding import Tokens
from tests.conftest import Deployment
from tests.embedder.conftest import MODELS, Embedder, fake_models, open_model
from tests.embedder.operating import Operator


@pytest.fixture
async def operator(
    embedder: Embedder, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Operator]:
    """Who starts generations of an embedder that serves the first of several models."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model) as channel:
        yield Operator(channel, deployment)


@pytest.mark.parametrize("model", ["nothing", "vast", "/etc/passwd", "../model.gguf", "~/model"])
async def test_models_that_cannot_be_used_are_refused(operator: Operator, model: str) -> None:
    """A model that is not known, or a path of the service's machine, is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.start(model)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert str(caught.value.details()).startswith("model: ")


async def test_an_unknown_model_is_answered_with_what_may_be_asked_for(operator: Operator) -> None:
    """A caller, who can give no file, is told the models that embed and how one behind a URL is named."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.start("nothing")
    assert caught.value.details() == (
        "model: unknown model 'nothing': name one of first, second, vast, or openai:NAME for a model at the service's "
        "WINNOW_EMBEDDING_URL"
    )


class Narrow(FakeEncoder):
    """A model that reads little at a time, and says so of a prefix that leaves no room."""

    def split_texts(self, texts: Sequence[str], prefix: str = "") -> list[list[Tokens]]:
        """Refuse as the models of llama.cpp do."""
        if len(prefix) >= self.context_tokens and any(len(t) > self.context_tokens for t in texts):
            raise TooManyTokens("the prefix", len(prefix), self.context_tokens - 1)
        return super().split_texts(texts, prefix)


@pytest.mark.parametrize("field", ["query_prefix", "passage_prefix"])
async def test_a_prefix_must_leave_room_for_a_text(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    """A generation whose prefix fills the model's context, so that no long text could be read, is not begun."""
    monkeypatch.setitem(MODELS, "narrow", fake_models(Narrow(8, context_tokens=32), "narrow"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.start("narrow", **{field: 40 * "x"})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(caught.value.details()).startswith(f"{field}: ")
    assert "narrow" not in await operator.listed()
