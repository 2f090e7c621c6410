"""The words of a text: those that carry meaning, what it names exactly, and its links."""

import re
from functools import lru_cache
from typing import Final

from services.extractor import cues
from services.extractor.writing import straight

URL: Final = re.compile(
    r"(?:https?://|\bwww\.)\S+|(?<![\w.-])[\w.-]{1,80}\.(?:com|org|net|io|dev)/\S*"
)
_LINK_TOLD: Final = re.compile(rf":\s+(?:{URL.pattern})\s+[-–—]\s+")
CODE: Final = re.compile(
    r"`[^`\n]{1,200}`|\b\w+(?:::|->|\(\)|_)\w*|\b\w+\.\w+\(|[{}]|\$\w+|--\w+|/\w+/\w+"
)
# A number may have its thousands apart by a space.
_WORD: Final = re.compile(
    r"(?<![\w.,:])\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\w])|[^\W_](?:[\w'’.+#-]|(?<=\d),(?=\d{3}(?!\d)))*[\w+#]|[^\W_]"
)
# What packages are called: several words with hyphens, such as those of systems.
PACKAGE: Final = re.compile(r"(?<![\w/.-])[a-z][a-z0-9]+(?:-[a-z0-9]+){2,}(?![\w-])")
_STEM_CHARACTERS: Final = 6
_TEXTS_KEPT: Final = 2048
# More than a window has messages.
_STEMS_KEPT: Final = 256


def stem(word: str) -> str:
    """A word cut to what most of its forms share."""
    return straight(word).casefold().strip("'.-")[:_STEM_CHARACTERS]


@lru_cache(maxsize=_TEXTS_KEPT)
def content_words(text: str) -> tuple[str, ...]:
    """The words that carry meaning, folded, in order: no function words, no single letters."""
    words = (match.group().casefold() for match in _WORD.finditer(straight(URL.sub(" ", text))))
    return tuple(word for word in words if len(word) > 2 and word not in cues.COMMON)


@lru_cache(maxsize=_STEMS_KEPT)
def content_stems(text: str) -> frozenset[str]:
    """The stems of the words that carry meaning."""
    return frozenset(map(stem, content_words(text)))


def split_words(text: str) -> list[str]:
    """The words of a text as they are written."""
    return [match.group() for match in _WORD.finditer(text)]


def links_in(text: str) -> list[str]:
    """The links of a text."""
    return [match.group().rstrip(".,;:!?)") for match in URL.finditer(text)]


def unlinked(text: str) -> str:
    """The text without its links and what pointed at them."""
    return " ".join(URL.sub(" ", _LINK_TOLD.sub(": ", text)).split()).rstrip(" -:>(")


def specific_words(text: str) -> frozenset[str]:
    """What a text names exactly: code, numbers, and words with a mark or a capital inside a sentence."""
    plain = URL.sub(" ", text)
    found = {match.group().casefold() for match in CODE.finditer(plain) if len(match.group()) > 2}
    found.update(match.group() for match in PACKAGE.finditer(plain))
    for number, match in enumerate(_WORD.finditer(plain)):
        word = match.group()
        inside = any(c.isdigit() or c in "._/+#" for c in word) or any(
            c.isupper() for c in word[1:]
        )
        if len(word) > 1 and (inside or (number and word[0].isupper() and word[1:].islower())):
            found.add(word.casefold())
    return frozenset(found)
