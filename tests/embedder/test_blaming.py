"""Texts are told from providers, however those fail; the provider is a function here."""

import random

import numpy as np
import pytest

from services.common.errors import ItemFailed, ModelUnavailable, Unanswered
from services.common.vectors import Matrix
from services.embedder.blaming import Reading
from services.embedder.embedding import Unread

ATTEMPTS_MAX = 5


class Flapping:
    """A provider that fails so often by chance, whatever it is asked."""

    def __init__(self, share: float, *, silent: bool) -> None:
        self._share, self._silent, self._random = share, silent, random.Random(7)
        self.calls = 0

    async def ask(self, texts: list[str]) -> Matrix:
        """Answer, or not."""
        self.calls += 1
        if self._random.random() < self._share:
            raise Unanswered("HTTP 500", was_silent=self._silent)
        return np.full((len(texts), 1), len(texts[0]), np.float32)

    async def probe(self) -> None:
        """Answer a short text, or not."""
        try:
            await self.ask(["ok"])
        except Unanswered as error:
            raise ModelUnavailable(str(error)) from error


async def attempts_until_read(provider: Flapping, texts: list[str]) -> int:
    """How many attempts of some text were its own fault in a row, at the most, until all were read."""
    blamed = dict.fromkeys(texts, 0)
    worst = 0
    while blamed:
        try:
            found = await Reading(provider.ask, provider.probe, list(blamed)).run()
        except ModelUnavailable:
            continue
        for text, outcome in zip(list(blamed), found, strict=True):
            if isinstance(outcome, Unread):
                continue
            if not isinstance(outcome, ItemFailed):
                del blamed[text]
                continue
            blamed[text] += 1
            worst = max(worst, blamed[text])
    return worst


@pytest.mark.parametrize("silent", [False, True])
async def test_a_provider_that_fails_by_chance_kills_nothing(silent: bool) -> None:
    """Whatever the share of calls that fail or find silence, no text is blamed as often as a task needs to die."""
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        provider = Flapping(share, silent=silent)
        for batch in range(100):
            texts = [f"{batch} {number}" for number in range(16)]
            assert await attempts_until_read(provider, texts) < ATTEMPTS_MAX - 1


class Mute:
    """A provider that is silent about some texts, and about all that is asked with them."""

    def __init__(self, texts: set[str]) -> None:
        self._texts = texts
        self.silences = 0

    async def ask(self, texts: list[str]) -> Matrix:
        """Answer unless such a text is asked for."""
        if self._texts & set(texts):
            self.silences += 1
            raise Unanswered("no answer", was_silent=True)
        return np.full((len(texts), 1), 1, np.float32)

    async def probe(self) -> None:
        """Answer."""


@pytest.mark.parametrize("place", range(64))
async def test_a_text_that_is_never_answered_takes_three_timeouts(place: int) -> None:
    """Wherever it is in a batch of 64, a text that finds silence is blamed after three, and all others are read."""
    texts = [f"text {number}" for number in range(64)]
    provider = Mute({texts[place]})
    found = await Reading(provider.ask, provider.probe, texts).run()
    assert [number for number, each in enumerate(found) if isinstance(each, ItemFailed)] == [place]
    assert provider.silences == 3


async def test_alone_it_takes_two() -> None:
    """A text that failed before is tried alone, and its silence is heard twice."""
    provider = Mute({"mute"})
    (found,) = await Reading(provider.ask, provider.probe, ["mute"]).run()
    assert isinstance(found, ItemFailed)
    assert (found.error_class, provider.silences) == ("unanswered", 2)


async def test_many_of_them_take_four_timeouts_an_attempt() -> None:
    """However many texts find silence, an attempt ends after four; what it did not come to is tried again and read."""
    texts = [f"text {number}" for number in range(64)]
    bad = set(texts[5::6])
    left, blamed = list(texts), dict.fromkeys(bad, 0)
    for _ in range(100):
        provider = Mute(bad)
        found = await Reading(provider.ask, provider.probe, left).run()
        assert provider.silences <= 4
        outcomes = dict(zip(left, found, strict=True))
        at_fault = {
            text
            for text, each in outcomes.items()
            if isinstance(each, ItemFailed) and not isinstance(each, Unread)
        }
        assert at_fault <= bad
        assert bool(at_fault) == bool(bad & set(left))
        for text in at_fault:
            blamed[text] += 1
        dead = {text for text in bad if blamed[text] == ATTEMPTS_MAX}
        left = [
            text for text in left if isinstance(outcomes[text], ItemFailed) and text not in dead
        ]
        if not left:
            break
    assert not left
    assert set(blamed.values()) == {ATTEMPTS_MAX}
