"""Texts are told from providers, however those fail; the provider is a function here."""

import random

import numpy as np

from services.common.errors import ItemFailed, ModelUnavailable, Unanswered
from services.common.vectors import Matrix
from services.embedder.blaming import Reading

ATTEMPTS_MAX = 5


class Flapping:
    """A provider that fails so often by chance, whatever it is asked."""

    def __init__(self, share: float) -> None:
        self._share, self._random = share, random.Random(7)
        self.calls = 0

    async def ask(self, texts: list[str]) -> Matrix:
        """Answer, or not."""
        self.calls += 1
        if self._random.random() < self._share:
            raise Unanswered("HTTP 500")
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
            if not isinstance(outcome, ItemFailed):
                del blamed[text]
                continue
            blamed[text] += 1
            worst = max(worst, blamed[text])
    return worst


async def test_a_provider_that_fails_by_chance_kills_nothing() -> None:
    """Whatever the share of calls that fail, no text is blamed as often as a task needs to die."""
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        provider = Flapping(share)
        for batch in range(100):
            texts = [f"{batch} {number}" for number in range(16)]
            assert await attempts_until_read(provider, texts) < ATTEMPTS_MAX - 1
