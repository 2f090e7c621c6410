"""Where the words of a query stand in what was found, by PostgreSQL's own idea of what matches."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.common.database import Connection
from services.search import lookups, store
from services.search.answer import Span
from services.search.contents import Contents
from services.search.keyword import Lookup
from services.search.spelling import apart, joins, normal, signs_apart
from services.search.store import Subject
from services.search.words import parse

# From the private use area; a text that has them itself is left unmarked.
_MARKS: Final = ("\ue000", "\ue001")
_MARKED: Final = re.compile(f"{_MARKS[0]}([^{_MARKS[0]}{_MARKS[1]}]+){_MARKS[1]}")


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
            starts = [at for at, each in enumerate(text) if not at or _starts(each)]
            parts = [
                normal(text[start:end])
                for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
            ]
            if "".join(parts) == whole:
                origins = [at for at, part in zip(starts, parts, strict=True) for _ in part]
                return cls(signs_apart(whole), [*origins, len(text)])
        return cls(signs_apart(text))

    def span(self, name: str, start: int, length: int) -> Span:
        """Where a stretch of it stands in the original."""
        if self.origins is None:
            return Span(name, start, length)
        first, last = self.origins[start], self.origins[start + length - 1]
        end = next(each for each in self.origins[start + length :] if each > last)
        return Span(name, first, end - first)


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
    return tuple(compiled.values())


async def highlights(
    connection: Connection, contents: Contents, subjects: Sequence[Subject], queries: Sequence[str]
) -> dict[Subject, list[Span]]:
    """Return where the words of any of some queries stand in each subject's texts."""
    fields = [
        (subject, name, text)
        for subject in subjects
        for name, text in contents.texts(subject).items()
        if not any(mark in text for mark in _MARKS)
    ]
    if not fields or not queries:
        return {}
    query = " | ".join(f"({each})" for each in queries)
    plains = [Plain.of(text) for _, _, text in fields]
    parted = [apart(plain.text) if joins(plain.text) else "" for plain in plains]
    texts = [plain.text for plain in plains] + parted
    marked = await lookups.mark(connection, texts, query, _MARKS)
    found: dict[Subject, list[Span]] = {}
    for at, ((subject, name, _), plain) in enumerate(zip(fields, plains, strict=True)):
        stretches = united(
            stretch
            for place in (at, len(fields) + at)
            for stretch in marks(texts[place], marked[place])
        )
        found.setdefault(subject, []).extend(plain.span(name, *each) for each in stretches)
    return found


def marks(text: str, marked: str) -> Iterator[tuple[int, int]]:
    """Read where something is marked, and how long it is; nothing if anything but marks was changed."""
    if marked.replace(_MARKS[0], "").replace(_MARKS[1], "") == text:
        for number, match in enumerate(_MARKED.finditer(marked)):
            yield match.start() - 2 * number, len(match[1])


def united(stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Stretches in order, without those that lie within another, as a part lies in what was found whole."""
    end = 0
    for start, length in sorted(stretches, key=lambda each: (each[0], -each[1])):
        if start + length > end:
            end = start + length
            yield start, length
