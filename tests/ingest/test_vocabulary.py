"""Words to stems: one stem for a word's forms, none shared with a word of another meaning."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.chunks import UNSPECIFIC, take_apart
from services.ingest.vocabulary import KEPT_WORDS, Stems, fold


def specific(text: str) -> set[str]:
    """The words of a text that everyday talk does without."""
    return take_apart(text)[3]


@pytest.mark.parametrize(
    "forms",
    [
        ("важливо", "важливого", "важливими"),
        ("кіно", "кіном"),
        ("п'ятниця", "п’ятницю", "пʼятниці"),
        ("чёрный", "черный"),
        ("ура", "УРАААА", "урааа"),
    ],
)
def test_forms_share_a_stem(forms: tuple[str, ...]) -> None:
    """Inflections, spellings and drawn-out letters are one word, and everyday words at that."""
    stems = {Stems()[fold(form)] for form in forms}
    assert len(stems) == 1
    assert stems <= UNSPECIFIC


@pytest.mark.parametrize(
    ("everyday", "other"),
    [("important", "import"), ("responsible", "response"), ("general", "generator")],
)
def test_other_words_stay_apart(everyday: str, other: str) -> None:
    """A word of the trade is none of everyday talk because it begins like one."""
    assert not specific(everyday)
    assert specific(other)


@pytest.mark.parametrize("laugh", ["ахахах", "хахахаха", "hahahahaha", "looool"])
def test_laughter(laugh: str) -> None:
    """Laughter is told however long it is."""
    assert not take_apart(laugh)[2]


@given(st.lists(st.text(max_size=12), max_size=20))
def test_taken_apart_again(chunks: list[str]) -> None:
    """A text is taken apart the same way the second time, when its chunks are remembered."""
    text = " ".join(chunks)
    assert take_apart(text) == take_apart(text)


def test_memory_is_bounded() -> None:
    """Whatever is said, no more than so many words are remembered, and none that is very long."""
    stems = Stems()
    letters = random.Random(1)
    for _ in range(KEPT_WORDS + 10):
        stems["".join(letters.choices(string.ascii_lowercase, k=9))]
    stems["x" * 1000]
    assert len(stems) <= KEPT_WORDS
    assert "x" * 1000 not in stems
