"""In which numbers a model is computed: those of its file, or fewer bits where matrix units multiply them."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.common.llama import EmbeddingModel, precision
from services.common.models import ModelStore

pytestmark = pytest.mark.models
TEXTS = ["The deploy failed: migration 0042 waits for a lock.", "Who knows why?", "ok"]


@pytest.fixture(scope="module")
def halves() -> Path:
    """A model in real numbers of 16 bits, fetched if it is not in the cache."""
    return ModelStore.open().fetch("all-MiniLM-L6-v2", "embedding").path


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A processor with matrix units, and a folder for what is made for a moment."""
    monkeypatch.setattr(precision, "multiplies_tiles", lambda: True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


async def vectors(model: EmbeddingModel) -> np.ndarray:
    """Return the vectors of the texts and close the model."""
    made = await model.encode(model.tokenize(TEXTS))
    await model.self_test()
    model.close()
    return made


async def test_matrix_units_read_halves_as_bytes(halves: Path, tiles: Path) -> None:
    """With matrix units a file of 16 bits is computed with in 8, near enough, and its copy does not stay."""
    exact = await vectors(EmbeddingModel.open(halves, contexts=1, exact=True))
    fast = await vectors(EmbeddingModel.open(halves, contexts=1))
    cosines = np.sum(exact * fast, axis=1)
    assert 0.99 < cosines.min() < 0.99999


async def test_without_matrix_units_a_file_is_read_as_it_is(
    halves: Path, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processors compute with the numbers of the file."""
    monkeypatch.setattr(precision, "multiplies_tiles", lambda: False)
    exact = await vectors(EmbeddingModel.open(halves, contexts=1, exact=True))
    np.testing.assert_array_equal(exact, await vectors(EmbeddingModel.open(halves, contexts=1)))


async def test_no_room_for_a_copy_costs_speed_alone(
    halves: Path, tiles: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the copy cannot be written the file is read as it is, and the log says so."""
    monkeypatch.setattr(tempfile, "tempdir", str(tiles / "absent"))
    exact = await vectors(EmbeddingModel.open(halves, contexts=1, exact=True))
    with caplog.at_level(logging.WARNING, "winnow.llama"):
        same = await vectors(EmbeddingModel.open(halves, contexts=1))
    np.testing.assert_array_equal(exact, same)
    assert "is read exactly, which is slower" in caplog.text
