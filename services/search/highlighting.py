"""Where the words of a query stand in what was found, by PostgreSQL's own idea of what matches."""

import asyncio
import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from services.common.database import Connection
from services.search import lookups, store
from services.search.answer import Span
from services.search.contents import Contents
from services.search.lookup import Lookup, any_of
from services.search.spelling import PLUSES, apart, bare, joins, normal, signs_apart
from services.search.store import Subject
from services.search.words import parse

# From the private use area; a text that has them itself is left unmarked.
_MARKS: Final = ("\ue000", "\ue001")
# What stands between words of a query that follow each other: so their queries have it.
_FOLLOWED: Final = "<"
_LEXEME: Final = re.compile(r"'(?:[^']|'')*'")
# Between two words of a phrase there are signs, and words that are everywhere.
_APART_MAX: Final = 40
# Of a page, and of each text at least, however many there are.
_RUNS_MAX: Final = 2_000
_RUNS_EACH: Final = 40
_MARKED: Final = re.compile(f"{_MARKS[0]}([^{_MARKS[0]}{_MARKS[1]}]+){_MARKS[1]}")


# Where something starts in a text, and how long it is.
Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plain:
    """A text as its words were indexed, and where each of its characters comes from."""

    text: str
    # Where in the original each character starts, and then where it ends; None where nothing was moved.
    origins: Sequence[int] | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Normalise a text; one that its parts do not explain is left as it is."""
        whole = normal(text)
        if whole != text:
            starting = {each for each in set(text) if _starts(each)}
            starts = [at for at, each in enumerate(text) if not at or each in starting]
            ends = [*starts[1:], len(text)]
            spelt = [text[start:end] for start, end in zip(starts, ends, strict=True)]
            # A text has few letters, many times each.
            normals = {each: normal(each) for each in set(spelt)}
            parts = [normals[each] for each in spelt]
            if "".join(parts) == whole:
                origins = [at for at, part in zip(starts, parts, strict=True) for _ in part]
                return cls(signs_apart(whole), [*origins, len(text)])
        return cls(signs_apart(text))

    def span(self, name: str, start: int, length: int) -> Span:
        """Where a stretch of it stands in the original."""
        length += self.text[start + length - 1] == PLUSES
        if self.origins is None:
            return Span(name, start, length)
        first, last = self.origins[start], self.origins[start + length - 1]
        end = self.origins[bisect_right(self.origins, last, start + length)]
        return Span(name, first, end - first)


def _parted(text: str) -> str:
    """A text with what it has within its words: parts of what is joined, names without signs; or nothing."""
    return bare(apart(text)) if joins(text) or bare(text) != text else ""


def _starts(character: str) -> bool:
    """Whether it does not belong to the character before it, as accents and the later letters of Hangul do."""
    return not unicodedata.category(character).startswith("M") and not (
        "\u1160" <= character <= "\u11ff"
    )


async def queries_of(connection: Connection, query: str, lookup: Lookup | None) -> Sequence[str]:
    """The words of a query as the database knows them: as a search looked them up, or now if it did not."""
    if lookup is not None:
        return lookup.queries
    compiled = await store.compile_terms(connection, parse(query).terms)
    return tuple(map(any_of, compiled.values()))


async def highlights(
    connection: Connection, contents: Contents, subjects: Sequence[Subject], queries: Sequence[str]
) -> dict[Subject, list[Span]]:
    """Return where the words of any of some queries stand in each subject's texts: together if a query has them so."""
    fields = [
        (subject, name, text)
        for subject in subjects
        for name, text in contents.texts(subject).items()
        if not any(mark in text for mark in _MARKS)
    ]
    if not fields or not queries:
        return {}
    # A page of long texts takes some tenths of a second.
    plains, texts = await asyncio.to_thread(_spelt, [text for _, _, text in fields])
    singly = [each for each in queries if _FOLLOWED not in each]
    in_order = [each for each in queries if _FOLLOWED in each]
    words = await _marked(connection, texts, singly)
    phrases = await _standing_together(connection, texts, in_order)
    found: dict[Subject, list[Span]] = {}
    for at, ((subject, name, _), plain) in enumerate(zip(fields, plains, strict=True)):
        places = (at, len(fields) + at)
        stretches = united(each for place in places for each in words[place] + phrases[place])
        found.setdefault(subject, []).extend(plain.span(name, *each) for each in stretches)
    return found


def _spelt(texts: Sequence[str]) -> tuple[list[Plain], list[str]]:
    """Texts as their words were indexed, and what is looked through: all of them, then what each has within words."""
    plains = [Plain.of(text) for text in texts]
    return plains, [plain.text for plain in plains] + [_parted(plain.text) for plain in plains]


async def _marked(
    connection: Connection, texts: Sequence[str], queries: Sequence[str]
) -> list[list[Stretch]]:
    """Where any word of some queries stands in each text."""
    if not queries:
        return [[] for _ in texts]
    marked = await lookups.mark(connection, texts, any_of(queries), _MARKS)
    return [[*marks(text, each)] for text, each in zip(texts, marked, strict=True)]


async def _standing_together(
    connection: Connection, texts: Sequence[str], queries: Sequence[str]
) -> list[list[Stretch]]:
    """Where words stand in each text as some queries have them one after another, each time in one stretch."""
    words = await _marked(connection, texts, queries)
    words_max = max((len(_LEXEME.findall(each)) for each in queries), default=0)
    candidates = [list(islice(_runs(each, words_max), _RUNS_MAX)) for each in words]
    each_max = _share([len(each) for each in candidates if each])
    runs = [(place, run) for place, each in enumerate(candidates) for run in each[:each_max]]
    stretches = [texts[place][start : start + length] for place, (start, length) in runs]
    matching = await lookups.matching(connection, stretches, any_of(queries)) if runs else set()
    found: list[list[Stretch]] = [[] for _ in texts]
    for number in sorted(matching):
        place, run = runs[number]
        found[place].append(run)
    return [_shortest(each) for each in found]


def _share(counts: Sequence[int]) -> int:
    """How many runs of each text are looked at: an equal share of those of a page, and of what others leave."""
    share = left = _RUNS_MAX
    for before, count in enumerate(sorted(counts)):
        share = max(_RUNS_EACH, left // (len(counts) - before))
        if count > share:
            break
        left -= count
    return share


def _runs(words: Sequence[Stretch], words_max: int) -> Iterator[Stretch]:
    """Every run of up to so many words in order, as long as they stand close enough to follow each other."""
    for first, (start, length) in enumerate(words):
        end = start + length
        for begin, letters in words[first : first + words_max]:
            if begin - end > _APART_MAX:
                break
            end = begin + letters
            yield start, end - start


def _shortest(runs: Sequence[Stretch]) -> list[Stretch]:
    """Runs that hold no other one: a longer one matches by what it holds."""
    kept, first_end = list[Stretch](), math.inf
    for start, length in sorted(runs, key=lambda run: (-run[0], run[1])):
        if start + length < first_end:
            first_end = start + length
            kept.append((start, length))
    return kept


def marks(text: str, marked: str) -> Iterator[Stretch]:
    """Read where something is marked, and how long it is; nothing if anything but marks was changed."""
    if marked.replace(_MARKS[0], "").replace(_MARKS[1], "") == text:
        for number, match in enumerate(_MARKED.finditer(marked)):
            yield match.start() - 2 * number, len(match[1])


def united(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Stretches in order, without those that lie within another, as a part lies in what was found whole."""
    end = 0
    for start, length in sorted(stretches, key=lambda each: (each[0], -each[1])):
        if start + length > end:
            end = start + length
            yield start, length
