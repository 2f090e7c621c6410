"""Words to stems: one stem for a word's forms, none shared with a word of another meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.chunks import UNSPECIFIC, take_apart
from services.ingest.vocabulary import KEPT_WORDS, Remembered, fold, stem_of


def specific(text: str) -> set[str]:
    """The words of a text that everyday talk does without."""
    return take_apart(text)[3]


@pytest.mark.parametrize(
    "forms",
    [
        ("важливо", "важливого", "важливими"),
        ("кіно", "кіном"),
        ("машина", "машиною"),
        ("п'ятниця", "п’ятницю", "пʼятниці"),
        ("чёрный", "черный"),
        ("ура", "УРАААА", "урааа"),
    ],
)
def test_forms_share_a_stem(forms: tuple[str, ...]) -> None:
    """Inflections, spellings and drawn-out letters are one word, and everyday words at that."""
    stems = {stem_of(fold(form)) for form in forms}
    assert len(stems) == 1
    assert stems <= UNSPECIFIC


@pytest.mark.parametrize("form", ["новій", "думатимеш", "шукаємо", "читали", "держала", "делаешь"])
def test_forms_of_everyday_words_are_everyday_words(form: str) -> None:
    """Adjectives and verbs that are listed in some forms say nothing of a trade in another."""
    assert not specific(form)


@pytest.mark.parametrize(
    ("everyday", "other"),
    [
        *(("important", "import"), ("responsible", "response"), ("general", "generator")),
        *(("віддав", "відділи"), ("чекати", "чек"), ("сплю", "сплати"), ("меняю", "меню")),
    ],
)
def test_other_words_stay_apart(everyday: str, other: str) -> None:
    """A word of the trade is none of everyday talk because it begins like one."""
    assert not specific(everyday)
    assert specific(other)


@pytest.mark.parametrize(
    "spoken",
    [
        "ну шо там, щас чи потім",
        "та ваще нашо воно тіко токо чуть",
        "ничо, чё ты, прост нада чет оч",
        "gonna wanna kinda, couldve but hasnt",
    ],
)
def test_spoken_forms_say_nothing(spoken: str) -> None:
    """Words of the language say nothing of a trade when they are typed as they are spoken, either."""
    assert not take_apart(spoken)[2]


@pytest.mark.parametrize(
    "said",
    [
        "одного з інших, у своїй, завдяки їхньому, надто вже",
        "ні одним другим одной первых, иногда никаких, слишком",
    ],
)
def test_function_words_say_nothing_in_any_form(said: str) -> None:
    """Numerals, pronouns and particles are no words of a trade in whichever case they stand."""
    assert not take_apart(said)[2]


@pytest.mark.parametrize(
    "typed", ["имхо", "ідк", "хз", "тьфу", "сорян", "пж", "дяк", "tbh", "dunno", "кек", "ладн"]
)
def test_short_forms_say_nothing(typed: str) -> None:
    """Opinions, courtesies and laughter are told in the short forms that people type."""
    assert not take_apart(typed)[2]


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
    """No more than so many words are remembered, none that is very long, and what comes again is not forgotten."""
    asked: list[str] = []
    lengths = Remembered[int](lambda word: asked.append(word) or len(word))
    for number in range(3 * KEPT_WORDS):
        assert lengths[f"{number:09}"] == 9
        assert lengths["again"] == 5
    assert lengths["x" * 1000] == 1000
    assert len(lengths) <= KEPT_WORDS
    assert "x" * 1000 not in lengths
    assert asked.count("again") == 1
