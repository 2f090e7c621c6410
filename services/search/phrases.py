"""What quoted words ask of a text: to stand in it as they are, whatever signs are between them, in any case."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from services.search.conditions import All, Attribute, Condition, Leaf, None_, all_of
from services.search.spelling import NAMING

# Scripts that write no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED: Final = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_HAS_UNSPACED: Final = re.compile(_UNSPACED)
_STARTS_UNSPACED: Final = re.compile(rf"^{_UNSPACED}")
_ENDS_UNSPACED: Final = re.compile(rf"{_UNSPACED}$")
# Letters that every text has as they are, however it was typed.
_AS_TYPED: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]+")
# Within words of India's scripts; PostgreSQL takes every other mark for a letter.
_MARKS: Final = "\u093c\u094d\u09bc\u09cd\u0a3c\u0a4d\u0abc\u0acd\u0b3c\u0b4d\u0bcd\u0c4d\u0cbc\u0ccd\u0d4d\u0dca"
_SIGN: Final = f"[^[:alnum:]{_MARKS}]"


def is_in_index(phrase: str) -> bool:
    """Whether the index of words has the words of a phrase: not of what is written without spaces."""
    return not _HAS_UNSPACED.search(phrase)


def as_they_are(phrases: Iterable[str], excluded: Iterable[str]) -> Condition | None:
    """The condition that some phrases (as spelling.plain has them) stand in a text and others do not; None for none."""
    without = tuple(_stands(phrase) for phrase in excluded)
    return all_of([*map(_stands, phrases), *([None_(without)] if without else [])])


def demands(condition: Condition | None) -> bool:
    """Whether a condition demands that a phrase stands somewhere."""
    if isinstance(condition, All):
        return any(map(demands, condition.parts))
    return isinstance(condition, Leaf) and condition.attribute is Attribute.PHRASE


def pattern(phrase: str) -> str:
    """The regular expression of PostgreSQL that a plain text with the phrase matches.

    Words are whole, save where they begin or end in a script that puts no spaces between them.
    """
    words = ["".join(group) for is_word, group in groupby(phrase, _is_of_word) if is_word]
    before = "" if _STARTS_UNSPACED.search(words[0]) else f"(^|{_SIGN})"
    after = "" if _ENDS_UNSPACED.search(words[-1]) else f"({_SIGN}|$)"
    return before + f"{_SIGN}+".join(words) + after


def _stands(phrase: str) -> Leaf:
    letters = max(_AS_TYPED.findall(phrase), key=len, default="")
    return Leaf(Attribute.PHRASE, (pattern(phrase), letters))


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character in NAMING or unicodedata.category(character)[0] == "M"
