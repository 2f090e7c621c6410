"""In which numbers a model is computed: those of its file, or 8 bits where the processor multiplies them sooner."""

from pathlib import Path

import llama_cpp.llama_cpp as c
import numpy as np
import pytest

from services.common.llama import EmbeddingModel, native
from services.common.llama.native import encodes_in_bytes
from services.common.models import ModelStore, ResolvedModel

pytestmark = pytest.mark.models
WORDS = "The deploy failed: migration 0042 waits for a lock, and nobody knows why it does. "
# Of one token to several tiles of 16 or groups of 8, ends of them among these.
TEXTS = [WORDS[:length] for length in range(1, len(WORDS), 3)] + [WORDS * 3, WORDS * 9]

needs_avx2 = pytest.mark.skipif(not encodes_in_bytes(), reason="this processor has no AVX2")


@pytest.fixture(scope="module")
def halves() -> Path:
    """A model in real numbers of 16 bits, fetched if it is not in the cache."""
    return ModelStore.open().fetch("all-MiniLM-L6-v2", "embedding").path


async def vectors(path: Path, *, exact: bool = False, threads: int = 1) -> np.ndarray:
    """Return the vectors of the texts."""
    model = EmbeddingModel.open(path, contexts=1, exact=exact, threads=threads)
    made = await model.encode(model.tokenize(TEXTS))
    await model.self_test()
    model.close()
    return made


@needs_avx2
@pytest.mark.parametrize("threads", [1, 2])
async def test_weights_of_halves_are_kept_in_bytes(halves: Path, threads: int) -> None:
    """A file of 16 bits is computed with in 8, near enough, whatever the length of a text."""
    exact = await vectors(halves, exact=True)
    fast = await vectors(halves, threads=threads)
    cosines = np.sum(exact * fast, axis=1)
    assert 0.997 < cosines.min() < 0.99999


@needs_avx2
@pytest.mark.parametrize(
    "file_type", [c.LLAMA_FTYPE_ALL_F32, c.LLAMA_FTYPE_MOSTLY_BF16, c.LLAMA_FTYPE_MOSTLY_Q8_0]
)
async def test_other_types_of_weights(halves: Path, tmp_path: Path, file_type: int) -> None:
    """The same model in floats of 32 bits, in bfloat16 and in blocks of bytes gives the same vectors."""
    parameters = c.llama_model_quantize_default_params()
    parameters.ftype = file_type
    copy = tmp_path / "copy.gguf"
    assert c.llama_model_quantize(str(halves).encode(), str(copy).encode(), parameters) == 0
    cosines = np.sum(await vectors(halves) * await vectors(copy), axis=1)
    assert cosines.min() > 0.997


@needs_avx2
async def test_weights_of_four_bits_are_kept_in_bytes(e5: ResolvedModel) -> None:
    """Of a file of fewer bits nothing is lost that matters."""
    exact = await vectors(e5.path, exact=True)
    cosines = np.sum(exact * await vectors(e5.path), axis=1)
    assert 0.999 < cosines.min() < 0.999999


async def test_elsewhere_a_file_is_read_as_it_is(
    halves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processors compute with the numbers of the file."""
    exact = await vectors(halves, exact=True)
    monkeypatch.setattr(native, "_keep_for_encoding", None)
    np.testing.assert_array_equal(exact, await vectors(halves))
