"""Grounding: quotes are found as people would find them, and offsets are exact."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extractor.extraction import Evidence, WindowMessage
from services.extractor.grounding import ground, is_grounded, locate


def said(text: str) -> WindowMessage:
    """A message with this text."""
    return WindowMessage(7, "ann", text, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("quote", "text", "found"),
    [
        ("the build fails", "So  The\n build   FAILS again", "The\n build   FAILS"),
        ("“it’s broken”", 'he said "it\'s broken"', "it's broken"),
        ("Міграція зависає", "а міграція зависає вночі", "міграція зависає"),
        ("кафе\u0301", "у кафе\u0301 тихо", "кафе\u0301"),
        ("ﬁle lock", "a file lock held", "file lock"),
        ("naïve plan", unicodedata.normalize("NFD", "a naïve plan"), "nai\u0308ve plan"),
        ("zero width", "zero\u200b width", "zero\u200b width"),
        ("👍 agreed", "ok 👍 agreed!", "👍 agreed"),
        ("it doesn't build", "it doesn´t build", "it doesn´t build"),
        ('a 3.5" disk', "a 3.5″ disk failed", "a 3.5″ disk"),
    ],
)
def test_quotes_are_found_across_writing_variants(quote: str, text: str, found: str) -> None:
    """Case, spacing, typographic marks and Unicode forms do not hide a quote."""
    span = locate(quote, text)
    assert span is not None
    assert text[slice(*span)].strip("\"'") == found


@pytest.mark.parametrize("quote", ["", "   ", "...", "build passes", "👍"])
def test_what_is_not_there_is_not_found(quote: str) -> None:
    """Empty quotes, marks alone and other words are no evidence."""
    assert locate(quote, "the build fails 👍 ...") is None


def test_a_crumb_of_a_message_proves_nothing() -> None:
    """A quote of a few letters is refused unless it is the whole message."""
    assert ground("is", said("this is the plan")) is None
    assert ground("yes", said("Yes")) == Evidence(7, "Yes", 0, 3)


@given(st.text(max_size=80), st.data())
def test_every_found_quote_stands_at_its_offsets(text: str, data: st.DataObject) -> None:
    """Whatever is cut from a text is either refused or found as a passage of that text."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    evidence = ground(text[start:end], said(text))
    if evidence is not None:
        assert text[evidence.start : evidence.end] == evidence.quote
        assert is_grounded([evidence], [said(text)])


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=6, max_size=40))
def test_a_text_of_letters_contains_itself(text: str) -> None:
    """A message of letters and digits is always found in itself, in any script."""
    assert locate(text, f"a {text} b") is not None


def test_foreign_or_moved_evidence_is_not_grounded() -> None:
    """Wrong message, wrong offsets, empty quote or none at all: not grounded."""
    message = said("the build fails")
    assert not is_grounded([], [message])
    assert not is_grounded([Evidence(8, "the", 0, 3)], [message])
    assert not is_grounded([Evidence(7, "the", 1, 4)], [message])
    assert not is_grounded([Evidence(7, "", 0, 0)], [message])
