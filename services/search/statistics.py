"""Counts that weigh words and choose plans; the larger one is, the more it costs and the less it changes, so it is kept
for the longer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.store import Filter

DOCUMENTS_MAX: Final = 200_000
TERM_DOCUMENTS_MAX: Final = 5_000
_KEPT_FROM: Final = 1_000
_KEPT_SECONDS: Final = 60.0
# A term that is in a thousand documents is counted anew after so long, one that is in fewer sooner, and any once there
# are so much more or fewer documents.
_TERM_KEPT_FROM: Final = 100
_TERM_KEPT_SECONDS: Final = 600.0
_CHANGED_SHARE: Final = 0.1
_ENTRIES_MAX: Final = 20_000

_Key = tuple[UUID, str, str]
_Filtering = tuple[UUID, tuple[str, ...], Filter]


class _Kept(NamedTuple):
    """A count, until when it is remembered, and of how many documents it is, 0 if it counts all of them."""

    until: float
    counted: int
    among: int = 0


class Statistics:
    """Remembers how many documents there are from a thousand on, and in how many a term is from a hundred on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[_Key, _Kept] = {}
        self._many: dict[_Filtering, _Kept] = {}

    async def documents(self, connection: Connection, workspace: UUID, kinds: Sequence[str]) -> int:
        """How many live subjects of some kinds the workspace has, counted up to DOCUMENTS_MAX."""
        keys = {kind: (workspace, kind, "") for kind in kinds}
        missing = [kind for kind in kinds if self._recall(keys[kind]) is None]
        known = sum(self._recall(key) or 0 for key in keys.values())
        if not missing:
            return known
        counted = await store.count_everything(connection, workspace, missing, DOCUMENTS_MAX)
        together = sum(counted.values())
        # Small ones are cheap, and must see what was just written.
        if together >= _KEPT_FROM:
            until = self._clock() + _KEPT_SECONDS
            self._keep({keys[kind]: _Kept(until, count) for kind, count in counted.items()})
        return known + together

    def are_large(self, workspace: UUID, kinds: Sequence[str], together: int) -> bool:
        """Whether it is remembered that there are more than so many subjects, a thousand and more of each kind."""
        counts = [self._recall((workspace, kind, "")) or 0 for kind in kinds]
        return min(counts) >= _KEPT_FROM and sum(counts) > together

    def leaves_more(self, workspace: UUID, chosen: Filter, kinds: Sequence[str], rows: int) -> bool:
        """Whether it is remembered that a filter leaves more than so many rows."""
        kept = self._many.get(_filtering(workspace, chosen, kinds))
        return kept is not None and kept.until > self._clock() and kept.counted >= rows

    def remember_more(
        self, workspace: UUID, chosen: Filter, kinds: Sequence[str], rows: int
    ) -> None:
        """Remember that a filter leaves more than so many rows."""
        if len(self._many) >= _ENTRIES_MAX:
            self._many.clear()
        kept = _Kept(self._clock() + _KEPT_SECONDS, rows)
        self._many[_filtering(workspace, chosen, kinds)] = kept

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
                counts = {
                    (workspace, kind, query): each[position] for kind, each in counted.items()
                }
                known[query] = together = sum(counts.values())
                if together >= _TERM_KEPT_FROM:
                    until = self._clock() + _TERM_KEPT_SECONDS * min(1.0, together / _KEPT_FROM)
                    self._keep(
                        {key: _Kept(until, count, documents) for key, count in counts.items()}
                    )
        return [known[query] or 0 for query in queries]

    def _sum(self, workspace: UUID, kinds: Sequence[str], query: str, documents: int) -> int | None:
        counts = [self._recall((workspace, kind, query), documents) for kind in kinds]
        kept = [count for count in counts if count is not None]
        return sum(kept) if len(kept) == len(counts) else None

    def _recall(self, key: _Key, among: int = 0) -> int | None:
        kept = self._kept.get(key)
        if kept is None or kept.until <= self._clock():
            return None
        return kept.counted if abs(among - kept.among) <= kept.among * _CHANGED_SHARE else None

    def _keep(self, counts: Mapping[_Key, _Kept]) -> None:
        if len(self._kept) >= _ENTRIES_MAX:
            self._kept.clear()
        self._kept.update(counts)


def _filtering(workspace: UUID, chosen: Filter, kinds: Sequence[str]) -> _Filtering:
    return workspace, tuple(kinds), replace(chosen, made_until=None)
