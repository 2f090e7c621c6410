"""A model behind an OpenAI-compatible URL: a real HTTP server that behaves, and one that does not."""

import asyncio
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, until

DIMENSIONS = 8
# No answer at all: the connection is closed.
DROPPED = 0
Handler = BaseHTTPRequestHandler


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector that depends on the text alone, not of unit length."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return list(3 * np.random.default_rng(seed).standard_normal(dimensions))


class Provider:
    """What the server was asked, and what it makes of its answers."""

    def __init__(self) -> None:
        self.url = ""
        self.reads: Callable[[str], str] = lambda text: text
        self.inputs: list[list[str]] = []
        self.status: list[tuple[int, dict[str, str]]] = []
        self.spoil: Callable[[list[dict[str, Any]]], Any] = lambda data: data
        self.refused = "poison"
        self.refusal = 400
        self.away = False

    def respond(self, handler: Handler) -> None:
        """Answer one request."""
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self.inputs.append(body["input"])
        status, headers = self.status.pop(0) if self.status else (200, {})
        if self.away or any(self.refused in text for text in body["input"]):
            status = self.refusal
        if status == DROPPED:
            return
        dimensions = body.get("dimensions", DIMENSIONS)
        data: Any = [
            {"index": place, "embedding": vector_of(self.reads(text), dimensions)}
            for place, text in enumerate(body["input"])
        ]
        answer = json.dumps({"data": self.spoil(data) if status == 200 else []}).encode()
        handler.send_response(status)
        for name, value in {**headers, "content-length": str(len(answer))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A server on this machine."""
    answering = Provider()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answering.respond(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    answering.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield answering
    server.shutdown()
    thread.join()
    server.server_close()


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


BAD: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "nan": lambda data: [{**item, "embedding": [float("nan")] * DIMENSIONS} for item in data],
    "zeros": lambda data: [{**item, "embedding": [0.0] * DIMENSIONS} for item in data],
    "dimensions": lambda data: [{**item, "embedding": item["embedding"][:-1]} for item in data],
    "short": lambda data: data[:-1],
    "repeated": lambda data: [{**item, "index": 0} for item in data],
    "ragged": lambda data: [{**data[0], "embedding": [1.0]}, *data[1:]],
    "words": lambda data: [{**item, "embedding": ["one"] * DIMENSIONS} for item in data],
    "nothing": lambda data: None,
    "numbers with points": lambda data: [{**item, "index": float(item["index"])} for item in data],
    "truth for numbers": lambda data: [{**item, "index": bool(item["index"])} for item in data],
    "beyond all numbers": lambda data: [{**item, "embedding": [10**400] * 8} for item in data],
}


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
        assert answering.wait(30)
        return data

    async with opened(provider, embedding_batch_max=1, embedding_calls_max=2) as model:
        provider.inputs.clear()
        provider.spoil = slowly
        old = [f"old {number}" for number in range(8)]
        backfill = asyncio.create_task(embed_texts(model.encoder, old, "", can_wait=True))
        for _ in range(2):
            assert await asyncio.to_thread(asked.acquire, timeout=30)
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


@pytest.mark.parametrize("flaw", ["dimensions", "short", "zeros", "nan"])
async def test_a_provider_gone_bad_costs_no_task_its_life(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    flaw: str,
) -> None:
    """While every answer is wrong, no attempt of a task is counted and the provider is left alone; then all is done."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "2")
    async with deployment.serving("embedder"):
        provider.spoil = BAD[flaw]
        await chat.say([f"text {n}" for n in range(4)])
        await until(lambda: _given_back(caplog, 4))
        waiting = await chat.admin.fetch(WAITING, chat.workspace)
        assert {row["attempts"] for row in waiting if row["state"] == "ready"} <= {0}
        assert {row["error_class"] for row in waiting} == {"ModelUnavailable"}
        assert all("127.0.0.1, model m: " in row["error"] for row in waiting)
        if flaw == "dimensions":
            told = "gave vectors of 7 numbers, not of 8"
            assert told in caplog.text
            assert all(told in row["error"] for row in waiting)
        provider.spoil = lambda data: data
        await chat.settled()
    assert len(await chat.vectors()) == 4


WAITING = """select state, attempts, error_class, error from spine.task
             where workspace_id = $1 and stage = 'embed' and state <> 'done'"""


async def _given_back(caplog: pytest.LogCaptureFixture, times: int) -> bool:
    return caplog.text.count("tasks back: 127.0.0.1") >= times


async def test_a_provider_embeds_a_chat(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a provider configured messages get its vectors; one that it refuses dies alone, and a pause is kept."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    async with deployment.serving("embedder"):
        provider.status = [(429, {"retry-after": "1"})]
        messages = await chat.say([f"text {n}" for n in range(20)] + ["poison"])
        await until(lambda: _only_poison_is_left(chat))
    assert {subject for subject, _ in await chat.vectors()} == set(messages[:-1])


@pytest.mark.parametrize("refusal", [500, DROPPED])
async def test_a_text_that_breaks_a_provider_dies_alone(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    refusal: int,
) -> None:
    """A text that a provider fails over, or does not answer, dies of the usual attempts; no other waits for it."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    provider.refusal = refusal
    async with deployment.serving("embedder"):
        messages = await chat.say([f"text {n}" for n in range(63)] + ["poison"])
        await until(lambda: _only_poison_is_left(chat, "unanswered"), 30)
    assert {subject for subject, _ in await chat.vectors()} == set(messages[:-1])
    (dead,) = await chat.unfinished()
    assert (dead["attempts"], dead["subject_id"]) == (5, messages[-1])


@pytest.mark.parametrize("refusal", [400, 500, DROPPED])
async def test_an_outage_costs_no_task_its_life(
    embedder: Embedder,
    deployment: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    refusal: int,
) -> None:
    """While a provider fails over all texts it is asked ever less often and no attempt counts; then all is done."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "2")
    provider.refusal = refusal
    async with deployment.serving("embedder"):
        provider.away = True
        provider.inputs.clear()
        await chat.say([f"text {n}" for n in range(64)])
        await asyncio.sleep(8)
        # Each try is a batch and a probe; the breaker opens with the third, for 1, 2, 4 and 8 seconds.
        assert 6 <= len(provider.inputs) <= 2 * 7
        waiting = await chat.unfinished()
        assert {(row["state"], row["attempts"]) for row in waiting} == {("ready", 0)}
        provider.away = False
        await chat.settled()
    assert len(await chat.vectors()) == 64


async def _only_poison_is_left(chat: Chat, error_class: str = "refused") -> bool:
    return [(row["state"], row["error_class"]) for row in await chat.unfinished()] == [
        ("dead", error_class)
    ]
