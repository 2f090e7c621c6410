"""The embedder over a provider: a chat gets its vectors, and whatever the provider does, no task is lost."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import grpc
import pytest

from services.common.testing import FakeEncoder
from services.embedder.models import LoadedModel
from services.embedder.remote import RemoteModels, RemoteSettings
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, fake_models, until
from tests.embedder.operating import Operator
from tests.embedder.provider import BAD, DROPPED, SILENT, Provider

WAITING = """select state, attempts, error_class, error from spine.task
             where workspace_id = $1 and stage = 'embed' and state <> 'done'"""
CLAIMS = "select max(fence) from spine.task where split_part(spec, ':', 2) = $1"


@pytest.fixture
def remote(
    embedder: Embedder,
    deployment: Deployment,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> Deployment:
    """A deployment whose embedder asks the provider."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    return deployment


Serve = Callable[[], AbstractAsyncContextManager[grpc.aio.Channel]]


@pytest.fixture
def beside(embedder: Embedder, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Run the embedder, all its loops with it, over a model of its own; others are asked of the provider."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "own")
    monkeypatch.setenv("WINNOW_EMBEDDING_URL", provider.url)
    own = fake_models(FakeEncoder(16), "own")

    def open_model(name: str) -> AbstractAsyncContextManager[LoadedModel]:
        return own(name) if name == "own" else RemoteModels(RemoteSettings.read()).open(name)

    return lambda: embedder.serving(open_model, reconciling=True)


@pytest.mark.parametrize("flaw", ["dimensions", "short", "zeros", "nan"])
async def test_a_provider_gone_bad_costs_no_task_its_life(
    remote: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    flaw: str,
) -> None:
    """While every answer is wrong, no attempt of a task is counted and the provider is left alone; then all is done."""
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "2")
    async with remote.serving("embedder"):
        provider.spoil = BAD[flaw]
        await chat.say([f"text {n}" for n in range(4)])
        await until(lambda: _given_back(caplog, 4))
        await until(lambda: _wait_uncounted(chat, 4))
        waiting = await chat.admin.fetch(WAITING, chat.workspace)
        assert all("127.0.0.1, model m: " in row["error"] for row in waiting)
        if flaw == "dimensions":
            told = "gave vectors of 7 numbers, not of 8"
            assert told in caplog.text
            assert all(told in row["error"] for row in waiting)
        provider.spoil = lambda data: data
        await chat.settled()
    assert len(await chat.vectors()) == 4


async def _given_back(caplog: pytest.LogCaptureFixture, times: int) -> bool:
    return caplog.text.count("tasks back: 127.0.0.1") >= times


async def _wait_uncounted(chat: Chat, count: int) -> bool:
    rows = await chat.admin.fetch(WAITING, chat.workspace)
    found = [(row["state"], row["attempts"], row["error_class"]) for row in rows]
    return found == [("ready", 0, "ProviderFailing")] * count


async def test_a_failing_generation_holds_up_no_other(
    beside: Serve, deployment: Deployment, chat: Chat, provider: Provider
) -> None:
    """While a generation's provider is left alone, what another lacks is made; its own tasks wait, uncounted."""
    async with beside() as channel:
        second = await Operator(channel, deployment).start("openai:m")
        provider.status = [(429, {"retry-after": "600"})]
        await chat.say([f"text {n}" for n in range(3)])
        await until(lambda: _wait_uncounted(chat, 3))
        provider.inputs.clear()
        await chat.say([f"text {n}" for n in range(3, 100)])
        own = (await Operator(channel, deployment).listed())["own"]
        await until(lambda: _has_vectors(chat, own.id, 100))
        assert await chat.forget(60) == 60
        await until(lambda: _has_vectors(chat, own.id, 100))
        await until(lambda: _wait_uncounted(chat, 100))
        claims = await chat.admin.fetchval(CLAIMS, second.id)
    assert (claims, provider.inputs) == (1, [])


async def test_what_waits_for_a_provider_goes_on_with_it(
    beside: Serve, deployment: Deployment, chat: Chat, provider: Provider
) -> None:
    """A provider that is back is found by a few tasks, and then all go on that waited, none of them counted."""
    async with beside() as channel:
        second = await Operator(channel, deployment).start("openai:m")
        provider.away, provider.refusal = True, 500
        provider.inputs.clear()
        await chat.say([f"text {n}" for n in range(3)])
        # The breaker opens with the third failure of a batch and a probe each, and for two seconds with the fourth.
        await until(lambda: _was_asked(provider, 8))
        await chat.say([f"text {n}" for n in range(3, 300)])
        await until(lambda: _wait_uncounted(chat, 300))
        provider.away = False
        await until(lambda: _has_vectors(chat, second.id, 300))
        await chat.settled()


async def test_a_silent_provider_does_not_hold_up_a_start(
    beside: Serve,
    deployment: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An embedder serves before it knows whether the provider of a generation beside the serving one answers."""
    async with beside() as channel:
        await Operator(channel, deployment).start("openai:m")
    monkeypatch.setenv("WINNOW_EMBEDDING_TIMEOUT_SECONDS", "8")
    provider.away, provider.refusal, provider.silence_seconds = True, SILENT, 8.5
    async with beside() as channel:
        await Operator(channel, deployment).embed("why")
        await chat.say(["text"])
        own = (await Operator(channel, deployment).listed())["own"]
        await until(lambda: _has_vectors(chat, own.id, 1))
        assert "its model is missing" not in caplog.text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (SILENT, "127.0.0.1 did not answer within 0.5 s"),
        (DROPPED, "127.0.0.1: "),
        (503, "127.0.0.1 answered with HTTP 503"),
        (429, "127.0.0.1 answered with HTTP 429"),
    ],
)
async def test_a_model_is_not_refused_because_its_provider_is_away(
    beside: Serve,
    deployment: Deployment,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    said: str,
) -> None:
    """Who starts a generation meanwhile is told to come again, and does so with the same request."""
    monkeypatch.setenv("WINNOW_EMBEDDING_TIMEOUT_SECONDS", "0.5")
    async with beside() as channel:
        operator = Operator(channel, deployment)
        provider.away, provider.refusal = True, status
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.start("openai:m")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert str(caught.value.details()).startswith(f"openai:m cannot be tested now: {said}")
        assert "openai:m" not in await operator.listed()
        provider.away = False
        assert (await operator.start("openai:m")).model == "openai:m"


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_model_that_its_provider_refuses_cannot_be_started(
    beside: Serve, deployment: Deployment, provider: Provider, status: int
) -> None:
    """A name, an address or a key that a provider does not take is the fault of the request or the settings."""
    async with beside() as channel:
        provider.away, provider.refusal = True, status
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Operator(channel, deployment).start("openai:m")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith("model: ")


async def _has_vectors(chat: Chat, generation: str, count: int) -> bool:
    query = "select count(*) = $2 from embedder.vector where generation_id = $1"
    return bool(await chat.admin.fetchval(query, UUID(generation), count))


async def _was_asked(provider: Provider, times: int) -> bool:
    return len(provider.inputs) >= times


async def test_a_provider_embeds_a_chat(
    remote: Deployment,
    chat: Chat,
    provider: Provider,
) -> None:
    """With a provider configured messages get its vectors; one that it refuses dies alone, and a pause is kept."""
    async with remote.serving("embedder"):
        provider.status = [(429, {"retry-after": "1"})]
        messages = await chat.say([f"text {n}" for n in range(20)] + ["poison"])
        await until(lambda: _only_poison_is_left(chat))
    assert {subject for subject, _ in await chat.vectors()} == set(messages[:-1])


@pytest.mark.parametrize("refusal", [500, DROPPED, SILENT])
async def test_a_text_that_breaks_a_provider_dies_alone(
    remote: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    refusal: int,
) -> None:
    """A text that a provider fails over, or does not answer, dies of the usual attempts; no other waits for it."""
    provider.refusal = refusal
    if refusal == SILENT:
        monkeypatch.setenv("WINNOW_EMBEDDING_TIMEOUT_SECONDS", "2")
        provider.silence_seconds = 2.5
    async with remote.serving("embedder"):
        messages = await chat.say([f"text {n}" for n in range(63)] + ["poison"])
        await until(lambda: _only_poison_is_left(chat, "unanswered"))
    assert {subject for subject, _ in await chat.vectors()} == set(messages[:-1])
    (dead,) = await chat.unfinished()
    assert (dead["attempts"], dead["subject_id"]) == (5, messages[-1])


@pytest.mark.parametrize("refusal", [400, 500, DROPPED])
async def test_an_outage_costs_no_task_its_life(
    remote: Deployment,
    chat: Chat,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    refusal: int,
) -> None:
    """While a provider fails over all texts it is asked ever less often and no attempt counts; then all is done."""
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "2")
    provider.refusal = refusal
    async with remote.serving("embedder"):
        provider.away = True
        provider.inputs.clear()
        began = time.monotonic()
        await chat.say([f"text {n}" for n in range(64)])
        # Each try is a batch and a probe; the breaker opens with the third, for 1, 2, 4 and 8 seconds.
        await until(lambda: _was_asked(provider, 2 * 6))
        asked, seconds = len(provider.inputs), time.monotonic() - began
        assert asked <= 2 * (4 + math.log2(seconds + 1))
        await until(lambda: _all_wait_untried(chat, 64))
        provider.away = False
        await chat.settled()
    assert len(await chat.vectors()) == 64


async def _all_wait_untried(chat: Chat, count: int) -> bool:
    waiting = [(row["state"], row["attempts"]) for row in await chat.unfinished()]
    return waiting == [("ready", 0)] * count


async def _only_poison_is_left(chat: Chat, error_class: str = "refused") -> bool:
    return [(row["state"], row["error_class"]) for row in await chat.unfinished()] == [
        ("dead", error_class)
    ]
