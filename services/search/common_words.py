"""The words that most messages of a large workspace have, counted before anybody asks for them.

To count a word that thousands of messages have takes 4 to 8 ms, which the first search that has it would wait for.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from services.common.cache import Cache
from services.common.errors import DatabaseUnavailable
from services.search import store
from services.search.keyword import KeywordLeg
from services.search.reads import Reads
from services.search.statements import KINDS
from services.search.statistics import TERM_DOCUMENTS_MAX, TERM_KEPT_SECONDS, Statistics
from services.search.words import Term, parse

T = TypeVar("T")

log = logging.getLogger(__name__)

# Of so many of the newest messages one in 400 has each of them.
SAMPLE_MAX: Final = 2_000
_COMMON_SHARE: Final = 1 / 400
# So many at most; so many texts are read and words counted at once, and then nothing for several times as long.
_WORDS_MAX: Final = 600
_TEXTS_AT_ONCE: Final = 50
_WORDS_AT_ONCE: Final = 8
_REST_FACTOR: Final = 3
_AGAIN_SECONDS: Final = 60.0
_WORKSPACES_MAX: Final = 1_000


class CommonWords:
    """Counts those of each large workspace that is searched, one workspace at a time, anew once they are forgotten."""

    def __init__(
        self,
        reads: Reads,
        keyword: KeywordLeg,
        statistics: Statistics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reads, self._keyword, self._statistics = reads, keyword, statistics
        self._clock = clock
        self._counted = Cache[UUID, bool](_WORKSPACES_MAX, clock)
        self._asked: asyncio.Queue[UUID] = asyncio.Queue()

    def want(self, workspace: UUID) -> None:
        """Have them counted, if a workspace is known to be large and that was not done lately."""
        is_large = self._statistics.are_large(workspace, ["message"], TERM_DOCUMENTS_MAX)
        if is_large and self._counted.get(workspace) is None:
            self._counted.put(workspace, True, TERM_KEPT_SECONDS)
            self._asked.put_nowait(workspace)

    async def run(self) -> None:
        """Count what is wanted, for as long as the service runs."""
        while True:
            workspace = await self._asked.get()
            try:
                await self._reads.run(partial(self._count, workspace))
            except DatabaseUnavailable as error:
                log.warning("common words could not be counted: %s", error)
                self._counted.put(workspace, True, _AGAIN_SECONDS)

    async def _count(self, workspace: UUID) -> None:
        async with self._reads.reading(workspace) as connection:
            texts = await store.newest_texts(connection, workspace, SAMPLE_MAX)
        having = Counter[Term]()
        for some in _parts(texts, _TEXTS_AT_ONCE):
            async with self._resting():
                having.update(await asyncio.to_thread(_terms_of, some))
        least = max(2.0, _COMMON_SHARE * len(texts))
        common = [term for term, count in having.most_common(_WORDS_MAX) if count >= least]
        for terms in _parts(common, _WORDS_AT_ONCE):
            async with self._resting(), self._reads.reading(workspace) as connection:
                await self._keyword.count(connection, workspace, terms, KINDS)

    @asynccontextmanager
    async def _resting(self) -> AsyncIterator[None]:
        """Do nothing for a while after what is done in here: searches go before it."""
        started = self._clock()
        yield
        await asyncio.sleep(_REST_FACTOR * (self._clock() - started))


def _terms_of(texts: Iterable[str]) -> list[Term]:
    """The words of some texts, as often as texts have them."""
    return [term for text in texts for term in dict.fromkeys(parse(text).terms)]


def _parts(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))
