"""From which cosine on a text is near to a query: measured on the workspace, because every model has its own scale.

multilingual-e5-small gives a question and a message that has nothing to do with it 0.79, all-MiniLM-L6-v2 next to
nothing. So the mean cosine of the query with texts of the workspace, of which next to none concern it, is where
nearness begins, and a share of what is left up to 1 must be covered: docs/search.md.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

import numpy as np

from services.common.cache import Cache
from services.common.database import Connection
from services.common.vectors import Matrix, from_halfvec
from services.search import store
from services.search.store import Generation

NEAR_SHARE: Final = 0.32
# What has words of a query bears on it though it is less near: the share of them, by weight, counts by so much.
WORDS_SHARE: Final = 0.7
BEARING_SHARE: Final = 0.44
SAMPLE_MAX: Final = 256
# A workspace with few texts borrows trust from the strictest model known, so that it knows too little, not too much.
_STRICT: Final = 0.85
_STRICT_WEIGHT: Final = 8
_FULL_SECONDS: Final = 600.0
_GROWING_SECONDS: Final = 10.0
_KEPT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sampled:
    """The sum of the vectors of some texts, shape (d,), and how many they are."""

    total: Matrix
    count: int

    @classmethod
    def of(cls, vectors: Sequence[bytes]) -> Self:
        """Add up unit vectors, as halfvec values."""
        rows = [from_halfvec(each) for each in vectors]
        return cls(
            np.sum(rows, axis=0, dtype=np.float32) if rows else np.zeros(0, np.float32), len(rows)
        )

    @property
    def common(self) -> Matrix:
        """What the texts have in common, shape (d,): their mean, nearer to nothing the fewer they are."""
        mean: Matrix = (self.total / (self.count + _STRICT_WEIGHT)).astype(np.float32)
        return mean

    def near_score(self, queries: Sequence[bytes]) -> float:
        """The cosine from which on a text is near to any of some query vectors; 0 if nothing is known."""
        if not self.count or not queries:
            return 0.0
        together = max(float(from_halfvec(each) @ self.total) for each in queries)
        unrelated = (together + _STRICT * _STRICT_WEIGHT) / (self.count + _STRICT_WEIGHT)
        return unrelated + NEAR_SHARE * (1 - unrelated)


def bearing(cosine: float, near_score: float, words: float) -> float:
    """How far a text bears on a query, from 1 on enough to answer it: by how near it is, or by that and by words.

    Words are those that it and what stands around it have, as a share of what one has that has all. A cosine or a
    near_score of 0 is not known.
    """
    near = 0.0
    if cosine and near_score:
        unrelated = (near_score - NEAR_SHARE) / (1 - NEAR_SHARE)
        near = (cosine - unrelated) / (1 - unrelated)
    return max(0.0, near / NEAR_SHARE, (near + WORDS_SHARE * words) / BEARING_SHARE)


class Nearness:
    """Remembers each workspace's sample: for ten minutes once it is full, for ten seconds while it grows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept = Cache[tuple[UUID, UUID], Sampled](_KEPT_MAX, clock)

    async def sampled(
        self,
        connection: Connection,
        workspace: UUID,
        generation: Generation,
        count: int | None = None,
    ) -> Sampled:
        """Return the sample of a workspace in a generation; if a count is given, its first so many texts."""
        key = (workspace, generation.id)

        async def first(texts: int = SAMPLE_MAX) -> Sampled:
            vectors = await store.first_vectors(connection, workspace, generation, texts)
            return Sampled.of(vectors)

        if count is None or count >= SAMPLE_MAX:
            return await self._kept.load(key, first, _seconds)
        kept = self._kept.get(key)
        return kept if kept is not None and kept.count == count else await first(count)


def _seconds(sampled: Sampled) -> float:
    return _FULL_SECONDS if sampled.count == SAMPLE_MAX else _GROWING_SECONDS
