"""How texts become rows of vectors, whatever the model."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.common.errors import ItemFailed, ModelUnavailable, Overloaded
from services.common.testing import FakeEncoder, Tokens
from services.common.vectors import Matrix
from services.embedder.embedding import (
    ListsFailed,
    Unread,
    UnusableVectors,
    embed_each,
    embed_texts,
)


class Narrow(FakeEncoder):
    """Takes few lists at a time."""

    def __init__(self, lists_max: int) -> None:
        super().__init__(dimensions=8, context_tokens=4)
        self._lists_max = lists_max

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return vectors, or refuse."""
        if len(token_lists) > self._lists_max:
            raise Overloaded("too many texts wait for the model", 1)
        return await super().encode(token_lists, urgent=urgent, can_wait=can_wait)


async def test_whole_is_the_mean_of_its_parts() -> None:
    """Row 0 of a long text is the mean of its parts by length, of unit length; the parts follow in order."""
    encoder = FakeEncoder(dimensions=8, context_tokens=4)
    (vectors,) = await embed_texts(encoder, ["abcdefgh12"], "")
    first, second, third = [
        (await embed_texts(encoder, [part], ""))[0].rows[0] for part in ("abcd", "efgh", "12")
    ]
    mean = (first * 4 + second * 4 + third * 2) / 10
    assert np.allclose(vectors.rows[1:], [first, second, third])
    assert np.allclose(vectors.rows[0], mean / np.linalg.norm(mean))
    assert vectors.tokens == 10


async def test_equal_texts_share_their_rows() -> None:
    """Texts keep their order, and equal ones the same vectors."""
    texts = ["b", "a", "b"]
    vectors = await embed_texts(FakeEncoder(dimensions=8), texts, "p: ")
    assert np.array_equal(vectors[0].rows, vectors[2].rows)
    assert not np.array_equal(vectors[0].rows, vectors[1].rows)


async def test_no_texts_give_no_vectors() -> None:
    """Nothing in, nothing out."""
    assert await embed_texts(FakeEncoder(), [], "") == []


async def test_urgent_texts_come_in_small_helpings() -> None:
    """However many parts a query has, the priority lane gets few at a time and takes them all."""
    (vectors,) = await embed_texts(Narrow(16), ["x" * 400], "", urgent=True)
    assert vectors.rows.shape == (101, 8)


async def test_a_full_model_is_not_the_texts_fault() -> None:
    """A model that has too much to do makes work wait; a query is told so."""
    with pytest.raises(ModelUnavailable):
        await embed_texts(Narrow(1), ["a", "b"], "")
    with pytest.raises(Overloaded):
        await embed_texts(Narrow(1), ["a", "b"], "", urgent=True)


async def test_parts_that_cancel_out_are_refused() -> None:
    """A whole whose parts have no direction together is an error of that text, never a vector of noise."""

    class Opposite(FakeEncoder):
        async def encode(
            self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
        ) -> Matrix:
            return np.array([[1, 0], [-1, 0]], np.float32)

    with pytest.raises(UnusableVectors):
        await embed_texts(Opposite(dimensions=2, context_tokens=4), ["abcdefgh"], "")


class HalfRead(FakeEncoder):
    """Has not come to one list, and was refused another."""

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Raise what came of some lists."""
        vectors = await super().encode(token_lists)
        raise ListsFailed(vectors, {0: Unread(), 2: ItemFailed("refused", "no"), 3: Unread()})


async def test_what_is_known_to_be_at_fault_is_said() -> None:
    """A text of which one part is unread and another at fault is at fault, or it would be tried for ever."""
    encoder = HalfRead(dimensions=8, context_tokens=4)
    failed, unread = await embed_each(encoder, ["abcdefgh12", "next"], "")
    assert isinstance(failed, ItemFailed)
    assert failed.error_class == "refused"
    assert isinstance(unread, Unread)
