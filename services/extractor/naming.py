"""What talk is about, as a name: noun phrases that stand in it, told by few words and endings; no tagger, no model.

A name begins and ends with a word that can name something. What is a verb is told by its neighbours
(`it slips`, `to rotate the`), by a table of common ones and, in Ukrainian and Russian, by its ending.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from services.extractor import courtesies, cues, grammar, lexicon
from services.extractor.tokens import split_words, stem, unlinked
from services.extractor.writing import straight

WORDS_MAX: Final = 6
CHARACTERS_MAX: Final = 56
_SEGMENTS_MAX: Final = 3
_WORDS_KEPT: Final = 8192
_BREAK: Final = re.compile(
    r"[/=&\\|]+|[.,;:!?()\[\]{}\"«»“”…<>]++(?:\s|$)|\s[(\[{\"«“<–—-]+|\n|\s->\s"
)
_CALLED: Final = re.compile(r"(?<=\w )[«“\"]([^\s«»“”\"]{2,30})[»”\"]")
_CODE: Final = re.compile(r"[?&]\w+=|[$(]\w*[$(\['\"]|\w\(|[{}]|->")
_EMPHASIS: Final = re.compile(r"`+|(?<!\w)_+|_+(?!\w)|(?<!\S)\d\d(?=[A-Z(])")
_PASTED: Final = re.compile(
    r"^\s*(?:[#$>]\s|[^\s@]+@[^\s:~]+[:~]|at\s+\S+\(|[{}]|\[\d)|[{};]\s*$|=>|\s\|\s"
)
_CASE_ENDING: Final = re.compile("(?<=..)(?:ові|еві|єві|ом|ем|єм|ою|ею|єю|ой|ей|[аяуюіїиыеєо])$")
# "Петрівна", "Петровичу": nobody is called so but people, and what stands before it is their first name.
_PATRONYMIC: Final = re.compile("^\\w+(?:[іїое]вн(?:[аиіуеы]|ою|ой)|[ое]вич(?:[ауеі]|ем|ові)?)$")


@dataclass(frozen=True, slots=True)
class Name:
    """A phrase that could name what is talked about; it `is_bent` where its case belongs to the sentence it stood in.

    It `is_inner` where it is only the end of a longer one, or somebody's own (`my …`).
    """

    words: tuple[str, ...]
    is_bent: bool = False
    is_inner: bool = False

    @property
    def text(self) -> str:
        """The phrase as it stands."""
        return " ".join(self.words)

    @property
    def stems(self) -> frozenset[str]:
        """Stems of its words that name something."""
        return frozenset(stem(plain(word)) for word in self.words if names_something(word))


@lru_cache(maxsize=_WORDS_KEPT)
def plain(word: str) -> str:
    """A word folded, with one kind of apostrophe and without a possessive ending."""
    return straight(word).casefold().removesuffix("'s").strip("'")


@lru_cache(maxsize=_WORDS_KEPT)
def names_something(word: str) -> bool:
    """Whether a word alone could stand in a name: no function word, no bare number, no shred."""
    folded = plain(word)
    if not any(character.isalpha() for character in folded) or ("'" in folded and folded.isascii()):
        return False
    if folded in cues.COMMON or folded in cues.VAGUE or folded in lexicon.EMPTY:
        return False
    return len(folded) > 2 or (len(folded) == 2 and grammar.is_identifier(word))


def names(text: str, people: Collection[str]) -> Iterator[Name]:
    """The names a text holds, sentence part by sentence part; `people` are folded nicknames that are none."""
    for line in text.splitlines():
        if _PASTED.search(line):
            continue
        spoken = _CALLED.sub(r"\1", courtesies.MENTION.sub(" , ", unlinked(line)))
        told = " ".join("," if _CODE.search(word) else word for word in spoken.split())
        for part in _BREAK.split(_EMPHASIS.sub(" ", told)):
            yield from _of_part(split_words(part), people)


def _of_part(words: Sequence[str], people: Collection[str]) -> Iterator[Name]:
    roles = grammar.roles(words)
    bare = {_unbent(name) for name in people} - {""}
    for index, word in enumerate(words):
        if plain(word) in people or (word[:1].isupper() and _unbent(plain(word)) in bare):
            roles[index] = "other"
        elif _PATRONYMIC.search(word) and word[:1].isupper():
            roles[index] = "other"
            if index and words[index - 1][:1].isupper():
                roles[index - 1] = "other"
    if len(words) == 1 and words[0][:1].isupper() and not grammar.is_identifier(words[0]):
        return
    for start, end in _runs(words, roles):
        yield from _of_run(words, roles, start, end)


@lru_cache(maxsize=_WORDS_KEPT)
def _unbent(word: str) -> str:
    """What all cases of a Ukrainian or Russian name share; nothing of other words."""
    return _CASE_ENDING.sub("", word) if grammar.CYRILLIC.search(word) else ""


def _runs(words: Sequence[str], roles: Sequence[grammar.Role]) -> Iterator[tuple[int, int]]:
    """Stretches that are nothing but words that name and what links them."""
    start = 0
    for index in range(len(words) + 1):
        if index == len(words) or roles[index] in ("verb", "other"):
            if index > start:
                yield start, index
            start = index + 1


def _of_run(
    words: Sequence[str], roles: Sequence[grammar.Role], start: int, end: int
) -> Iterator[Name]:
    """Names within a run: one to three of its segments, which links part, joined as they stand."""
    segments = _segments(roles, start, end)
    for first in range(len(segments)):
        for last in range(first, min(len(segments), first + _SEGMENTS_MAX)):
            if any(not _joins(words, a, b) for a, b in pairwise(segments[first : last + 1])):
                break
            begin, stop = segments[first][0], segments[last][1]
            ends = [stop for _, stop in segments[first:last]]
            if all(_may_end(words, roles, begin, end) for end in ends):
                yield from _trimmed(words, roles, begin, stop)


def _segments(roles: Sequence[grammar.Role], start: int, end: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for index in range(start, end):
        if roles[index] in ("name", "quality", "number"):
            follows = bool(found) and found[-1][1] == index and roles[index - 1] == "name"
            if roles[index] == "number" and not follows:
                continue
            if found and found[-1][1] == index:
                found[-1] = (found[-1][0], index + 1)
            else:
                found.append((index, index + 1))
    return found


def _joins(words: Sequence[str], one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether what stands between two segments is a link and not the beginning of something else."""
    between = [plain(word) for word in words[one[1] : other[0]]]
    return (
        bool(between)
        and between[0] in lexicon.LINKS
        and all(word in lexicon.ARTICLES for word in between[1:])
    )


def _trimmed(
    words: Sequence[str], roles: Sequence[grammar.Role], begin: int, stop: int
) -> Iterator[Name]:
    """The span, and where it is too long its end (English) or beginning, without what cannot stand at an edge."""
    while stop > begin and not _may_end(words, roles, begin, stop):
        stop -= 1
    while begin < stop and not _may_begin(words[begin], roles[begin]):
        begin += 1
    if stop <= begin:
        return
    text = " ".join(words[begin:stop])
    if stop - begin <= WORDS_MAX and len(text) <= CHARACTERS_MAX:
        inner = begin > 0 and (
            roles[begin - 1] in ("link", "number") or _is_owned(words[begin - 1])
        )
        yield Name(tuple(words[begin:stop]), _is_bent(words, begin), inner)


def _is_owned(word: str) -> bool:
    return plain(word) in lexicon.OWNERS


def _may_begin(word: str, role: grammar.Role) -> bool:
    return role != "number" and (role == "quality" or names_something(word))


def _may_end(words: Sequence[str], roles: Sequence[grammar.Role], begin: int, stop: int) -> bool:
    """A name ends with what names, or with a number that belongs to the word before it."""
    if roles[stop - 1] == "number":
        measures = stop < len(words) and plain(words[stop]) in lexicon.EMPTY
        return stop - 1 > begin and roles[stop - 2] == "name" and not measures
    return roles[stop - 1] == "name" and names_something(words[stop - 1])


def _is_bent(words: Sequence[str], begin: int) -> bool:
    """Whether a Cyrillic phrase begins in another case than it would have alone."""
    if not grammar.CYRILLIC.search(words[begin]):
        return False
    word, before = plain(words[begin]), plain(words[begin - 1]) if begin else ""
    governed = before in lexicon.LINKS or before.isnumeric()
    taken = grammar.is_verb(before) and word.endswith(("у", "ю"))
    return governed or taken or bool(grammar.OBLIQUE.search(word))
