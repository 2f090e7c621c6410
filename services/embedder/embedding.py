"""From texts to rows of vectors: what a model must do, and how a long text becomes a whole and its parts."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
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
        """Return one unit vector for each list, shape (lists, dimensions); ListsFailed if some have none for certain.

        Urgent lists never wait for others; those that can wait let all others go first.
        """


class ListsFailed(ItemFailed):
    """Some lists are at fault, each by itself.

    `failures` says by place why they have no vector; in `vectors` their rows are 0, and those of the others theirs.
    """

    def __init__(self, vectors: Matrix, failures: Mapping[int, ItemFailed]) -> None:
        first = next(iter(failures.values()))
        super().__init__(first.error_class, str(first))
        self.vectors, self.failures = vectors, failures


@dataclass(frozen=True)
class TextVectors:
    """Row 0 stands for the whole text; a text longer than the context has a further row for each part."""

    rows: Matrix
    tokens: int


class UnusableVectors(ItemFailed):
    """A model answered with vectors that must not be stored."""

    def __init__(self, description: str) -> None:
        super().__init__("unusable_vectors", description)


class Unread(ItemFailed):
    """A text that nobody found out about, because finding out about others took all the time there was."""

    def __init__(self) -> None:
        super().__init__(
            "unread", "others kept the provider silent too long; it is asked for later"
        )


async def embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    prefix: str,
    *,
    urgent: bool = False,
    can_wait: bool = False,
) -> list[TextVectors]:
    """Return the vectors of each text, as embed_each does; ItemFailed if there are none for one of them."""
    embedded: list[TextVectors] = []
    for vectors in await embed_each(encoder, texts, prefix, urgent=urgent, can_wait=can_wait):
        if isinstance(vectors, ItemFailed):
            raise vectors
        embedded.append(vectors)
    return embedded


async def embed_each(
    encoder: Encoder,
    texts: Sequence[str],
    prefix: str,
    *,
    urgent: bool = False,
    can_wait: bool = False,
) -> list[TextVectors | ItemFailed]:
    """Return the vectors of each text, or why it has none though others have; equal texts are read once.

    Raises UnusableVectors if one is not fit to store and nobody has found out whose fault that is.
    """
    metrics.TEXTS.labels("query" if urgent else "passage").inc(len(texts))
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    split = await _split(encoder, list(places), prefix)
    parts = [part for parts in split for part in parts]
    vectors, failures = await _encode(encoder, parts, urgent, can_wait)
    embedded = list(_gather(split, vectors, failures))
    return [embedded[places[text]] for text in texts]


async def _split(encoder: Encoder, texts: Sequence[str], prefix: str) -> list[list[Tokens]]:
    """Split texts where that does no harm: little of it takes less time than to hand it to a thread."""
    if sum(map(len, texts)) <= _CHARACTERS_INLINE_MAX:
        return encoder.split_texts(texts, prefix)
    return await asyncio.to_thread(encoder.split_texts, texts, prefix)


async def _encode(
    encoder: Encoder, parts: Sequence[Tokens], urgent: bool, can_wait: bool
) -> tuple[Matrix, dict[int, ItemFailed]]:
    """Return a vector for each part, and by place why some have none."""
    size = _URGENT_PARTS_PER_CALL_MAX if urgent else _PARTS_PER_CALL_MAX
    chunks: list[Matrix] = []
    failures: dict[int, ItemFailed] = {}
    for start in range(0, len(parts), size):
        try:
            vectors = await _encode_chunk(encoder, parts[start : start + size], urgent, can_wait)
        except ListsFailed as error:
            vectors = error.vectors
            failures |= {start + place: failure for place, failure in error.failures.items()}
        chunks.append(vectors)
    empty = np.empty((0, encoder.dimensions), np.float32)
    return np.concatenate(chunks) if chunks else empty, failures


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


def _gather(
    split: Sequence[Sequence[Tokens]], vectors: Matrix, failures: Mapping[int, ItemFailed]
) -> Iterator[TextVectors | ItemFailed]:
    """Give each text its rows, and check them all; a text fails with any of its parts."""
    flawed = flaws(vectors)
    flawed[list(failures)] = False
    if unfit := int(flawed.sum()):
        raise UnusableVectors(
            f"{unfit} of {len(vectors)} vectors are not finite or not of unit length"
        )
    start = 0
    for parts in split:
        places = range(start, start + len(parts))
        start += len(parts)
        if failed := [failures[place] for place in places if place in failures]:
            yield min(failed, key=lambda failure: isinstance(failure, Unread))
            continue
        lengths = [len(part) for part in parts]
        rows = vectors[places.start : places.stop]
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
