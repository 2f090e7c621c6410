"""What every encoder must do: the fake that the tests use, and the default model."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from services.common.models import ModelStore
from services.common.testing import FakeEncoder
from services.common.vectors import flaws
from services.embedder.embedding import Encoder, embed_texts
from services.embedder.models import GgufModels

TEXTS = ["ok", "Хто знає, чому впав деплой?", "  ", "Naïve café ☕ 日本語", "a\nb"]


pytestmark = pytest.mark.asyncio(loop_scope="module")
ENCODERS = ["fake", pytest.param("real", marks=pytest.mark.models)]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENCODERS)
async def encoder(request: pytest.FixtureRequest) -> AsyncIterator[Encoder]:
    """Each encoder in turn, opened once: a model takes seconds, and remembers nothing of what it was asked."""
    if request.param == "fake":
        yield FakeEncoder(dimensions=16, context_tokens=64)
        return
    models = GgufModels(ModelStore.open(), contexts=2, threads=1)
    async with models.open("multilingual-e5-small") as loaded:
        yield loaded.encoder


async def test_vectors_are_fit_to_store(encoder: Encoder) -> None:
    """Every text gets finite unit vectors of the model's length, in order, alone or in company, urgent or not."""
    parts = [part for parts in encoder.split_texts(TEXTS, "passage: ") for part in parts]
    together = await encoder.encode(parts)
    alone = np.concatenate([await encoder.encode([part], urgent=True) for part in parts])
    assert together.shape == (len(TEXTS), encoder.dimensions)
    assert together.dtype == np.float32
    assert not flaws(together).any()
    assert (together * alone).sum(axis=1).min() > 0.999


async def test_nothing_gives_nothing(encoder: Encoder) -> None:
    """No lists give an array of no rows."""
    assert (await encoder.encode([])).shape == (0, encoder.dimensions)


async def test_long_texts_are_split(encoder: Encoder) -> None:
    """A text of any length is read in parts that fit the context, and none of it is left out."""
    text = " ".join(f"word{n}" for n in range(1000))
    (parts,) = encoder.split_texts([text], "passage: ")
    assert len(parts) > 1
    assert max(map(len, parts)) <= encoder.context_tokens
    assert sum(map(len, parts)) >= 1000
    (embedded,) = await embed_texts(encoder, [text], "passage: ")
    assert embedded.rows.shape == (len(parts) + 1, encoder.dimensions)
    assert not flaws(embedded.rows).any()
    assert embedded.tokens == sum(map(len, parts))


async def test_calls_overlap(encoder: Encoder) -> None:
    """Calls at once, urgent and not, each get their own vectors."""
    texts = [f"text {n}" for n in range(40)]
    alone = [(await embed_texts(encoder, [text], ""))[0].rows[0] for text in texts[:5]]
    bulk = asyncio.create_task(embed_texts(encoder, texts * 3, ""))
    urgent = await asyncio.gather(
        *(embed_texts(encoder, [text], "", urgent=True) for text in texts[:5])
    )
    for (vectors,), expected, bulky in zip(urgent, alone, await bulk, strict=False):
        assert float(vectors.rows[0] @ expected) > 0.999
        assert float(bulky.rows[0] @ expected) > 0.999
