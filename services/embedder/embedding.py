"""From texts to rows of vectors: what a model must do, and how a long text becomes a whole and its parts."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from services.common import metrics, tracing
from services.common.errors import ItemFailed, ModelUnavailable, Overloaded
from services.common.vectors import Matrix, flaws

Tokens = npt.NDArray[np.int32]

# More parts than any ordinary batch has; fewer than a model lets wait.
_PARTS_PER_CALL_MAX: Final = 2048
# Few, so that a batch of long texts neither fills the priority lane nor keeps another query waiting for all of it.
_URGENT_PARTS_PER_CALL_MAX: Final = 16
_CHARACTERS_INLINE_MAX: Final = 1000


class Encoder(Protocol):
    """A model that turns token lists into unit vectors."""

    @property
    def dimensions(self) -> int:
        """Values in one vector."""

    @property
    def context_tokens(self) -> int:
        """Tokens that one list may have."""

    def split_texts(self, texts: Sequence[str], prefix: str = "") -> list[list[Tokens]]:
        """Return for each text, after the prefix, its tokens in parts that fit the context; none is lost."""

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return one unit vector for each list, shape (lists, dimensions).

        Urgent lists never wait for others; those that can wait let all others go first.
        """


@dataclass(frozen=True)
class TextVectors:
    """Row 0 stands for the whole text; a text longer than the context has a further row for each part."""

    rows: Matrix
    tokens: int


class UnusableVectors(ItemFailed):
    """A model answered with vectors that must not be stored."""

    def __init__(self, description: str) -> None:
        super().__init__("unusable_vectors", description)


async def embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    prefix: str,
    *,
    urgent: bool = False,
    can_wait: bool = False,
) -> list[TextVectors]:
    """Return the vectors of each text; equal texts are read once. UnusableVectors if one is not fit to store."""
    metrics.TEXTS.labels("query" if urgent else "passage").inc(len(texts))
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    split = await _split(encoder, list(places), prefix)
    parts = [part for parts in split for part in parts]
    vectors = await _encode(encoder, parts, urgent, can_wait)
    embedded = list(_gather(split, vectors))
    return [embedded[places[text]] for text in texts]


async def _split(encoder: Encoder, texts: Sequence[str], prefix: str) -> list[list[Tokens]]:
    """Split texts where that does no harm: little of it takes less time than to hand it to a thread."""
    if sum(map(len, texts)) <= _CHARACTERS_INLINE_MAX:
        return encoder.split_texts(texts, prefix)
    return await asyncio.to_thread(encoder.split_texts, texts, prefix)


async def _encode(
    encoder: Encoder, parts: Sequence[Tokens], urgent: bool, can_wait: bool
) -> Matrix:
    size = _URGENT_PARTS_PER_CALL_MAX if urgent else _PARTS_PER_CALL_MAX
    chunks = [
        await _encode_chunk(encoder, parts[start : start + size], urgent, can_wait)
        for start in range(0, len(parts), size)
    ]
    return np.concatenate(chunks) if chunks else np.empty((0, encoder.dimensions), np.float32)


async def _encode_chunk(
    encoder: Encoder, parts: Sequence[Tokens], urgent: bool, can_wait: bool
) -> Matrix:
    lane, tokens = "query" if urgent else "passage", sum(map(len, parts))
    metrics.BATCH_TOKENS.labels(lane).observe(tokens)
    metrics.TOKENS.labels("embedding", "in").inc(tokens)
    try:
        with tracing.span("model encode", lane=lane, parts=len(parts), tokens=tokens):
            vectors = await encoder.encode(parts, urgent=urgent, can_wait=can_wait)
    except Overloaded as error:
        if urgent:
            raise
        raise ModelUnavailable(str(error)) from error
    expected = (len(parts), encoder.dimensions)
    if vectors.shape != expected:
        raise UnusableVectors(f"the model gave vectors of shape {vectors.shape}, not {expected}")
    return vectors


def _gather(split: Sequence[Sequence[Tokens]], vectors: Matrix) -> Iterator[TextVectors]:
    """Give each text its rows, and check them all."""
    if unfit := int(flaws(vectors).sum()):
        raise UnusableVectors(
            f"{unfit} of {len(vectors)} vectors are not finite or not of unit length"
        )
    start = 0
    for parts in split:
        rows = vectors[start : start + len(parts)]
        start += len(parts)
        lengths = [len(part) for part in parts]
        yield TextVectors(_with_whole(rows, lengths), sum(lengths))


def _with_whole(parts: Matrix, lengths: Sequence[int]) -> Matrix:
    """Put before the vectors of several parts their mean, weighted by length and of unit length."""
    if len(parts) == 1:
        return parts
    mean = np.average(parts, axis=0, weights=lengths)
    norm = float(np.linalg.norm(mean))
    if norm < 1e-6:
        raise UnusableVectors("the parts of a text cancel each other out")
    return np.concatenate(((mean / norm)[None].astype(np.float32), parts))
