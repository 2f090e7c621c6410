"""Titles and contents: people's own words, cut only between words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extractor.titles import content, polish, shorten, title
from services.extractor.utterances import read
from tests.extractor.conversation import talk


@given(st.text(), st.integers(12, 120))
def test_shortening_fits_and_keeps_the_beginning(text: str, characters_max: int) -> None:
    """A shortened text fits, and but for its ellipsis it is the beginning of the text."""
    short = shorten(text, characters_max)
    assert len(short) <= characters_max
    assert " ".join(text.split()).startswith(short.rstrip("…").rstrip())


def test_words_are_not_cut() -> None:
    """The cut falls between words or at the end of a clause."""
    text = "the migration hangs because an autovacuum holds the lock, and nobody noticed it at all"
    assert shorten(text, 60) == "the migration hangs because an autovacuum holds the lock"
    assert shorten(text, 40) == "the migration hangs because an…"


@pytest.mark.parametrize(
    ("said", "polished"),
    [
        ("so, the build fails.", "The build fails"),
        ("ну, збірка впала!", "Збірка впала"),
        ("thanks, use version 12", "Use version 12"),
        ("npm_install fails", "npm_install fails"),
        ("so", "So"),
    ],
)
def test_lead_ins_are_dropped(said: str, polished: str) -> None:
    """Words that only lead in are dropped, a first plain letter is raised, code is left alone."""
    assert polish(said) == polished


def test_a_thin_answer_is_titled_with_its_question() -> None:
    """A title too thin to stand alone names what it answers."""
    utterances = read(talk("ann: port 5433").messages)
    assert title(utterances, lambda word: 1.0, about="Which port is it?") == (
        "Port 5433 — Which port is it?"
    )


def test_content_tells_who_said_what() -> None:
    """Speakers follow each other on lines of their own, after what they answer."""
    utterances = read(talk("ann: one thing", "ann: another thing", "bob: a third").messages)
    assert content(utterances, "About things") == (
        "«About things»\nann: one thing. another thing\nbob: a third"
    )
