"""Tables of words as patterns: case-blind, whole words, in any of the apostrophes that people type."""

import re
from collections.abc import Iterable
from typing import Final

_STEM_END: Final = re.compile(r"(?<=\w)(?<!\\w)\*")
_ESCAPE: Final = re.compile(r"\\.")
_LATIN: Final = re.compile(r"[A-Za-z]")
_CYRILLIC: Final = re.compile(r"[\u0400-\u04ff]")
# Where a branch of an alternative begins with no letter, so that it may begin with any.
_OPEN: Final = re.compile(r"(?:^|\(\?:|\||\()(?:\\|\[|\.|[^\w(]|\((?!\?:))")
_BEHIND: Final = re.compile(r"\(\?<!(?:[^()\\]|\\.)*\)")


def words(*alternatives: str) -> re.Pattern[str]:
    """A case-blind pattern for any of the alternatives as whole words (`stem*` takes endings, any apostrophe does).

    They are tried only where a word begins with their letter, or in their script.
    """
    spelt = (_STEM_END.sub(r"\\w*", item).replace(" ", r"\s+") for item in alternatives)
    parts = [item.replace("'", "['’ʼ]") for item in spelt]
    return re.compile(rf"(?<!\w)(?:{'|'.join(_by_letter(parts))})(?!\w)", re.IGNORECASE)


def branches(part: str) -> list[str]:
    """The alternatives of a part of a pattern: apart where it has a bar outside brackets."""
    found, depth, start, place = [], 0, 0, 0
    while place < len(part):
        character = part[place]
        if character == "\\":
            place += 1
        elif character == "[":
            place = part.index("]", place + 2)
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            found.append(part[start:place])
            start = place + 1
        place += 1
    return [*found, part[start:]]


def _by_letter(parts: Iterable[str]) -> list[str]:
    """The alternatives, those that begin with the same letter or script together behind a look at it."""
    grouped: dict[str, list[str]] = {}
    others: list[str] = []
    for branch in (each for part in parts for each in branches(part)):
        first = _first(_BEHIND.sub("", branch))
        (grouped.setdefault(first, []) if first else others).append(branch)
    return [f"(?=[{first}])(?:{'|'.join(same)})" for first, same in grouped.items()] + others


def _first(branch: str) -> str:
    """The letters that a branch may begin with, as a set; empty where any character may be."""
    if branch[:1].isalpha() and branch[1:2] not in ("?", "*", "{"):
        return branch[0].casefold() + branch[0].upper()
    letters = _ESCAPE.sub("", branch)
    has_latin, has_cyrillic = bool(_LATIN.search(letters)), bool(_CYRILLIC.search(letters))
    if _OPEN.search(branch) or has_latin == has_cyrillic:
        return ""
    return "A-Za-z" if has_latin else "\u0400-\u04ff"
