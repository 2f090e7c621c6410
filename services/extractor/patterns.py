"""Tables of words as patterns: case-blind, whole words, in any of the apostrophes that people type."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from services.extractor.writing import any_apostrophe

_STEM_END: Final = re.compile(r"(?<=\w)(?<!\\w)\*")
_QUANTIFIED: Final = re.compile(r"(?P<none>[?*]|\{0?,\d*\})|\+|\{[\d,]+\}")
# A character or a class with its quantifier, and those whose spaces, apostrophes or stars cannot be what they become.
_TOKEN: Final = re.compile(r"(?:\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.)[?*+{]?", re.DOTALL)
_MISREAD: Final = re.compile(r"\\[ ']|\\[^\Ww]\*| [?*+{]|\[.*(?:[ ']|\w\*)", re.DOTALL)
_AROUND: Final = ("(?!", "(?=", "(?<!", "(?<=")
_SIDES_MIN: Final = 3


def words(*alternatives: str) -> re.Pattern[str]:
    """A case-blind pattern for any of the alternatives as whole words (`stem*` takes endings, any apostrophe does).

    They are tried only where a word begins with a letter that they may begin with. Raises ValueError for what would
    not match as it is written.
    """
    for item in alternatives:
        for token in _TOKEN.findall(item):
            if _MISREAD.match(token):
                raise ValueError(f"{item!r}: {token!r} would not match as it is written")
    spelt = (_STEM_END.sub(r"\\w*", item).replace(" ", r"\s+") for item in alternatives)
    parts = [any_apostrophe(item) for item in spelt]
    told = "|".join(_by_letter(parts))
    # U+02BC is a letter, and stands between words as other apostrophes do.
    return re.compile(rf"(?<![^\Wʼ])(?:{told})(?![^\Wʼ])", re.IGNORECASE)


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
    """The alternatives behind looks at the letter that a word begins with; those that any may begin stand last."""
    by_letter: dict[str, list[str]] = {}
    others: list[str] = []
    for branch in (each for part in parts for each in branches(part)):
        firsts, is_empty = _firsts(branch)
        if firsts is None or is_empty:
            others.append(branch)
        for letter in () if firsts is None or is_empty else sorted(firsts):
            by_letter.setdefault(letter, []).append(branch)
    letters: dict[tuple[str, ...], str] = {}
    for letter, same in by_letter.items():
        letters[tuple(same)] = letters.get(tuple(same), "") + letter
    return _behind_looks([(known, "|".join(same)) for same, known in letters.items()]) + others


def _behind_looks(groups: Sequence[tuple[str, str]]) -> list[str]:
    """Alternatives by the letters before them, halved again and again: few looks are needed for each letter."""
    if len(groups) < _SIDES_MIN:
        return [f"(?=[{_class(letters)}])(?:{told})" for letters, told in groups]
    middle = len(groups) // 2
    sides = (groups[:middle], groups[middle:])
    return [
        f"(?=[{_class(letter for letters, _ in side for letter in letters)}])"
        f"(?:{'|'.join(_behind_looks(side))})"
        for side in sides
    ]


def _class(letters: Iterable[str]) -> str:
    return "".join(map(re.escape, sorted(letters)))


def _firsts(branch: str) -> tuple[frozenset[str] | None, bool]:
    """The characters that a branch may begin with, folded, None where any; and whether it may be empty."""
    found: frozenset[str] = frozenset()
    place = 0
    while place < len(branch):
        end = _end(branch, place)
        item = branch[place:end]
        quantified = _QUANTIFIED.match(branch, end)
        place = quantified.end() if quantified else end
        if item.startswith(_AROUND):
            continue
        firsts, is_empty = _firsts_of(item)
        if firsts is None:
            return None, False
        found |= firsts
        may_lack = quantified is not None and quantified["none"] is not None
        if not (is_empty or may_lack):
            return found, False
    return found, True


def _firsts_of(item: str) -> tuple[frozenset[str] | None, bool]:
    """The same of one item of a branch: a character, a class, or alternatives in brackets."""
    if item.startswith("(?") and not item.startswith("(?:"):
        return None, False
    if item[0] == "(":
        inner = [_firsts(each) for each in branches(item[3 if item[1] == "?" else 1 : -1])]
        firsts = [each for each, _ in inner if each is not None]
        known = len(firsts) == len(inner)
        return frozenset().union(*firsts) if known else None, any(empty for _, empty in inner)
    if item[0] == "[":
        plain = not any(mark in item for mark in "\\^-")
        return frozenset(item[1:-1].casefold()) if plain else None, False
    if item[0] == "\\":
        return frozenset(item[1]) if not item[1].isalnum() else None, False
    return frozenset(item.casefold()) if item not in ".^$" else None, False


def _end(pattern: str, place: int) -> int:
    """Where the item ends that begins at a place of a pattern."""
    if pattern[place] == "\\":
        return place + 2
    if pattern[place] == "[":
        return pattern.index("]", place + 2) + 1
    if pattern[place] != "(":
        return place + 1
    place += 1
    while pattern[place] != ")":
        place = _end(pattern, place)
    return place + 1
