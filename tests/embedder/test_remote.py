"""A model behind an OpenAI-compatible URL: a real HTTP server that behaves, and one that does not."""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import numpy as np
import pytest

from services.common.errors import ItemFailed, ModelError, ModelUnavailable, ProviderBusy
from services.common.vectors import flaws
from services.embedder.embedding import (
    TextVectors,
    UnusableVectors,
    embed_each,
    embed_texts,
)
from services.embedder.models import LoadedModel
from services.embedder.remote import RemoteModels, RemoteSettings, read_vectors
from tests.embedder.provider import BAD, DIMENSIONS, DROPPED, SILENT, Provider, vector_of


def opened(
    provider: Provider, name: str = "openai:m", **settings: Any
) -> AbstractAsyncContextManager[LoadedModel]:
    """Open a model of the provider."""
    return RemoteModels(RemoteSettings(embedding_url=provider.url, **settings)).open(name)


async def test_texts_go_in_batches_and_come_back_as_unit_vectors(provider: Provider) -> None:
    """However many texts, no call has more than its limit; vectors are in order and of unit length."""
    async with opened(provider, embedding_batch_max=10) as model:
        provider.inputs.clear()
        texts = [f"text {n}" for n in range(35)]
        embedded = await embed_texts(model.encoder, texts, "p: ")
        assert sorted(map(len, provider.inputs)) == [5, 10, 10, 10]
        assert (model.provider, model.identity.dimensions) == ("127.0.0.1", DIMENSIONS)
    for text, vectors in zip(texts, embedded, strict=True):
        wanted = np.array(vector_of(f"p: {text}"))
        assert float(vectors.rows[0] @ wanted / np.linalg.norm(wanted)) > 0.9999
        assert not flaws(vectors.rows).any()


async def test_permuted_answers_are_put_in_order(provider: Provider) -> None:
    """An answer in another order is read by its numbers."""
    provider.spoil = lambda data: data[::-1]
    async with opened(provider) as model:
        (first, second) = await embed_texts(model.encoder, ["a", "b"], "")
    for text, vectors in (("a", first), ("b", second)):
        wanted = np.array(vector_of(text))
        assert float(vectors.rows[0] @ wanted / np.linalg.norm(wanted)) > 0.9999


async def test_a_provider_that_mixes_texts_up_is_not_used(provider: Provider) -> None:
    """Permuted vectors with numbers in order are found out before any is stored."""

    def shuffled(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = [item["embedding"] for item in data]
        return [{"index": n, "embedding": row} for n, row in enumerate(rows[1:] + rows[:1])]

    provider.spoil = shuffled
    with pytest.raises(ModelError, match="together agree with single ones only"):
        async with opened(provider):
            pass


@pytest.mark.parametrize("flaw", sorted(BAD.keys() - {"repeated"}))
async def test_a_provider_that_answers_nothing_well_is_at_fault(
    provider: Provider, flaw: str
) -> None:
    """One that gives no sound vector for what it once read, or vectors of another length, is named and waited for."""
    async with opened(provider) as model:
        provider.spoil = BAD[flaw]
        with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1, model m: "):
            await embed_texts(model.encoder, ["a", "b"], "")


@pytest.mark.parametrize("flaw", sorted(BAD.keys() - {"dimensions", "ragged", "repeated"}))
async def test_bad_answers_are_no_vectors(provider: Provider, flaw: str) -> None:
    """A text alone is at fault if only its vector is not finite, has no direction, or is none."""

    def spoil_some(data: list[dict[str, Any]]) -> Any:
        return BAD[flaw](data) if "a" in provider.inputs[-1] else data

    async with opened(provider) as model:
        provider.spoil = spoil_some
        with pytest.raises(UnusableVectors):
            await embed_texts(model.encoder, ["a", "b"], "")
        await embed_texts(model.encoder, ["b"], "")


async def test_a_vector_without_numbers_is_its_texts_fault(provider: Provider) -> None:
    """Only numbers that are there tell of another model: what has none for one text alone condemns that text."""

    def spoil_some(data: list[dict[str, Any]]) -> Any:
        return [{**item, "embedding": []} for item in data] if "a" in provider.inputs[-1] else data

    async with opened(provider) as model:
        provider.spoil = spoil_some
        with pytest.raises(UnusableVectors):
            await embed_texts(model.encoder, ["a"], "")


async def test_waits_and_faults(provider: Provider) -> None:
    """Retry-After is handed on, a server's fault is the model's, a refusal is the text's."""
    async with opened(provider) as model:
        provider.status = [(429, {"retry-after": "7"})]
        with pytest.raises(ProviderBusy) as busy:
            await embed_texts(model.encoder, ["a"], "")
        assert busy.value.retry_seconds == 7
        provider.status = [(500, {}), (500, {})]
        with pytest.raises(ModelUnavailable, match="HTTP 500"):
            await embed_texts(model.encoder, ["a"], "")
        provider.status = [(500, {})]
        await embed_texts(model.encoder, ["a"], "")
        with pytest.raises(ItemFailed):
            await embed_texts(model.encoder, ["poison"], "")


SOME_PLACES = (0, 1, 31, 63)


@pytest.mark.parametrize(
    ("refusal", "places"),
    [(500, range(64)), *((refusal, SOME_PLACES) for refusal in (400, 413, 422, 502, DROPPED))],
)
async def test_one_bad_text_is_found_at_every_place(
    provider: Provider, refusal: int, places: Sequence[int]
) -> None:
    """However a provider fails over one text of 64, 13 calls at most find it, and the others have their vectors."""
    provider.refusal = refusal
    async with opened(provider) as model:
        for place in places:
            texts = [f"{place}: text {number}" for number in range(64)]
            texts[place] += " poison"
            provider.inputs.clear()
            found = await embed_each(model.encoder, texts, "")
            assert len(provider.inputs) <= 13
            bad = [number for number, each in enumerate(found) if isinstance(each, ItemFailed)]
            assert bad == [place]
            assert_vectors(texts, found, set(bad))


async def test_a_text_that_is_never_answered_is_asked_for_three_times(provider: Provider) -> None:
    """A text that a provider does not answer in time costs three timeouts, and the others have their vectors."""
    provider.refusal, provider.silence_seconds = SILENT, 2.5
    async with opened(provider, embedding_timeout_seconds=2) as model:
        texts = [f"text {number}" for number in range(64)]
        texts[0] += " poison"
        provider.inputs.clear()
        found = await embed_each(model.encoder, texts, "")
        assert [len(each) for each in provider.inputs if texts[0] in each] == [64, 1, 1]
        assert isinstance(found[0], ItemFailed)
        assert found[0].error_class == "unanswered"
        assert_vectors(texts, found, {0})


async def test_many_bad_texts_leave_the_others_their_vectors(provider: Provider) -> None:
    """Bad texts beside each other and apart, one of them only in a part of a long text, cost nobody else anything."""
    provider.refusal = 500
    async with opened(provider) as model:
        texts = [f"text {number}" for number in range(150)]
        bad = {0, 1, 2, 63, 64, 100, 149}
        for place in bad:
            texts[place] += " poison"
        texts[30] = "word " * 1000 + "poison"
        found = await embed_each(model.encoder, texts, "")
        refused = {n for n, each in enumerate(found) if isinstance(each, ItemFailed)}
        assert refused == bad | {30}
        assert_vectors(texts, found, refused)


def assert_vectors(
    texts: list[str], found: Sequence[TextVectors | ItemFailed], bad: set[int]
) -> None:
    """Assert that all texts have their vectors but for the bad ones."""
    for place, (text, vectors) in enumerate(zip(texts, found, strict=True)):
        if place not in bad:
            assert isinstance(vectors, TextVectors)
            wanted = np.array(vector_of(text))
            assert float(vectors.rows[0] @ wanted / np.linalg.norm(wanted)) > 0.9999


async def test_a_query_does_not_wait_until_a_culprit_is_found(provider: Provider) -> None:
    """What a provider does not answer at once is told to whoever searches, after one call."""
    provider.refusal = 500
    async with opened(provider) as model:
        provider.inputs.clear()
        with pytest.raises(ModelUnavailable):
            await embed_texts(model.encoder, ["poison"], "", urgent=True)
    assert len(provider.inputs) == 1


async def test_a_provider_that_asks_for_a_wait_is_asked_nothing_more(provider: Provider) -> None:
    """The calls for the rest of a batch are not made once one of them has failed: the whole batch is tried again."""
    async with opened(provider, embedding_batch_max=1, embedding_calls_max=1) as model:
        provider.inputs.clear()
        provider.status = [(429, {"retry-after": "7"})]
        with pytest.raises(ProviderBusy):
            await embed_texts(model.encoder, [f"text {number}" for number in range(10)], "")
        # Whoever waited for its turn behind the rest would be the eleventh.
        await embed_texts(model.encoder, ["last"], "")
    assert provider.inputs in ([["text 0"], ["last"]], [["text 0"], ["text 1"], ["last"]])


async def test_a_fresh_text_passes_what_can_wait(provider: Provider) -> None:
    """Of a backfill only as many calls are under way as may be at once; the rest goes after what came meanwhile."""
    asked, answering = threading.Semaphore(0), threading.Event()

    def slowly(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.release()
        assert answering.wait(60)
        return data

    async with opened(provider, embedding_batch_max=1, embedding_calls_max=2) as model:
        provider.inputs.clear()
        provider.spoil = slowly
        old = [f"old {number}" for number in range(8)]
        backfill = asyncio.create_task(embed_texts(model.encoder, old, "", can_wait=True))
        for _ in range(2):
            assert await asyncio.to_thread(asked.acquire, timeout=60)
        fresh = asyncio.create_task(embed_texts(model.encoder, ["fresh"], ""))
        await asyncio.sleep(0)
        answering.set()
        await asyncio.gather(backfill, fresh)
    assert ["fresh"] in provider.inputs[:4]
    assert len(provider.inputs) == 9


async def test_a_silent_cut_is_found(provider: Provider) -> None:
    """A provider that reads only the beginning of a text gets parts that it reads to their ends."""
    provider.reads = lambda text: text[:600]
    async with opened(provider) as model:
        assert model.encoder.context_tokens == 500
        text = "Words and words. " * 200
        (parts,) = model.encoder.split_texts([text], "p: ")
        assert "".join("".join(map(chr, part.tolist()))[3:] for part in parts) == text
        assert max(map(len, parts)) <= 500
    provider.reads = lambda text: text[:100]
    with pytest.raises(ModelError, match="less than 256 characters"):
        async with opened(provider):
            pass


@pytest.mark.parametrize("refusal", [400, 500])
async def test_what_is_too_long_for_a_provider_is_found(provider: Provider, refusal: int) -> None:
    """A provider that refuses long texts gets parts that it takes, also if it says that the fault is its own."""
    provider.characters_max, provider.refusal = 600, refusal
    async with opened(provider) as model:
        assert model.encoder.context_tokens == 500
    provider.away = True
    with pytest.raises((ModelError, ModelUnavailable)):
        async with opened(provider):
            pass


async def test_one_failure_does_not_shorten_what_is_read(provider: Provider) -> None:
    """A provider that fails once while it is tried gets texts as long as any other, so that all replicas cut alike."""
    well, failed = (200, {}), (502, {})
    provider.status = [*[well] * 4, failed]
    async with opened(provider) as model:
        assert not provider.status
        assert model.encoder.context_tokens == 2000


def first_tokens(text: str, tokens_max: int = 512) -> str:
    """What a model reads of a text whose tokens are four letters of English each, and one of any other script."""
    read = itertools.accumulate(1 if ord(letter) > 127 else 0.25 for letter in text)
    return text[: sum(tokens <= tokens_max for tokens in read)]


@pytest.mark.parametrize(
    "reads",
    [lambda text: text[:1600], first_tokens, lambda text: first_tokens(text, tokens_max=260)],
)
async def test_parts_are_read_to_their_ends(
    provider: Provider, reads: Callable[[str], str]
) -> None:
    """A cut is found in the last quarter of a text, and one that other scripts meet with; a small model will do."""
    provider.reads = reads
    async with opened(provider) as model:
        for text in ("Words and words. " * 200, "Слова і ще слова. " * 200):
            (parts,) = model.encoder.split_texts([text], "p: ")
            for part in parts:
                spelt = "".join(map(chr, part.tolist()))
                assert reads(spelt) == spelt


async def test_dimensions_can_be_asked_for(provider: Provider) -> None:
    """A name with a number of dimensions asks for them, and is another model than the same without."""
    async with opened(provider, "openai:m@4") as four, opened(provider) as eight:
        assert (four.identity.dimensions, eight.identity.dimensions) == (4, 8)
        assert four.identity.digest != eight.identity.digest


@pytest.mark.parametrize("asked", ["\u00b2", "0", "x", "9" * 5000])
async def test_what_is_no_number_of_dimensions_is_named(asked: str) -> None:
    """What follows @ is refused, before anybody is asked, unless it is a number of dimensions that vectors can have."""
    models = RemoteModels(RemoteSettings(embedding_url="http://127.0.0.1:1/v1"))
    with pytest.raises(ModelError, match="number of dimensions"):
        async with models.open(f"openai:m@{asked}"):
            pass


async def test_without_a_url_there_is_no_provider() -> None:
    """The setting that is missing is named."""
    with pytest.raises(ModelError, match="WINNOW_EMBEDDING_URL"):
        async with RemoteModels(RemoteSettings()).open("openai:m"):
            pass


def test_answers_are_read_by_their_numbers() -> None:
    """Numbers out of range are refused."""
    answer = json.dumps({"data": [{"index": 5, "embedding": [1, 0]}]}).encode()
    with pytest.raises(UnusableVectors):
        read_vectors(answer, 1, 2)


async def test_dimensions_that_are_not_given_are_told_at_once(provider: Provider) -> None:
    """A provider that does not heed the dimensions asked for is refused when the model is opened."""
    provider.spoil = BAD["dimensions"]
    with pytest.raises(ModelError, match="vectors of 3 numbers, not of 4"):
        async with opened(provider, "openai:m@4"):
            pass
