"""Vectors that were asked for lately are remembered, and no others."""

import asyncio
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


def serving_through(encoder: FakeEncoder) -> Generation:
    """A new generation that serves."""
    model = ModelIdentity("fake", "0" * 64, encoder.dimensions, "mean", "", "")
    return Generation(uuid7(), model, "serving", datetime.now(UTC))


async def test_a_late_answer_does_not_undo_a_promotion() -> None:
    """What was read before another generation was promoted is not believed once that is known."""
    encoder = FakeEncoder()
    before, after = serving_through(encoder), serving_through(encoder)
    is_read = asyncio.Event()
    answers = iter([before, after])

    async def read_live() -> list[Generation]:
        answer = next(answers)
        if answer is before:
            await is_read.wait()
        return [answer]

    generations = Generations(read_live, lambda _: encoder)
    slow = asyncio.create_task(generations.refresh())
    await asyncio.sleep(0)
    await generations.refresh()
    is_read.set()
    await slow
    assert generations.serving()[0] == after


async def test_what_is_remembered_keeps_nothing_else() -> None:
    """The vector of a text among others, or of a text in parts, holds no memory of theirs."""
    encoder = FakeEncoder(context_tokens=16)
    serving = serving_through(encoder)

    async def read_live() -> list[Generation]:
        return [serving]

    generations = Generations(read_live, lambda _: encoder)
    await generations.refresh()
    texts = ["one", "two", "long " * 100]
    _, vectors = await QueryEmbedder(generations, 10).embed(texts, "passage")
    for vector in vectors:
        kept = vector.values if vector.values.base is None else vector.values.base
        assert kept.nbytes == 4 * encoder.dimensions
