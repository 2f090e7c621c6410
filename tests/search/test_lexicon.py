"""Ukrainian queries in English words."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.lexicon import Lexicon, beginning, ukrainian
from services.search.words import Alternative, Match, parse

SMALL = Lexicon.read(
    ["# remark", "баг вада = bug, defect", "баг = insect", "", "вхід = login", "оновити = update"]
)


def test_lines_join_words_and_meanings() -> None:
    """Every word of a line must have all its meanings, in order, and those of further lines after them."""
    assert SMALL.meanings("вада") == ("bug", "defect")
    assert SMALL.meanings("баг") == ("bug", "defect", "insect")
    assert SMALL.meanings("remark") == ()


@pytest.mark.parametrize(
    ("form", "meaning"),
    [
        ("Серверів", "server"),
        ("помилок", "error"),
        ("помилці", "error"),
        ("входу", "login"),
        ("оновлюється", "update"),
        ("користувачами", "user"),
        ("мережею", "network"),
        ("рішень", "decide"),
        ("пам’яті", "memory"),
        ("працювало", "work"),
        ("бази", "database"),
        ("рівня", "level"),
        ("ради", "council"),
        ("вибіркової", "selective"),
        ("напишіть", "write"),
        ("надішлю", "send"),
        ("почне", "start"),
        ("пройшли", "pass"),
        ("можемо", "can"),
    ],
)
def test_inflected_forms_are_found(form: str, meaning: str) -> None:
    """Cases, plurals, tenses, reflexive verbs and either apostrophe must lead to the word of the lexicon."""
    assert ukrainian().meanings(form)[0] == meaning


@pytest.mark.parametrize("word", ["server", "абракадабра", "баг2", "", "ь", "съешь"])
def test_other_words_have_no_meaning(word: str) -> None:
    """What is not a form of a known word must not be taken for one."""
    assert SMALL.meanings(word) == ()


def test_a_text_is_translated_around_what_is_not_ukrainian() -> None:
    """Identifiers and punctuation must stay as they are; unknown words too."""
    assert SMALL.translate("оновили Foo.bar: баги з входу!") == "update Foo.bar: bug з login!"


def test_a_name_is_not_translated() -> None:
    """A capital inside a sentence makes a name of a word, unless it means a name; at its beginning it need not."""
    translate = Lexicon.read(["соля = salt", "польща = Poland", "хто = who", "і = and"]).translate
    assert translate("хто Солю і Польщу") == "who Солю and Poland"
    assert translate("Соля і соля. Соля, «Соля»") == "salt and salt. salt, «Соля»"
    assert translate("хто СОЛЯ") == "who salt"


def test_too_little_known_is_no_translation() -> None:
    """A text whose words are mostly unknown, or of another language, must not be translated."""
    assert SMALL.translate("невідомі слова і баг") is None
    assert SMALL.translate("an English text") is None
    assert parse("what does the build need").translation is None


def test_meanings_are_forms_of_the_word() -> None:
    """A term must be found by its English meanings as well as by its own forms."""
    (term,) = parse("серверів").terms
    assert Alternative(Match.WHOLE, "server") in term.alternatives
    assert term.alternatives[0] == Alternative(Match.WHOLE, "серверів")


@pytest.mark.parametrize(
    ("english", "words"),
    [
        ("bug", ("баг", "вада")),
        ("Defects", ("баг", "вада")),
        ("updated", ("оновити",)),
        ("updating", ("оновити",)),
        ("is", ()),
        ("unheard", ()),
        ("", ()),
    ],
)
def test_english_words_lead_back(english: str, words: tuple[str, ...]) -> None:
    """An English word in any of its forms must lead to the words that mean it."""
    assert SMALL.words(english) == words


def test_what_forms_begin_with_is_long_enough_to_tell_them() -> None:
    """Endings and vowels that come and go must be left off, and short beginnings be none."""
    found = [
        beginning(word) for word in ("коштувати", "розгорнути", "застосунок", "надійний", "час")
    ]
    assert found == ["кошт", "розгор", "застосун", "надійн", ""]


def test_every_process_reads_a_word_alike() -> None:
    """A form of two words must mean the same whichever replica is asked: its results would come in another order."""
    forms = ["виборці", "гор", "дос", "міці", "падом", "покупці", "привес", "призвес", "ставлен"]
    script = (
        f"from services.search.lexicon import ukrainian as u; print([*map(u().meanings, {forms})])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in range(1, 6)
    }
    assert len(told) == 1


@given(st.text())
def test_any_text_can_be_translated(text: str) -> None:
    """No text may be an error."""
    translated = ukrainian().translate(text)
    assert translated is None or isinstance(translated, str)
