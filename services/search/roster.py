"""Who writes in a workspace, remembered: read a part at a time, so that no search waits for a roster of thousands."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.names import Named, Names

# So many are read at once.
PART: Final = 100
# A word that stands in so many times more messages than they wrote whom it may name is a word, whoever is called so.
WORD_TIMES: Final = 10
_WRITTEN_MAX: Final = 500
# What is known is kept for as many seconds as there are authors, within these.
_SECONDS_MIN: Final = 10.0
_SECONDS_MAX: Final = 600.0
_WORKSPACES_MAX: Final = 1_000
_WORDS_MAX: Final = 1_000

NOBODY: Final[Mapping[str, frozenset[str]]] = {}


@dataclass(slots=True)
class _Known:
    """The names that are told and which words are names, until when; and the names that are read now, up to whom."""

    names: Names = field(default_factory=Names)
    words: dict[tuple[str, frozenset[str]], bool] = field(default_factory=dict)
    until: float = 0.0
    coming: Names = field(default_factory=Names)
    after: str = ""


class Roster:
    """Knows the names of each workspace's authors."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[UUID, _Known] = {}

    async def named(
        self, connection: Connection, workspace: UUID, query: str
    ) -> Mapping[str, frozenset[str]]:
        """Return which words of a query name authors, and whom, by their ids.

        Authors are read on where not all are known: where there are many, the first searches know some of them.
        """
        known = self._known.get(workspace)
        if known is None:
            if len(self._known) >= _WORKSPACES_MAX:
                self._known.clear()
            known = self._known[workspace] = _Known()
            known.names = known.coming
        if known.until <= self._clock():
            await self._read_on(connection, workspace, known)
        found = known.names.named(query)
        return {
            word: named.authors
            for word, named in found.items()
            if await _is_name(connection, workspace, known, word, named)
        }

    async def _read_on(self, connection: Connection, workspace: UUID, known: _Known) -> None:
        coming, after = known.coming, known.after
        found = await store.authors(connection, workspace, after, PART)
        if (known.coming, known.after) != (coming, after):
            return  # another search has read the same meanwhile
        for author, names in found:
            coming.add(author, [name or author for name in names])
        if len(found) == PART:
            known.after = found[-1][0]
            return
        seconds = min(max(float(len(coming)), _SECONDS_MIN), _SECONDS_MAX)
        known.names, known.until, known.words = coming, self._clock() + seconds, {}
        known.coming, known.after = Names(), ""


async def _is_name(
    connection: Connection, workspace: UUID, known: _Known, word: str, named: Named
) -> bool:
    """Whether a word that may be a name is used as one: where everybody writes it, it is a word besides."""
    if named.is_sure:
        return True
    key = (word, named.authors)
    is_name = known.words.get(key)
    if is_name is None:
        limits = (_WRITTEN_MAX, _WRITTEN_MAX * WORD_TIMES)
        written, having = await store.written(connection, workspace, named.authors, word, limits)
        is_name = having <= written * WORD_TIMES
        if len(known.words) >= _WORDS_MAX:
            known.words.clear()
        known.words[key] = is_name
    return is_name
