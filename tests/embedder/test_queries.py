"""Vectors that were asked for lately are remembered, and no others."""

import numpy as np

from services.common.ids import uuid7
from services.embedder.queries import RecentVectors, TextVector


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
