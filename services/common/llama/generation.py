"""A model that writes text: free, held to a JSON schema, or choosing among options."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np

from services.common.llama.chat import ChatTemplate, Message
from services.common.llama.errors import TooManyTokens
from services.common.llama.json_grammar import schema_to_grammar
from services.common.llama.lanes import Lane
from services.common.llama.native import (
    Grammar,
    TextContext,
    Vectors,
    Weights,
    common_prefix,
)
from services.common.llama.sampling import log_softmax, pick_token
from services.common.models.errors import WrongRole
from services.common.models.gguf import read_header

Prompt = str | Sequence[Message]
FinishReason = Literal["stop", "length", "cancelled"]
Result = TypeVar("Result")
OnProgress = Callable[[int, int], None]

CALLS_MAX: Final = 16
BATCH_TOKENS: Final = 256


def unwatched(done: int, prompt: int) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A generated text and what it cost; reused tokens of the prompt were not computed again."""

    text: str
    finish_reason: FinishReason
    tokens_in: int
    tokens_out: int
    tokens_reused: int


class GenerationModel:
    """Loaded weights with one context, used by one call at a time; the others wait in a queue."""

    def __init__(self, weights: Weights, lane: Lane[TextContext], tokens_max: int) -> None:
        self._weights = weights
        self._lane = lane
        self._tokens_max = tokens_max
        self._chat = ChatTemplate(weights)

    @classmethod
    def open(
        cls, path: Path, *, context_tokens: int = 4096, threads: int = 1, calls_max: int = CALLS_MAX
    ) -> Self:
        """Load the model; BadModelFile, LoadFailed, or WrongRole if it cannot write."""
        if not read_header(path).causal:
            raise WrongRole(path.stem, "generation", "it only encodes texts")
        with ExitStack() as held:
            weights = Weights(path)
            held.callback(weights.close)
            tokens_max = min(context_tokens, weights.context_tokens)
            batch_tokens = min(BATCH_TOKENS, tokens_max)
            context = TextContext(weights, tokens_max, batch_tokens, threads, steps_back=True)
            held.pop_all()
        lane = Lane(path, "prompts", [], calls_max, background=[context])
        return cls(weights, lane, tokens_max)

    def close(self) -> None:
        """Wait for the call that runs, refuse those that wait, and free the memory."""
        self._lane.close()
        self._weights.close()

    @property
    def context_tokens(self) -> int:
        """Tokens that a prompt and its completion may have together."""
        return self._tokens_max

    def count_tokens(self, prompt: Prompt) -> int:
        """Return how many tokens the prompt takes, with those of the chat template."""
        return len(self._tokenize(prompt))

    async def complete(
        self,
        messages: Prompt,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 512,
        on_progress: OnProgress = unwatched,
    ) -> Completion:
        """Continue a text or answer a chat by the likeliest tokens, held to a JSON schema if one is given.

        A text held to one is valid when it ends with "stop". Cancelling the task ends the work between tokens.
        `on_progress` gets, in another thread, how many tokens are read and written, and how many are the prompt's.
        Raises TooManyTokens, BadGrammar, ComputeFailed, Overloaded or ModelClosed.
        """
        tokens = self._tokenize(messages)
        self._check_room(len(tokens) + 1)
        notation = schema_to_grammar(schema) if schema is not None else None
        return await self._run(partial(self._complete, tokens, notation, max_tokens, on_progress))

    async def choose(self, prompt: Prompt, options: Sequence[str]) -> list[float]:
        """Return the log-probability of each option as the continuation, their sum being one.

        An option that begins another is credited with it too: make them differ early.
        Raises ValueError for no or empty options, else what complete() raises.
        """
        if not options or not all(options):
            raise ValueError("options must be texts that are not empty")
        start, endings = self._tokenize_options(prompt, options)
        self._check_room(len(start) + max(map(len, endings)))
        scores = await self._run(partial(_score_endings, start, endings))
        return [float(value) for value in log_softmax(np.array(scores))]

    async def _run(self, work: Callable[[Callable[[], bool], TextContext], Result]) -> Result:
        """Run the work in the lane; it learns at its next token that the caller has left."""
        left = threading.Event()
        try:
            (result,) = await self._lane.run([partial(work, left.is_set)])
            return result
        except asyncio.CancelledError:
            left.set()
            raise

    def _complete(
        self,
        tokens: list[int],
        notation: str | None,
        tokens_max: int,
        on_progress: OnProgress,
        cancelled: Callable[[], bool],
        context: TextContext,
    ) -> Completion:
        def left() -> bool:
            on_progress(context.held, len(tokens))
            return cancelled()

        grammar = Grammar(self._weights, notation) if notation is not None else None
        try:
            reused = context.rewind(tokens)
            writer = _Writer(self._weights, context, grammar, left)
            room = self._tokens_max - len(tokens)
            reason = writer.write(tokens[reused:], min(tokens_max, room))
        finally:
            if grammar:
                grammar.close()
        return Completion(writer.text, reason, len(tokens), writer.count, reused)

    def _tokenize(self, prompt: Prompt) -> list[int]:
        if not isinstance(prompt, str):
            return self._chat.tokenize(prompt)
        tokens: list[int] = self._weights.tokenize(prompt, special=True).tolist()
        return tokens or [self._weights.start_token()]

    def _tokenize_options(
        self, prompt: Prompt, options: Sequence[str]
    ) -> tuple[list[int], list[list[int]]]:
        """Return what all options begin with, prompt included, and the rest of each.

        A word may be spelt by other tokens after the prompt than alone, so both go together.
        """
        start = self._tokenize(prompt)
        if isinstance(prompt, str):
            wholes = [self._tokenize(prompt + option) for option in options]
        else:
            bare = (self._weights.tokenize(option, special=False) for option in options)
            wholes = [start + tokens.tolist() for tokens in bare]
        shared = min(common_prefix(start, whole) for whole in wholes)
        if shared == 0:
            return [self._weights.start_token()], wholes
        return start[:shared], [whole[shared:] for whole in wholes]

    def _check_room(self, tokens: int) -> None:
        if tokens > self._tokens_max:
            raise TooManyTokens("the prompt", tokens, self._tokens_max)


class _Writer:
    """One completion in the making."""

    def __init__(
        self,
        weights: Weights,
        context: TextContext,
        grammar: Grammar | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self._weights = weights
        self._context = context
        self._grammar = grammar
        self._cancelled = cancelled
        self._written = bytearray()
        self.count = 0

    @property
    def text(self) -> str:
        """What has been written; a character cut in half at the end is left out."""
        return self._written.decode("utf-8", "ignore")

    def write(self, tokens: Sequence[int], tokens_max: int) -> FinishReason:
        """Read the prompt's tokens, then write until something ends the text."""
        scores = self._context.feed(tokens, self._cancelled)
        for _ in range(tokens_max):
            if scores is None:
                return "cancelled"
            token = pick_token(scores, self._grammar.mask if self._grammar else None)
            if token is None or self._weights.ends_text(token):
                return "stop"
            self._append(token)
            scores = self._context.feed([token], self._cancelled)
        return "length" if scores is not None else "cancelled"

    def _append(self, token: int) -> None:
        self._written += self._weights.piece(token)
        self.count += 1
        if self._grammar:
            self._grammar.accept(token)


def _score_endings(
    start: list[int],
    endings: Sequence[Sequence[int]],
    cancelled: Callable[[], bool],
    context: TextContext,
) -> list[float]:
    """Return the log-probability of each ending after the start, which is computed once."""
    held = context.rewind(start)
    first = context.feed(start[held:], cancelled)
    return [_score_ending(start, ending, first, cancelled, context) for ending in endings]


def _score_ending(
    start: list[int],
    ending: Sequence[int],
    scores: Vectors | None,
    cancelled: Callable[[], bool],
    context: TextContext,
) -> float:
    held = context.rewind([*start, ending[0]])
    if held < len(start):
        scores = context.feed(start[held:], cancelled)
    total = 0.0
    for at, token in enumerate(ending):
        if scores is None:
            return -np.inf
        total += float(log_softmax(scores)[token])
        if at + 1 < len(ending):
            scores = context.feed([token], cancelled)
    return total
