"""Where the words of a query stand in what was found, by PostgreSQL's own idea of what matches."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.common.database import Connection
from services.search import lookups, store
from services.search.answer import Span
from services.search.contents import Contents
from services.search.keyword import Lookup
from services.search.spelling import normal, signs_apart
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
    found: dict[Subject, list[Span]] = {}
    marked = await lookups.mark(connection, [plain.text for plain in plains], query, _MARKS)
    for (subject, name, _), plain, text in zip(fields, plains, marked, strict=True):
        found.setdefault(subject, []).extend(spans(name, plain, text))
    return found


def spans(name: str, plain: Plain, marked: str) -> Iterator[Span]:
    """Read marks as spans of the original; none if anything but marks was changed."""
    bare = marked.replace(_MARKS[0], "").replace(_MARKS[1], "")
    if bare != plain.text:
        return
    for number, match in enumerate(_MARKED.finditer(marked)):
        yield plain.span(name, match.start() - 2 * number, len(match[1]))
