"""Words in the letters of the other script, as they are heard: names, and what both languages took from elsewhere.

A Ukrainian chat has девопс, токен and Тобіас where an English one has devops, token and Tobias. No list has them all.
"""

import re
from typing import Final

_LATIN: Final = {
    "дж": "j", "кс": "x", "ьо": "io", "йо": "yo",
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "є": "ie", "ё": "io", "ж": "zh", "з": "z",
    "и": "i", "і": "i", "ї": "i", "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y",
    "ь": "", "э": "e", "ю": "iu", "я": "ia",
}  # fmt: skip
_CYRILLIC: Final = {
    "shch": "щ", "sch": "ш", "sh": "ш", "ch": "ч", "ck": "к", "ph": "ф", "th": "т", "kh": "х", "zh": "ж", "ts": "ц",
    "qu": "кв", "oo": "у", "ee": "і",
    "ay": "ай", "ey": "ей", "oy": "ой", "uy": "уй", "ya": "я", "yu": "ю", "ye": "є", "ie": "іє", "io": "іо", "ia": "іа",
    "a": "а", "b": "б", "c": "к", "d": "д", "e": "е", "f": "ф", "g": "г", "h": "г", "i": "і", "j": "дж", "k": "к",
    "l": "л", "m": "м", "n": "н", "o": "о", "p": "п", "q": "к", "r": "р", "s": "с", "t": "т", "u": "у", "v": "в",
    "w": "в", "x": "кс", "y": "и", "z": "з",
}  # fmt: skip
_LATIN_PARTS: Final = re.compile("|".join(sorted(_LATIN, key=len, reverse=True)))
_CYRILLIC_PARTS: Final = re.compile("|".join(sorted(_CYRILLIC, key=len, reverse=True)))
# English writes twice what Ukrainian says once, c for s before some vowels, and an e that nobody hears.
_DOUBLED: Final = re.compile(r"([bcdfgklmnprstvz])\1")
_SOFT: Final = re.compile(r"c(?=[eiy])")
_SILENT: Final = re.compile(r"(?<=[^aeiouy])e$")
_FINAL: Final = re.compile(r"y$")
# After these letters, and before a consonant, borrowed words have и for i: кандидат, директор.
_AS_NINE: Final = re.compile(r"(?<=[дтзсцжшчр])і(?=[бвгґджзклмнпрстфхцчшщ])")


def in_latin(word: str) -> str:
    """Return how a Cyrillic word in small letters is spelt in Latin ones."""
    return _LATIN_PARTS.sub(lambda part: _LATIN[part[0]], word)


def in_cyrillic(word: str) -> tuple[str, ...]:
    """Return how an English word in small letters is spelt in Ukrainian: as borrowed words are, and as names are."""
    heard = _FINAL.sub("i", _SILENT.sub("", _SOFT.sub("s", _DOUBLED.sub(r"\1", word))))
    spelt = _CYRILLIC_PARTS.sub(lambda part: _CYRILLIC[part[0]], heard)
    return tuple(dict.fromkeys((_AS_NINE.sub("и", spelt), spelt)))
