"""Counts that weigh words and choose plans; the larger one is, the more it costs and the less it changes, so it is kept
for the longer.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import compress
from typing import Final, NamedTuple
from uuid import UUID

from services.common.cache import Cache
from services.common.database import Connection
from services.search import store
from services.search.store import Filter

DOCUMENTS_MAX: Final = 200_000
TERM_DOCUMENTS_MAX: Final = 5_000
_KEPT_FROM: Final = 1_000
# For so long a thousand, and several of these at most.
_KEPT_SECONDS: Final = 60.0
_KEPT_TIMES_MAX: Final = 5
# A term that is in a thousand documents is counted anew after so long, one that is in fewer sooner, and any once there
# are so much more or fewer documents.
_TERM_KEPT_FROM: Final = 100
TERM_KEPT_SECONDS: Final = 3600.0
_CHANGED_SHARE: Final = 0.1
_ENTRIES_MAX: Final = 20_000


class _Counted(NamedTuple):
    """A count, and of how many documents it is, 0 if it counts all of them."""

    documents: int
    among: int = 0


class Statistics:
    """Remembers how many documents there are from a thousand on, and in how many a term is from a hundred on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        # By workspace, kind and the query of a term, which is empty for all documents.
        self._counts = Cache[tuple[UUID, str, str], _Counted](_ENTRIES_MAX, clock)
        # By what stands for a filter, which may hold a thousand texts.
        self._many = Cache[int, int](_ENTRIES_MAX, clock)
        self._occurring = Cache[tuple[UUID, str], bool](_ENTRIES_MAX, clock)

    async def documents(self, connection: Connection, workspace: UUID, kinds: Sequence[str]) -> int:
        """How many live subjects of some kinds the workspace has, counted up to DOCUMENTS_MAX."""
        known = {kind: self._recall(workspace, kind) for kind in kinds}
        missing = [kind for kind, count in known.items() if count is None]
        if missing:
            counted = await store.count_everything(connection, workspace, missing, DOCUMENTS_MAX)
            # Small ones are cheap, and must see what was just written.
            if sum(counted.values()) >= _KEPT_FROM:
                for kind, count in counted.items():
                    seconds = _KEPT_SECONDS * max(1, min(_KEPT_TIMES_MAX, count // _KEPT_FROM))
                    self._counts.put((workspace, kind, ""), _Counted(count), seconds)
            known |= counted
        return sum(count or 0 for count in known.values())

    def are_large(self, workspace: UUID, kinds: Sequence[str], together: int) -> bool:
        """Whether it is remembered that there are more than so many subjects, a thousand and more of each kind."""
        counts = [self._recall(workspace, kind) or 0 for kind in kinds]
        return min(counts) >= _KEPT_FROM and sum(counts) > together

    def leaves_more(self, workspace: UUID, chosen: Filter, kinds: Sequence[str], rows: int) -> bool:
        """Whether it is remembered that a filter leaves more than so many rows."""
        return (self._many.get(_standing_for(workspace, chosen, kinds)) or 0) >= rows

    def remember_more(
        self, workspace: UUID, chosen: Filter, kinds: Sequence[str], rows: int
    ) -> None:
        """Remember that a filter leaves more than so many rows."""
        self._many.put(_standing_for(workspace, chosen, kinds), rows, _KEPT_SECONDS)

    def occurs(self, workspace: UUID, form: str) -> bool:
        """Whether it is remembered that a form of a word occurs; that one does not is never remembered."""
        return self._occurring.get((workspace, form)) is not None

    async def occurring(
        self, connection: Connection, workspace: UUID, kinds: Sequence[str], forms: Collection[str]
    ) -> set[str]:
        """Return which forms of words occur, and remember these."""
        counted = await store.count_documents(connection, workspace, kinds, list(forms), 1)
        found = {*compress(forms, map(any, zip(*counted.values(), strict=True)))}
        for form in found:
            self._occurring.put((workspace, form), True, TERM_KEPT_SECONDS)
        return found

    async def containing(
        self,
        connection: Connection,
        workspace: UUID,
        kinds: Sequence[str],
        queries: Sequence[str],
        documents: int,
    ) -> list[int]:
        """In how many of so many documents each query occurs, each kind counted up to TERM_DOCUMENTS_MAX."""
        known = {query: self._sum(workspace, kinds, query, documents) for query in queries}
        missing = [query for query, count in known.items() if count is None]
        if missing:
            counted = await store.count_documents(
                connection, workspace, kinds, missing, TERM_DOCUMENTS_MAX
            )
            for position, query in enumerate(missing):
                counts = {kind: of_kind[position] for kind, of_kind in counted.items()}
                known[query] = together = sum(counts.values())
                if together >= _TERM_KEPT_FROM:
                    seconds = TERM_KEPT_SECONDS * min(1.0, together / _KEPT_FROM)
                    for kind, count in counts.items():
                        key = (workspace, kind, query)
                        self._counts.put(key, _Counted(count, documents), seconds)
        return [known[query] or 0 for query in queries]

    def _sum(self, workspace: UUID, kinds: Sequence[str], query: str, documents: int) -> int | None:
        total = 0
        for kind in kinds:
            count = self._recall(workspace, kind, query, documents)
            if count is None:
                return None
            total += count
        return total

    def _recall(self, workspace: UUID, kind: str, query: str = "", among: int = 0) -> int | None:
        kept = self._counts.get((workspace, kind, query))
        if kept is None or abs(among - kept.among) > kept.among * _CHANGED_SHARE:
            return None
        return kept.documents


def _standing_for(workspace: UUID, chosen: Filter, kinds: Sequence[str]) -> int:
    """A number for what is filtered: should another get the same by chance, it is read by another plan, and no more."""
    return hash((workspace, tuple(kinds), replace(chosen, made_until=None)))
