"""A model that turns texts into unit vectors: packed batches, and a lane just for queries."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

import numpy as np

from services.common.llama.batching import boundary_rank, cut_evenly, plan_batches, unite_equal
from services.common.llama.errors import ComputeFailed, LoadFailed, SelfTestFailed, TooManyTokens
from services.common.llama.lanes import Lane
from services.common.llama.native import (
    SEQUENCES_MAX,
    EncodingContext,
    Tokens,
    Vectors,
    Weights,
    common_prefix,
    encodes_in_bytes,
)
from services.common.models.gguf import read_header

# A second query does not wait for the first to be read.
QUERY_CONTEXTS: Final = 2
QUERY_BATCHES_MAX: Final = 64
TOKENS_PER_BATCH: Final = 128
PASSAGE_BATCHES_MAX: Final = 8192

# Packing changes the order of additions; quantised weights round each activation block as well.
COSINE_MIN: Final = 0.9999
COSINE_MIN_QUANTISED: Final = 0.999
UNIT_TOLERANCE: Final = 1e-4
_SELF_TEST_TEXTS: Final = (
    "ok",
    "The deploy failed again: migration 0042 waits for a lock.",
    "Хто знає, чому впав деплой?",
    "Решили: откатываем и чиним завтра утром, до десяти.",
    "索引を作り直したら、検索が速くなりました。",
    "We moved the queue out of the web process, and the tail latency went down. " * 6,
)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the self-test measured: the worst cosine between packed and single, and its limit."""

    dimensions: int
    cosine: float
    cosine_min: float


class EmbeddingModel:
    """Loaded weights with contexts over them; open() makes one, close() frees it."""

    def __init__(
        self,
        weights: Weights,
        quantised: bool,
        passages: Lane[EncodingContext],
        queries: Lane[EncodingContext],
        part_tokens: int,
        ends: tuple[Tokens, Tokens],
    ) -> None:
        self._weights = weights
        self._quantised = quantised
        self._passages = passages
        self._queries = queries
        self._part_tokens = part_tokens
        self._head, self._tail = ends

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        contexts: int = 2,
        threads: int = 1,
        part_tokens_max: int = 512,
        exact: bool = False,
    ) -> Self:
        """Load the model; `contexts` batches are encoded at once, each by `threads` threads, and one of fresh texts.

        Unless `exact`, weights are kept in 8 bits where the processor has AVX2: 1.3 to three times as fast.

        Raises BadModelFile or LoadFailed. No text is read in parts over `part_tokens_max` tokens.
        """
        header = read_header(path)
        with ExitStack() as held:
            weights = Weights(path, in_bytes=not exact)
            quantised = header.is_quantised or (encodes_in_bytes() and not exact)
            held.callback(weights.close)
            ends = _find_ends(weights)
            part_tokens = min(part_tokens_max, weights.context_tokens)
            capacity = max(TOKENS_PER_BATCH, part_tokens)
            unpooled = header.pooling in ("none", "unspecified")
            made: list[EncodingContext] = []
            for number in range(QUERY_CONTEXTS + 1 + contexts):
                steps_back = number > QUERY_CONTEXTS
                made.append(
                    EncodingContext(weights, capacity, threads, unpooled, steps_back=steps_back)
                )
                held.callback(made[-1].close)
            # From here on nothing fails.
            held.pop_all()
        asked, others = made[:QUERY_CONTEXTS], made[QUERY_CONTEXTS:]
        queries = Lane(path, "queries", asked, QUERY_BATCHES_MAX)
        passages = Lane(path, "texts", others[:1], PASSAGE_BATCHES_MAX, background=others[1:])
        return cls(weights, quantised, passages, queries, part_tokens, ends)

    def close(self) -> None:
        """Wait for the batches that run, refuse those that wait, and free the memory."""
        self._passages.close()
        self._queries.close()
        self._weights.close()

    @property
    def dimensions(self) -> int:
        """Values in one vector."""
        return self._weights.dimensions

    @property
    def context_tokens(self) -> int:
        """Tokens that one part of a text may have, with the model's own at its ends."""
        return self._part_tokens

    def tokenize(self, texts: Sequence[str], prefix: str = "") -> list[Tokens]:
        """Return all tokens of each text after the prefix, however many; markup in it is text."""
        return [self._weights.tokenize(prefix + text, special=True) for text in texts]

    def split(
        self, tokens: Tokens, prefix: str = "", tokens_max: int | None = None
    ) -> list[Tokens]:
        """Return the tokens of one text in parts of at most `tokens_max`, near ends of sentences.

        The parts lose no token and are nearly equal; each has the prefix and the ends of the whole.
        """
        limit = tokens_max or self._part_tokens
        if len(tokens) <= limit:
            return [tokens]
        repeated = self._prefix_length(tokens, prefix)
        body = tokens[repeated : len(tokens) - len(self._tail)]
        part_max = limit - repeated - len(self._tail)
        if part_max < 1:
            raise TooManyTokens("the prefix", repeated + len(self._tail), limit - 1)
        cuts = cut_evenly(len(body), part_max, partial(self._boundary_rank, body))
        chunks = np.split(body, cuts)
        return [np.concatenate((tokens[:repeated], chunk, self._tail)) for chunk in chunks]

    def split_texts(self, texts: Sequence[str], prefix: str = "") -> list[list[Tokens]]:
        """Return the parts of each text, ready to be encoded; a short text is one part."""
        return [self.split(tokens, prefix) for tokens in self.tokenize(texts, prefix)]

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Vectors:
        """Return one unit vector for each token list, shape (lists, dimensions).

        Equal lists are encoded once. Urgent ones, queries, never wait for those that are not; those that can wait
        let all others go first.
        Raises TooManyTokens, ComputeFailed, Overloaded or ModelClosed; may be cancelled.
        """
        self._check_lengths(token_lists)
        if not token_lists:
            return np.empty((0, self.dimensions), np.float32)
        distinct, where = unite_equal(token_lists)
        lengths = [len(tokens) for tokens in distinct]
        batches = plan_batches(lengths, TOKENS_PER_BATCH, SEQUENCES_MAX)
        works = [partial(_encode_batch, [distinct[i] for i in batch]) for batch in batches]
        if urgent:
            encoded = await self._queries.run(works)
        else:
            encoded = await self._passages.run(works, can_wait=can_wait)
        vectors = np.empty((len(distinct), self.dimensions), np.float32)
        vectors[np.concatenate([np.array(batch) for batch in batches])] = np.concatenate(encoded)
        return vectors[where]

    async def self_test(self, dimensions: int | None = None) -> SelfTest:
        """Check that packed texts get the vectors of single ones; SelfTestFailed if they do not."""
        token_lists = [parts[0] for parts in self.split_texts(_SELF_TEST_TEXTS)]
        packed = await self.encode(token_lists)
        single = np.concatenate(
            [await self.encode([tokens], urgent=True) for tokens in token_lists]
        )
        cosines = np.sum(packed * single, axis=1)
        report = SelfTest(self.dimensions, float(cosines.min()), self._cosine_min())
        self._judge(report, packed, dimensions or self.dimensions)
        return report

    def _judge(self, report: SelfTest, vectors: Vectors, dimensions: int) -> None:
        path = self._weights.path
        if report.dimensions != dimensions:
            reason = f"vectors have {report.dimensions} dimensions instead of {dimensions}"
            raise SelfTestFailed(path, reason)
        if np.any(np.abs(np.linalg.norm(vectors, axis=1) - 1) > UNIT_TOLERANCE):
            raise SelfTestFailed(path, "a vector is not of unit length")
        if not report.cosine >= report.cosine_min:
            reason = f"packed texts agree with single ones only to {report.cosine:.5f}"
            raise SelfTestFailed(path, f"{reason}; {report.cosine_min} is needed")

    def _cosine_min(self) -> float:
        return COSINE_MIN_QUANTISED if self._quantised else COSINE_MIN

    def _check_lengths(self, token_lists: Sequence[Tokens]) -> None:
        for index, tokens in enumerate(token_lists):
            if not len(tokens):
                raise ComputeFailed(f"text {index} has no tokens, so it has no vector")
            if len(tokens) > self._part_tokens:
                raise TooManyTokens(f"text {index}", len(tokens), self._part_tokens)

    def _prefix_length(self, tokens: Tokens, prefix: str) -> int:
        """Return how many leading tokens are the model's own and the prefix."""
        alone = self._weights.tokenize(prefix.rstrip(), special=True)
        length = common_prefix(alone[: len(alone) - len(self._tail)].tolist(), tokens.tolist())
        return max(length, len(self._head))

    def _boundary_rank(self, body: Tokens, at: int) -> int:
        before, after = int(body[at - 1]), int(body[at])
        return boundary_rank(self._weights.spelling(before), self._weights.spelling(after))


def _encode_batch(token_lists: Sequence[Tokens], context: EncodingContext) -> Vectors:
    return context.encode(token_lists)


def _find_ends(weights: Weights) -> tuple[Tokens, Tokens]:
    """Return the tokens that the model wants before and after every text; LoadFailed if that cannot be told."""
    whole = weights.tokenize("a", special=True)
    bare = weights.tokenize("a", special=False)
    starts = (at for at in range(len(whole)) if np.array_equal(whole[at : at + len(bare)], bare))
    before = next(starts, None)
    if before is None:
        raise LoadFailed(weights.path, "it spells a text in another way between its own tokens")
    return whole[:before], whole[before + len(bare) :]
