"""Ids that sort by the time they were made."""

import time
from itertools import pairwise
from uuid import UUID

from services.common.ids import uuid7, uuid7_texts


def test_ids_of_one_moment_are_different_and_in_order() -> None:
    """A batch gets as many ids as it has messages, of version 7, each greater than the one before."""
    made = [UUID(text) for text in uuid7_texts(500)]
    assert len(made) == 500
    assert all(one < other for one, other in pairwise(made))
    assert {each.version for each in made} == {7}
    assert len({each.int & 0xFFFF for each in made}) > 400
    assert uuid7_texts(0) == []


def test_later_ids_are_greater_and_tell_their_time() -> None:
    """An id of a later millisecond sorts behind every earlier one, and its first 48 bits are the Unix time."""
    before = time.time_ns() // 1_000_000
    earlier = [UUID(text) for text in uuid7_texts(50)]
    while time.time_ns() // 1_000_000 <= before + 1:
        time.sleep(0.001)
    later = uuid7()
    assert later > max(earlier)
    assert before <= earlier[0].int >> 80 <= later.int >> 80 <= time.time_ns() // 1_000_000
