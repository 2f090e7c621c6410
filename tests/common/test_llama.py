"""Embedding and generation with the real models through llama.cpp."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.errors import Overloaded
from services.common.llama import (
    ComputeFailed,
    EmbeddingModel,
    GenerationModel,
    LoadFailed,
    ModelClosed,
    SelfTestFailed,
    Tokens,
    TooManyTokens,
    embedding,
)
from services.common.llama.native import EncodingContext, Weights
from services.common.models import BadModelFile, ResolvedModel
from tests.common.model_files import make_gguf

pytestmark = pytest.mark.models
TEXTS = [
    "",
    "ok",
    "Деплой знову впав: міграція чекає на блокування.",
    "日本語のテキストも検索できます。",
    "We moved the queue out of the web process. " * 9,
    "</s> <mask> <|im_end|> is only text 👋🏽",
    "e\u0301\u0000\ud800 odd characters",
]


@pytest.fixture(scope="module")
def embedder(e5: ResolvedModel) -> Iterator[EmbeddingModel]:
    """The embedding model, loaded once."""
    model = EmbeddingModel.open(e5.path)
    yield model
    model.close()


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of unit vectors."""
    return np.sum(first * second, axis=1)


async def test_vectors_are_finite_and_of_unit_length(embedder: EmbeddingModel) -> None:
    """Any text, the empty one included, has a finite unit vector of the declared dimensions."""
    vectors = await embedder.encode(embedder.tokenize(TEXTS, "passage: "))
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_no_texts_have_no_vectors(embedder: EmbeddingModel) -> None:
    """An empty list gives an empty array of the right width."""
    assert (await embedder.encode([])).shape == (0, 384)


async def test_packed_texts_get_the_vectors_of_single_ones(embedder: EmbeddingModel) -> None:
    """Texts that share a batch do not see each other, beyond the rounding of 4-bit weights."""
    token_lists = embedder.tokenize(TEXTS * 12, "query: ")
    token_lists = [np.append(tokens[:-1], [9 + at, 2]) for at, tokens in enumerate(token_lists)]
    token_lists = [tokens.astype(np.int32) for tokens in token_lists]
    packed = await embedder.encode(token_lists)
    single = np.concatenate([await embedder.encode([one], urgent=True) for one in token_lists[:14]])
    assert cosines(packed[:14], single).min() > 0.999


async def test_vectors_keep_the_order_of_the_texts(embedder: EmbeddingModel) -> None:
    """Equal texts get the same vector, and each vector belongs to its own text."""
    token_lists = embedder.tokenize(["cat", "a long text about ships. " * 9, "cat", "dog"])
    vectors = await embedder.encode(token_lists)
    alone = await embedder.encode(token_lists[3:])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert cosines(vectors[3:], alone)[0] > 0.999 > cosines(vectors[:1], alone)[0]


async def test_meaning_is_found_across_languages(
    embedder: EmbeddingModel, e5: ResolvedModel
) -> None:
    """With its prefixes the model brings a question to its answer in another language."""
    texts = ["Міграція чекає на блокування таблиці", "Мій кіт спить на дивані"]
    passages = await embedder.encode(embedder.tokenize(texts, e5.passage_prefix))
    question = embedder.tokenize(["why does the database migration hang?"], e5.query_prefix)
    scores = passages @ (await embedder.encode(question, urgent=True))[0]
    assert scores[0] > scores[1]


def test_tokens_are_never_cut(embedder: EmbeddingModel) -> None:
    """A text of 5,000 words gives all its tokens."""
    (tokens,) = embedder.tokenize(["word " * 5000])
    assert len(tokens) == 5000 + 2


def test_markup_in_a_text_is_text(embedder: EmbeddingModel) -> None:
    """Control tokens that a user spells out are not control tokens."""
    (tokens,) = embedder.tokenize(["a</s>b<mask>"])
    assert (tokens[0], tokens[-1]) == (0, 2)
    assert not {0, 1, 2, 250001} & set(tokens[1:-1].tolist())


def unwrap(parts: list[Tokens], prefix: int) -> list[int]:
    """Join the parts of a text without what each repeats."""
    head = parts[0][:prefix].tolist()
    assert all(part[:prefix].tolist() == head and part[-1] == 2 for part in parts)
    return head + [token for part in parts for token in part[prefix:-1].tolist()] + [2]


@pytest.mark.parametrize(
    "text", ["слово. Ще одне! " * 900, "x" * 9000, "日本語。" * 900, "a b " * 2500]
)
def test_splitting_loses_no_token(embedder: EmbeddingModel, text: str) -> None:
    """The parts of a text join to the text, and each fits and carries prefix and ends."""
    (tokens,) = embedder.tokenize([text], "passage: ")
    parts = embedder.split(tokens, "passage: ")
    assert len(parts) > 1
    assert max(map(len, parts)) <= embedder.context_tokens
    prefix = len(embedder.tokenize(["passage:"])[0]) - 1
    assert unwrap(parts, prefix) == tokens.tolist()


def test_parts_end_with_sentences(embedder: EmbeddingModel) -> None:
    """A text of sentences is cut between them, into parts of like length."""
    (parts,) = embedder.split_texts(["The cat sat on the mat. It was happy. " * 99])
    stop = embedder.tokenize(["mat."])[0][-2]
    assert all(part[-2] == stop for part in parts)
    assert min(map(len, parts)) > 0.9 * max(map(len, parts))


async def test_long_texts_are_encoded_in_parts(embedder: EmbeddingModel) -> None:
    """The parts of 5,000 words have vectors; the whole is refused, not cut."""
    text = "The cat sat on the mat. " * 833
    (parts,) = embedder.split_texts([text])
    assert (await embedder.encode(parts[:4])).shape == (4, 384)
    with pytest.raises(TooManyTokens, match="text 0 has"):
        await embedder.encode(embedder.tokenize([text]))


async def test_event_loops_in_two_threads_share_a_model(embedder: EmbeddingModel) -> None:
    """Two threads that encode at once get what they get alone."""
    token_lists = embedder.tokenize([f"text {number} about ships" for number in range(60)])
    expected = await embedder.encode(token_lists)

    def encode(_: int) -> np.ndarray:
        return asyncio.run(embedder.encode(token_lists))

    with ThreadPoolExecutor(2) as threads:
        for vectors in await asyncio.to_thread(lambda: list(threads.map(encode, range(2)))):
            assert cosines(vectors, expected).min() > 0.999


async def test_queries_do_not_wait_behind_batches(embedder: EmbeddingModel) -> None:
    """A query is answered while a large batch is still being encoded."""
    token_lists = embedder.tokenize([f"{number} " + "ships " * 40 for number in range(300)])
    batch = asyncio.create_task(embedder.encode(token_lists))
    await asyncio.sleep(0)
    await embedder.encode(embedder.tokenize(["query"]), urgent=True)
    assert not batch.done()
    batch.cancel()


async def test_cancelling_leaves_the_model_usable(embedder: EmbeddingModel) -> None:
    """A batch given up half-way is dropped, and the next is right."""
    token_lists = embedder.tokenize([f"{number} " + "ships " * 40 for number in range(300)])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await embedder.encode(token_lists)
    one = await embedder.encode(token_lists[:1])
    assert cosines(one, await embedder.encode(token_lists[:1], urgent=True))[0] > 0.999


async def test_a_flood_of_queries_is_refused(embedder: EmbeddingModel) -> None:
    """The queue of queries is bounded, and says when to come back."""
    query = embedder.tokenize(["ships " * 40])
    calls = [embedder.encode(query, urgent=True) for _ in range(200)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, Overloaded)]
    assert refused
    assert len(refused) <= 200 - 64
    assert all(isinstance(one, (Overloaded, np.ndarray)) for one in outcomes)


async def test_the_self_test_measures_and_judges(embedder: EmbeddingModel) -> None:
    """The self-test passes a sound model, and fails one of other dimensions."""
    report = await embedder.self_test(384)
    assert report.dimensions == 384
    assert 1.00001 > report.cosine > report.cosine_min == 0.999
    with pytest.raises(SelfTestFailed, match="384 dimensions instead of 768"):
        await embedder.self_test(768)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most that was held")
def test_no_room_is_made_for_scores(e5: ResolvedModel) -> None:
    """Contexts never hold room for scores over a vocabulary of 250,000 words, which nobody asks of them."""
    Path("/proc/self/clear_refs").write_text("5")
    held = _most_resident_mb()
    model = EmbeddingModel.open(e5.path, contexts=2)
    token_lists = model.tokenize([f"{number} " + "ships " * 200 for number in range(8)])
    asyncio.run(model.encode(token_lists))
    grown = _most_resident_mb() - held
    model.close()
    # For one context of 512 tokens that room would take 500 MB.
    assert grown < 450


def _most_resident_mb() -> float:
    """The most that was held since it was last asked to be forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def test_a_closed_model_says_so(e5: ResolvedModel) -> None:
    """After close() every use is an error, never a crash; closing twice is harmless."""
    model = EmbeddingModel.open(e5.path, contexts=1)
    tokens = model.tokenize(["text"])
    waiting = asyncio.create_task(model.encode(tokens * 1))
    await asyncio.sleep(0)
    await asyncio.to_thread(model.close)
    model.close()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(outcome, (np.ndarray, ModelClosed))
    with pytest.raises(ModelClosed):
        await model.encode(tokens)
    with pytest.raises(ModelClosed):
        model.tokenize(["text"])


async def test_a_writing_model_can_embed(smollm: ResolvedModel) -> None:
    """Any GGUF works for embedding: one without pooling gets the mean of its tokens."""
    model = EmbeddingModel.open(smollm.path, contexts=1, part_tokens_max=128)
    assert (await model.self_test()).dimensions == 576
    with pytest.raises(ComputeFailed, match="text 1 has no tokens"):
        await model.encode(model.tokenize(["text", ""]))
    model.close()


def test_what_is_loaded_in_part_is_let_go(
    e5: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that suffices for some contexts alone is given back: the embedder tries again every minute."""
    opened: list[Any] = []
    closed: list[Any] = []

    class Scarce(EncodingContext):
        def __init__(self, weights: Weights, *arguments: Any, **options: Any) -> None:
            if len(opened) == 2:
                raise LoadFailed(weights.path, "no memory is left")
            super().__init__(weights, *arguments, **options)
            opened.append(self)

        def close(self) -> None:
            closed.append(self)
            super().close()

    class Watched(Weights):
        def close(self) -> None:
            closed.append(self)
            super().close()

    monkeypatch.setattr(embedding, "EncodingContext", Scarce)
    monkeypatch.setattr(embedding, "Weights", Watched)
    with pytest.raises(LoadFailed, match="no memory"):
        EmbeddingModel.open(e5.path)
    assert closed[:2] == opened[::-1]
    assert isinstance(closed[2], Weights)


@pytest.mark.parametrize("opener", [EmbeddingModel.open, GenerationModel.open])
def test_what_cannot_be_loaded_is_refused(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    """Files that are not GGUF, cut short, or of an unknown network are errors, never a crash."""
    good = make_gguf(tmp_path / "good.gguf", "no-such-network")
    with pytest.raises(LoadFailed, match="cannot be loaded"):
        opener(good)
    for name, data in (("short", good.read_bytes()[:-99]), ("other", b"text")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadModelFile):
            opener(tmp_path / name)
