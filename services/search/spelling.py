"""How a text is spelt for the index of words: as spine.plain of the schema has it, so that a query is spelt alike."""

import re
import unicodedata
from typing import Final

# Accents that no letter is composed with, such as those of stress, and what nobody sees.
_UNSEEN: Final = re.compile("[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff]")
APOSTROPHE: Final = "\u02bc"
_APOSTROPHES: Final = re.compile(
    "(?<=[\u0400-\u052f])['`\u2018\u2019\u02b9\u2032](?=[\u0400-\u052f])"
)
# Beyond ASCII; the parser takes them for letters.
_SIGNS: Final = re.compile(
    "[\u00a1-\u00bf\u00d7\u00f7\u2010-\u205f\u20a0-\u20cf\u2190-\u2bff\u2e00-\u2e7f\u3001-\u3003"
    "\u3008-\u3020\ufffc\ufffd\U0001f000-\U0001faff]"
)
# What the parser takes for one word where it joins others: of a path, an address, a name with its parts, a number.
_JOINTS: Final = str.maketrans("./@:-", "     ")
_JOINED: Final = re.compile("[a-zA-Z][./@][a-zA-Z0-9_]|[a-zA-Z0-9_][./@][a-zA-Z]|[a-zA-Z0-9]-[0-9]")
# The signs of names such as C++, C# and .NET, as characters that are in no text whose signs are apart.
PLUSES: Final = "\u2795"
_SHARP, _POINT = "\u266f", "\u2219"
NAMING: Final = PLUSES + _SHARP + _POINT
_NAMES: Final = (
    (
        re.compile(
            r"""(?<![^ \t\n\r("'`*{=>\[,;:/])\.(?=[A-Za-z]+(?![A-Za-z0-9_])(?![./@:-][A-Za-z0-9_]))"""
        ),
        _POINT,
    ),
    (re.compile(r"([A-Za-z])#(?![A-Za-z0-9_#])"), rf"\1{_SHARP}"),
    (re.compile(r"([A-Za-z])\+\+"), rf"\1{PLUSES} "),
)
_BARE: Final = str.maketrans(NAMING, "   ")
_AS_TYPED: Final = str.maketrans({PLUSES: "++", _SHARP: "#", _POINT: "."})
# Where Ukrainian has an apostrophe: before an iotated vowel, after a labial, р or a prefix.
_PLACE: Final = re.compile(
    "(?:(?<=[бпвмфр])|(?<=зв)|(?<=^з)|(?<=^(?:під|від|над|роз|без))|(?<=^ін))(?=[яюєї])",
    re.IGNORECASE,
)


def normal(text: str) -> str:
    """A text in one form of Unicode (NFKC), without accents that stay apart and without what nobody sees."""
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text))


def signs_apart(normal_text: str) -> str:
    """A normal text whose words letters and digits make, each in its place: signs are spaces, save in names."""
    joined = _APOSTROPHES.sub(APOSTROPHE, normal_text)
    text = _SIGNS.sub(" ", joined).replace("<", " ")
    for sign, letter in _NAMES:
        text = sign.sub(letter, text)
    return text


def plain(text: str) -> str:
    """A text as the index of words spells it."""
    return signs_apart(normal(text))


def joins(text: str) -> bool:
    """Whether a text has words that its index has whole and apart, as spine.joins of the schema has it."""
    return bool(_JOINED.search(text))


def apart(plain_text: str) -> str:
    """A text whose joined words stand apart, each sign in its place, as spine.apart of the schema has it."""
    return plain_text.translate(_JOINTS)


def bare(plain_text: str) -> str:
    """A text whose names have lost their signs, as spine.bare of the schema has it."""
    return plain_text.translate(_BARE)


def as_typed(plain_text: str) -> str:
    """A text whose names have their signs as people write them."""
    return plain_text.translate(_AS_TYPED)


def other_spellings(word: str) -> tuple[str, ...]:
    """A word as those spell it who leave its apostrophe out, or who do not."""
    if APOSTROPHE in word:
        without = word.replace(APOSTROPHE, "")
        return (without,) if without else ()
    other = _PLACE.sub(APOSTROPHE, word, count=1)
    return () if other == word else (other,)
