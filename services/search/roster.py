"""Who writes in a workspace, remembered: of thousands a search reads only some, and the rest is read beside it."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from services.common.cache import Cache
from services.common.database import Connection
from services.common.errors import DatabaseUnavailable
from services.search import store
from services.search.names import Named, Names
from services.search.reads import Reads

log = logging.getLogger(__name__)

# So many are read at once.
PART: Final = 100
# A word that stands in so many times more messages than they wrote whom it may name is a word, whoever is called so.
WORD_TIMES: Final = 10
_WRITTEN_MAX: Final = 500
# What is known is kept for as many seconds as there are authors, within these.
_SECONDS_MIN: Final = 10.0
_SECONDS_MAX: Final = 600.0
# Who reads all of them leaves the database alone for so many times as long as a part took.
_REST_FACTOR: Final = 9
_WORKSPACES_MAX: Final = 1_000
# Of all workspaces but the last one asked for, which may have more; 1.3 kB each.
AUTHORS_MAX: Final = 200_000
_WORDS_MAX: Final = 1_000

NOBODY: Final[Mapping[str, Named]] = {}

# Whether words are names of some authors.
Words = Cache[tuple[str, frozenset[str]], bool]


@dataclass(slots=True)
class _Known:
    """The names that are told and which words are names, until when; and the names that are read now, up to whom."""

    names: Names = field(default_factory=Names)
    words: Words = field(default_factory=lambda: Words(_WORDS_MAX))
    until: float = 0.0
    coming: Names = field(default_factory=Names)
    after: str = ""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_read_beside: bool = False


class Roster:
    """Knows the names of each workspace's authors.

    A search reads the first of them. What there is beyond is read by `run`, one workspace at a time; meanwhile those
    are known that were before, or that have been read.
    """

    def __init__(self, reads: Reads, clock: Callable[[], float] = time.monotonic) -> None:
        self._reads, self._clock = reads, clock
        self._known: dict[UUID, _Known] = {}
        self._asked: asyncio.Queue[tuple[UUID, _Known]] = asyncio.Queue()

    async def named(
        self, connection: Connection, workspace: UUID, query: str
    ) -> Mapping[str, Named]:
        """Return which words of a query name authors, and whom, by their ids."""
        known = self._known.pop(workspace, None)
        is_new = known is None
        if known is None:
            known = _Known()
            known.names = known.coming
        # The last one asked for stands last, so that the first is the one to forget.
        self._known[workspace] = known
        if is_new:
            self._forget()
        if known.until <= self._clock() and not known.is_read_beside:
            async with known.reading:
                await self._renew(connection, workspace, known)
        found = known.names.named(query)
        return {
            word: named
            for word, named in found.items()
            if await _is_name(connection, workspace, known, word, named)
        }

    def _forget(self) -> None:
        """Forget workspaces that nobody has asked for the longest time, until the rest, or one, is not too much."""
        authors = sum(len(each.names) for each in self._known.values())
        while len(self._known) > 1 and (
            len(self._known) > _WORKSPACES_MAX or authors > AUTHORS_MAX
        ):
            authors -= len(self._known.pop(next(iter(self._known))).names)

    async def run(self) -> None:
        """Read who writes in large workspaces that are searched, for as long as the service runs."""
        while True:
            workspace, known = await self._asked.get()
            if self._known.get(workspace) is not known:
                # It has been forgotten while it waited for its turn.
                continue
            try:
                await self._reads.run(partial(self._read_all, workspace, known))
            except DatabaseUnavailable as error:
                log.warning("who writes could not be read: %s", error)
                known.until = self._clock() + _SECONDS_MIN
            known.is_read_beside = False

    async def _renew(self, connection: Connection, workspace: UUID, known: _Known) -> None:
        """Read all who write if they are few, unless another search just did; have them read if they are many."""
        if known.until > self._clock() or known.is_read_beside:
            return
        is_large = len(known.names) >= PART
        if is_large or not await self._read_part(connection, workspace, known):
            known.is_read_beside = True
            self._asked.put_nowait((workspace, known))

    async def _read_all(self, workspace: UUID, known: _Known) -> None:
        is_whole = False
        while not is_whole:
            started = self._clock()
            async with self._reads.reading(workspace) as connection:
                is_whole = await self._read_part(connection, workspace, known)
            await asyncio.sleep(_REST_FACTOR * (self._clock() - started))

    async def _read_part(self, connection: Connection, workspace: UUID, known: _Known) -> bool:
        """Read some more; return whether that was the last of them, which are told from now on."""
        found = await store.authors(connection, workspace, known.after, PART)
        for author, names in found:
            known.coming.add(author, [name or author for name in names])
        if len(found) == PART:
            known.after = found[-1][0]
            return False
        seconds = min(max(float(len(known.coming)), _SECONDS_MIN), _SECONDS_MAX)
        known.names, known.until = known.coming, self._clock() + seconds
        known.words, known.coming, known.after = Words(_WORDS_MAX), Names(), ""
        self._forget()
        return True


async def _is_name(
    connection: Connection, workspace: UUID, known: _Known, word: str, named: Named
) -> bool:
    """Whether a word that may be a name is used as one: where everybody writes it, it is a word besides."""
    if named.is_sure:
        return True

    async def count() -> bool:
        limits = (_WRITTEN_MAX, _WRITTEN_MAX * WORD_TIMES)
        written, having = await store.written(connection, workspace, named.authors, word, limits)
        return having <= written * WORD_TIMES

    return await known.words.load((word, named.authors), count, lambda _: math.inf)
