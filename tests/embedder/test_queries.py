"""Vectors that were asked for lately are remembered, and no others."""

from datetime import UTC, datetime

import numpy as np

from services.common.ids import uuid7
from services.common.testing import FakeEncoder
from services.embedder.generations import Generation, Generations, ModelIdentity
from services.embedder.queries import QueryEmbedder, RecentVectors, TextVector


def test_the_longest_unused_is_forgotten() -> None:
    """Beyond its size the memory forgets what was used longest ago."""
    generation = uuid7()
    recent = RecentVectors(2)
    vector = TextVector(np.zeros(2, np.float32), 1)
    for text in ("a", "b"):
        recent.put((generation, "query", text), vector)
    assert recent.get((generation, "query", "a")) is vector
    recent.put((generation, "query", "c"), vector)
    assert recent.get((generation, "query", "b")) is None
    assert recent.get((generation, "query", "a")) is vector
    assert recent.get((generation, "passage", "a")) is None


def test_nothing_may_be_remembered() -> None:
    """A memory of size 0 remembers nothing."""
    recent = RecentVectors(0)
    key = (uuid7(), "query", "a")
    recent.put(key, TextVector(np.zeros(2, np.float32), 1))  # type: ignore[arg-type]
    assert recent.get(key) is None  # type: ignore[arg-type]


async def test_what_is_remembered_keeps_nothing_else() -> None:
    """The vector of a text among others, or of a text in parts, holds no memory of theirs."""
    encoder = FakeEncoder(context_tokens=16)
    model = ModelIdentity("fake", "0" * 64, encoder.dimensions, "mean", "", "")
    serving = Generation(uuid7(), model, "serving", datetime.now(UTC))

    async def read_live() -> list[Generation]:
        return [serving]

    generations = Generations(read_live, lambda _: encoder)
    await generations.refresh()
    texts = ["one", "two", "long " * 100]
    _, vectors = await QueryEmbedder(generations, 10).embed(texts, "passage")
    for vector in vectors:
        kept = vector.values if vector.values.base is None else vector.values.base
        assert kept.nbytes == 4 * encoder.dimensions
