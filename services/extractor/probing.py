"""Tells a prompt that a provider cannot answer from a provider that answers nothing."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from services.common.errors import ItemFailed, Unanswered
from services.extractor.extraction import Completed, Model

T = TypeVar("T")

# A provider that fails by chance hardly fails one prompt so often, and none of the probes in between.
FAILURES_MAX: Final = 3
# Each silence costs a whole timeout.
SILENCES_MAX: Final = 2
PROBE: Final = [{"role": "user", "content": "Say yes."}]
_PROBE_TOKENS_MAX: Final = 4


class Probed:
    """A model that is asked something else after a prompt that it did not answer, and first of all until it answers.

    Raises ModelUnavailable if it answers nothing, and ItemFailed for a prompt that alone it does not answer: given back
    with its window, that would be asked for ever, and what else is known of the window would never be written.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._is_away = model, False

    def count_tokens(self, prompt: str) -> int:
        """How many tokens a prompt takes."""
        return self._model.count_tokens(prompt)

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Completed:
        """Answer a chat."""
        return await self._insist(lambda: self._model.complete(messages, schema, max_tokens))

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Log-probability of each option as the continuation of the prompt."""
        return await self._insist(lambda: self._model.choose(prompt, options))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        failures = silences = 0
        if self._is_away:
            await self._probe()
        while True:
            try:
                return await ask()
            except Unanswered as error:
                failures += 1
                silences += error.was_silent
                await self._probe()
                if failures == FAILURES_MAX or silences == SILENCES_MAX:
                    text = f"{error} {failures} times for this prompt alone, and answered others"
                    raise ItemFailed("unanswered", text) from error

    async def _probe(self) -> None:
        """Raise ModelUnavailable unless the model answers; to refuse is an answer as well."""
        self._is_away = True
        with contextlib.suppress(ItemFailed):
            await self._model.complete(PROBE, None, _PROBE_TOKENS_MAX)
        self._is_away = False
