"""A prompt that a provider cannot answer is told from a provider that answers nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.common.errors import ItemFailed, Unanswered
from services.extractor.probing import PROBE, Probed
from tests.conftest import Deployment
from tests.extractor.models import Answer, PlannedModel
from tests.extractor.provider import Handler, Provider, provider
from tests.extractor.saved import TALK, say, settled

PROMPT = [{"role": "user", "content": "a prompt"}]


@dataclass
class Failing(PlannedModel):
    """Fails a prompt so many times, silently or not, and probes too if it `is_away`."""

    times: int = 99
    was_silent: bool = False
    is_away: bool = False
    probes: int = field(default=0)

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Answer:
        """Answer, or not."""
        if messages == PROBE:
            self.probes += 1
            if self.is_away:
                raise Unanswered("HTTP 503")
            return Answer("yes")
        self._fail()
        return await super().complete(messages, schema, max_tokens)

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Choose, or not."""
        self._fail()
        return await super().choose(prompt, options)

    def _fail(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise Unanswered("HTTP 500", was_silent=self.was_silent)


@pytest.mark.parametrize(("was_silent", "failures"), [(False, 3), (True, 2)])
async def test_a_prompt_that_alone_is_not_answered_is_at_fault(
    was_silent: bool, failures: int
) -> None:
    """After three failures, or two silences, of a prompt whose provider answers others in between."""
    model = Failing(was_silent=was_silent)
    with pytest.raises(ItemFailed, match=f"{failures} times for this prompt alone") as failure:
        await Probed(model).complete(PROMPT, None, 10)
    assert (failure.value.error_class, model.probes) == ("unanswered", failures)


async def test_a_provider_that_answers_nothing_is_at_fault() -> None:
    """It is asked one thing more, and then nothing else until it answers."""
    model = Failing([Answer("said")], is_away=True)
    probed = Probed(model)
    for _ in range(3):
        with pytest.raises(Unanswered, match="503"):
            await probed.complete(PROMPT, None, 10)
    assert (model.probes, 99 - model.times) == (3, 1)
    model.is_away, model.times = False, 0
    assert (await probed.complete(PROMPT, None, 10)).text == "said"
    assert (await probed.complete(PROMPT, None, 10)).text == "said"
    assert model.probes == 4


async def test_a_failure_by_chance_costs_nothing() -> None:
    """A prompt that is answered in the end is, and a choice is one too."""
    chosen = await Probed(Failing(times=2)).choose("a prompt", ["yes", "no"])
    assert chosen == [-1.0, -1.0]
    answered = await Probed(Failing([Answer("said")], times=1)).complete(PROMPT, None, 10)
    assert answered.text == "said"


class Choosy(Provider):
    """A provider that fails whatever mentions what the talk is about, and answers all else."""

    def _well(self, handler: Handler, body: dict[str, Any]) -> None:
        words = TALK[0][1]
        if any(words in message["content"] for message in body["messages"]):
            return self._broken(handler, body)
        return super()._well(handler, body)


async def test_a_window_that_a_provider_fails_of_is_read_without_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked for ever: structure reads what the model cannot, and the run tells."""
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    monkeypatch.setenv("WINNOW_RELAY_IDLE_SECONDS", "0.05")
    with provider(Choosy()) as model:
        monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "generative")
        monkeypatch.setenv("WINNOW_GENERATION_URL", model.url)
        monkeypatch.setenv("WINNOW_GENERATION_MODEL", "double")
        async with deployment.serving("extractor"):
            await say(deployment, TALK)
            await settled(deployment)
    assert await deployment.admin.fetchval("select count(*) from extractor.atom") > 0
    outcomes = await deployment.admin.fetch("select outcome from extractor.run")
    assert [row["outcome"] for row in outcomes] == ["invalid"]
