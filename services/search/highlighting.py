"""Where the words of a query stand in what was found, by PostgreSQL's own idea of what matches."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from services.common.database import Connection
from services.search import lookups, store
from services.search.answer import Span
from services.search.contents import Contents
from services.search.keyword import Lookup
from services.search.store import Subject
from services.search.words import parse

# From the private use area; a text that has them itself is left unmarked.
_MARKS: Final = ("\ue000", "\ue001")
_MARKED: Final = re.compile(f"{_MARKS[0]}([^{_MARKS[0]}{_MARKS[1]}]*){_MARKS[1]}")
# PostgreSQL takes what stands between these for a tag, and drops it.
_UNTAGGED: Final = str.maketrans("<>", "  ")


async def queries_of(connection: Connection, query: str, lookup: Lookup | None) -> Sequence[str]:
    """The words of a query as the database knows them: as a search looked them up, or now if it did not."""
    if lookup is not None:
        return lookup.queries
    flat = [(i, form) for i, term in enumerate(parse(query).terms) for form in term.alternatives]
    compiled = await store.compile_terms(
        connection,
        [i for i, _ in flat],
        [form.match.value for _, form in flat],
        [form.text for _, form in flat],
    )
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
    texts = [text.translate(_UNTAGGED) for _, _, text in fields]
    found: dict[Subject, list[Span]] = {}
    marked = await lookups.mark(connection, texts, query, _MARKS)
    for (subject, name, _), plain, text in zip(fields, texts, marked, strict=True):
        found.setdefault(subject, []).extend(spans(name, plain, text))
    return found


def spans(name: str, plain: str, marked: str) -> Iterator[Span]:
    """Read marks as spans; none if anything but marks was changed."""
    bare = marked.replace(_MARKS[0], "").replace(_MARKS[1], "")
    if bare != plain:
        return
    for number, match in enumerate(_MARKED.finditer(marked)):
        yield Span(name, match.start() - 2 * number, len(match[1]))
