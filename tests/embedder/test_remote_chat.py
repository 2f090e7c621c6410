"""The embedder over a provider: a chat gets its vectors, and whatever the provider does, no task is lost."""

import asyncio

import pytest

from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, until
from tests.embedder.provider import BAD, DROPPED, Provider

WAITING = """select state, attempts, error_class, error from spine.task
             where workspace_id = $1 and stage = 'embed' and state <> 'done'"""


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


async def _given_back(caplog: pytest.LogCaptureFixture, times: int) -> bool:
    return caplog.text.count("tasks back: 127.0.0.1") >= times


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


@pytest.mark.parametrize("refusal", [500, DROPPED])
async def test_a_text_that_breaks_a_provider_dies_alone(
    remote: Deployment,
    chat: Chat,
    provider: Provider,
    refusal: int,
) -> None:
    """A text that a provider fails over, or does not answer, dies of the usual attempts; no other waits for it."""
    provider.refusal = refusal
    async with remote.serving("embedder"):
        messages = await chat.say([f"text {n}" for n in range(63)] + ["poison"])
        await until(lambda: _only_poison_is_left(chat, "unanswered"), 30)
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
