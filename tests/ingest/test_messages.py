"""Drafts: what makes two versions of a message the same, and which of them wins."""

import hashlib
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.messages import EPOCH, Draft, canonical_json, draft, latest

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
times = st.integers(-(10**12), 10**15).map(lambda us: EPOCH + timedelta(microseconds=us))
jsons = st.none() | st.just('[{"type":"bold"}]')
contents = st.tuples(
    words,
    words,
    st.tuples(words, words, st.booleans()),
    words,
    times,
    st.none() | times,
    jsons,
    jsons,
)


@given(one=contents, other=contents)
def test_the_hash_covers_all_the_sender_decides(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    """Two drafts have the same content hash if and only if every field is the same."""
    first, second = draft("1", *one), draft("1", *other)
    assert (first.content_sha256 == second.content_sha256) == (one == other)
    assert first.text_sha256 == hashlib.sha256(first.text.encode()).digest()


@given(st.lists(st.tuples(st.sampled_from("ab"), contents), max_size=8))
def test_the_winner_does_not_depend_on_order(versions: list) -> None:  # type: ignore[type-arg]
    """Of the versions in a batch the same one wins in any order."""
    drafts = [draft(key, *content) for key, content in versions]
    forward, backward = latest(drafts), latest(reversed(drafts))
    assert {key: each.content_sha256 for key, each in forward.items()} == {
        key: each.content_sha256 for key, each in backward.items()
    }


def test_a_later_edit_wins() -> None:
    """An edit counts by its own time, an original by the time it was sent."""

    def version(edited: int | None) -> Draft:
        edited_at = None if edited is None else EPOCH + timedelta(edited)
        return draft("1", "", "", ("", "", False), "", EPOCH, edited_at, None, None)

    original, early, late = version(None), version(1), version(2)
    assert latest([early, late, original]) == {"1": late}


def test_equal_items_are_equal_json() -> None:
    """The order of keys makes no difference, and nothing is nothing."""
    assert canonical_json([{"b": 1, "a": "й"}]) == canonical_json([{"a": "й", "b": 1}])
    assert canonical_json([]) is None
