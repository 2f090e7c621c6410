"""What a question names exactly, a version, a ticket, a file, and whether anything mentions it."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_TOKEN: Final = re.compile(r"\w[\w.:/-]*")
# A year, a date and a time tell when, which no message need say; nor need one say `1` or `3rd` in digits.
_WHEN: Final = re.compile(
    r"(?:19|20)\d\d|\d{1,4}([-./])\d{1,2}(?:\1\d{1,4})|\d{4}-\d\d|\d{1,2}:\d\d(?::\d\d)?|\d|\d+(?:st|nd|rd|th)"
)
_PLAIN_VERSION: Final = re.compile(r"v(?=\d)")
# Longer than `e.g`.
_DOTTED_CHARACTERS_MIN: Final = 5


def unmentioned(question: str, texts: Iterable[str]) -> tuple[list[str], bool]:
    """Return what a question names exactly and no text has, as it was typed, and whether it names nothing else so."""
    named = list(dict.fromkeys(filter(_names, map(bare, _TOKEN.findall(question)))))
    known = "\n".join(map(plain, texts))
    missing = [token for token in named if not stands(_PLAIN_VERSION.sub("", plain(token)), known)]
    return missing, bool(missing) and len(missing) == len(named)


def _names(token: str) -> bool:
    """Whether it is a number, a version, a ticket, a file or the like."""
    if _WHEN.fullmatch(token):
        return False
    joined = "_" in token or (len(token) >= _DOTTED_CHARACTERS_MIN and "." in token)
    return joined or any(c.isdigit() for c in token)


def stands(token: str, text: str) -> bool:
    """Whether a plain token stands in a plain text, also as a part of a word, but not as a part of a longer number."""
    loose = re.escape(token).replace(r"\-", r"[-\s]?").replace("_", r"[-_\s]?")
    return bool(re.search(rf"(?<!\d)(?<!\d[.,]){loose}(?!\d)", text))


def bare(token: str) -> str:
    """A token without the signs that end a sentence."""
    return token.rstrip(".:/-")


def plain(text: str) -> str:
    """Words apart by one space, in one case, without the marks that a model changes when it quotes."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[\"'`«»“”’*]", "", normal).split()).strip(" .,;:!?…")
