"""Planning of batches and cuts, without a model."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.llama.batching import boundary_rank, cut_evenly, plan_batches, unite_equal

LENGTHS = st.lists(st.integers(1, 600), max_size=80)


@given(LENGTHS)
def test_every_text_is_in_one_batch(lengths: list[int]) -> None:
    """Each index appears exactly once among the batches."""
    batches = plan_batches(lengths, 256, 64)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


@given(LENGTHS)
def test_batches_keep_both_limits(lengths: list[int]) -> None:
    """No batch is over its tokens, unless by one long text alone, nor over its texts."""
    for batch in plan_batches(lengths, 256, 16):
        assert len(batch) <= 16
        assert len(batch) == 1 or sum(lengths[index] for index in batch) <= 256


def test_texts_of_like_length_share_a_batch() -> None:
    """A long text does not make room that short ones must wait for."""
    assert plan_batches([10, 200, 12, 198, 11], 400, 64) == [[1, 3], [2, 4, 0]]


def test_equal_texts_are_united() -> None:
    """Equal token lists become one, and each original knows which."""
    lists = [np.array(tokens, np.int32) for tokens in ([1, 2], [3], [1, 2], [1])]
    distinct, where = unite_equal(lists)
    assert [tokens.tolist() for tokens in distinct] == [[1, 2], [3], [1]]
    assert where.tolist() == [0, 1, 0, 2]


@given(st.integers(0, 5000), st.integers(1, 512), st.integers(1, 9))
def test_parts_fill_the_text_and_keep_the_limit(length: int, part_max: int, step: int) -> None:
    """Cuts rise within the text, and no part is empty or too long."""
    cuts = cut_evenly(length, part_max, lambda at: int(at % step == 0))
    edges = [0, *cuts, length]
    assert all(0 < end - start <= part_max for start, end in pairwise(edges)) or (
        length == 0 and cuts == []
    )


def test_parts_are_nearly_equal() -> None:
    """A text a little too long is halved, not left with a tail of a few tokens."""
    assert cut_evenly(520, 510, lambda at: 0) == [260]


def test_cuts_prefer_boundaries() -> None:
    """A cut moves to the end of a sentence near by."""
    assert cut_evenly(1000, 510, lambda at: 2 if at == 490 else int(at % 5 == 0)) == [490]


def test_a_part_must_hold_something() -> None:
    """A limit of no tokens is refused instead of looping."""
    with pytest.raises(ValueError, match="at least one token"):
        cut_evenly(10, 0, lambda at: 0)


@pytest.mark.parametrize(
    ("before", "after", "rank"),
    [
        ("\u2581mat.", "\u2581It", 2),
        ("Ġmat.", "ĠIt", 2),
        ("。", "そ", 2),
        ("\u2581cat", "\u2581sat", 1),
        ("3.", "14", 0),
        ("\u2581ca", "t", 0),
    ],
)
def test_boundaries_are_ranked(before: str, after: str, rank: int) -> None:
    """Ends of sentences come before ends of words, and those before the middle of one."""
    assert boundary_rank(before, after) == rank
