"""A provider behind a URL fails in every way it can: no window is lost, nothing dies, and work resumes by itself."""

import asyncio
import json
import math
import time
from collections.abc import Iterator

import pytest

from tests.conftest import Deployment
from tests.extractor.provider import Provider, provider
from tests.extractor.saved import TALK, say, settled

# What is said badly is asked again in halves at once, which are answered well.
FAULTS = "busy broken hang drip drop page huge truncated well well wrong well well empty well well forbidden".split()
CONVERSATIONS = 4


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider, and settings that make the extractor use it and be quick about it."""
    quote = TALK[0][1][:60]
    atom = {"ids": [1], "quote": quote, "type": "problem", "title": quote, "content": quote}
    with provider() as running:
        running.answer = lambda body: json.dumps({"atoms": [atom], "topics": []})
        for name, value in {
            "GENERATION_URL": running.url,
            "GENERATION_MODEL": "double",
            "EXTRACTION_ENGINE": "generative",
            "GENERATION_TIMEOUT_SECONDS": "0.5",
            "TASK_RETRY_SECONDS": "0.1",
            "RELAY_AGAIN_SECONDS": "0.5",
            "WINDOW_SETTLE_SECONDS": "0.2",
        }.items():
            monkeypatch.setenv(f"WINNOW_{name}", value)
        yield running


async def figures(deployment: Deployment) -> dict[str, int]:
    """What has become of the windows."""
    row = await deployment.admin.fetchrow(
        """select (select count(*) from spine.task where state = 'dead') as dead,
             (select count(*) from extractor.conversation_window) as windows,
             (select count(distinct window_id) from extractor.run) as read,
             (select count(distinct window_id) from extractor.atom where retired_at is null) as kept,
             (select count(*) from extractor.run) as runs"""
    )
    return dict(row)


async def test_every_fault_passes(deployment: Deployment, double: Provider) -> None:
    """Fault after fault, each window is read once in the end and has its atoms."""
    double.plan = list(FAULTS)
    async with deployment.serving("extractor"):
        for _ in range(CONVERSATIONS):
            await say(deployment, TALK)
        async with asyncio.timeout(90):
            while double.plan:
                await asyncio.sleep(0.1)
                if not await _is_open(deployment):
                    await say(deployment, TALK)
        await _finished(deployment)
    found = await figures(deployment)
    assert found["dead"] == 0
    assert found["windows"] == found["read"] == found["kept"] == found["runs"] >= CONVERSATIONS


async def test_the_breaker_opens_and_closes(deployment: Deployment, double: Provider) -> None:
    """During an outage the provider is asked ever less often; afterwards everything is read."""
    double.always = "broken"
    async with deployment.serving("extractor"):
        began = time.monotonic()
        for _ in range(CONVERSATIONS):
            await say(deployment, TALK)
        async with asyncio.timeout(60):
            while len(double.requests) < 5:  # noqa: ASYNC110 - the server runs in a thread
                await asyncio.sleep(0.05)
        asked, seconds = len(double.requests), time.monotonic() - began
        assert asked <= 4 + math.log2(seconds + 1)
        assert (await figures(deployment))["runs"] == 0
        attempts = "select coalesce(max(attempts), 0) from spine.task where stage = 'extract' and state = 'ready'"
        assert await deployment.admin.fetchval(attempts) == 0
        double.always = ""
        await _finished(deployment)
    found = await figures(deployment)
    assert (found["dead"], found["kept"], found["runs"]) == (0, CONVERSATIONS, CONVERSATIONS)


async def _is_open(deployment: Deployment) -> bool:
    query = "select exists (select from spine.task where stage in ('window', 'extract') and state <> 'done')"
    found: bool = await deployment.admin.fetchval(query)
    return found


async def _finished(deployment: Deployment) -> None:
    """Wait for longer than a breaker stays open."""
    for _ in range(5):
        try:
            await settled(deployment)
        except AssertionError:
            continue
        return
    await settled(deployment)
