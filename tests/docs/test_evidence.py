"""The benchmark of search's growth keeps evidence only when it is told to."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import search_growth
from benchmarks.search_corpus import Corpus, Matrix


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where rows are kept, and a machine that is measured at once."""

    async def encoded(texts: list[str]) -> Matrix:
        return np.zeros((len(texts), 384), np.float32)

    @asynccontextmanager
    async def deployed(corpus: Corpus) -> AsyncIterator[int]:
        yield len(corpus.messages)

    async def measure(bench: int, *others: Any) -> dict[str, Any]:
        sizes = ("bare_p50_ms", "vector_p50_ms", "filtered_p50_ms", "hybrid_p50_ms", "index_mb")
        return {"vectors": bench, **dict.fromkeys((*sizes, "search_mb"), 1.0)}

    for each in (encoded, deployed, measure):
        monkeypatch.setattr(search_growth, each.__name__, each)
    monkeypatch.setattr(search_growth, "ROWS", tmp_path / "rows.json")
    monkeypatch.setattr(search_growth, "PLOT", tmp_path / "plot.svg")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the benchmark on a few made-up messages."""
    words = ["search_growth", "--synthetic", "--sizes", "20", "--queries", "2", *arguments]
    monkeypatch.setattr("sys.argv", words)
    search_growth.main()


def test_a_trial_leaves_the_evidence_as_it_is(
    evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are kept and drawn where --write asks for it, and nothing is written otherwise."""
    run(monkeypatch)
    assert list(evidence.iterdir()) == []
    run(monkeypatch, "--write")
    assert [row["vectors"] for row in json.loads(search_growth.ROWS.read_text())] == [20]
    assert search_growth.PLOT.read_text().startswith("<svg")
