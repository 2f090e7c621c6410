"""One page of results with all that is known about how they were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from services.common.database import Connection
from services.search import store
from services.search.backlog import Freshness
from services.search.contents import Contents
from services.search.lookup import Lookup
from services.search.ranking import Fused
from services.search.semantic import SemanticCandidates
from services.search.store import Conversation, Generation, Subject


@dataclass(slots=True)
class Timings:
    """Seconds that each part took."""

    wait: float = 0.0
    embed: float = 0.0
    semantic: float = 0.0
    keyword: float = 0.0
    rerank: float = 0.0
    fetch: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one of a subject's texts, in code points."""

    field: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Around:
    """The messages before and after another one, both in order."""

    before: tuple[UUID, ...]
    after: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Results that have a topic or a conversation in common, best first; neither if they have no topic."""

    key: UUID | Conversation | None
    members: tuple[Fused, ...]


class Sought(NamedTuple):
    """The vectors of a hybrid search, which is ordered by more than how near they are."""

    generation: Generation
    vectors: tuple[bytes, ...]

    async def cosines(
        self, connection: Connection, workspace: UUID, subjects: Sequence[Subject]
    ) -> dict[Subject, float]:
        """Return how near subjects are; those that are not embedded yet are left out."""
        if not subjects:
            return {}
        return await store.cosines(connection, workspace, self.generation, subjects, self.vectors)


@dataclass(slots=True)
class Answer:
    """What a search has found."""

    # The page as it was cut from the ranking, and what of it is still there.
    page: Sequence[Fused] = ()
    results: Sequence[Fused] = ()
    groups: Sequence[Group] = ()
    contents: Contents = field(default_factory=Contents)
    highlights: Mapping[Subject, Sequence[Span]] = field(default_factory=dict)
    around: Mapping[UUID, Around] = field(default_factory=dict)
    # What the semantic leg of a hybrid search looked for, and how near to that is what is shown.
    sought: Sought | None = None
    cosines: Mapping[Subject, float] = field(default_factory=dict)
    rerank_scores: Mapping[Subject, float] = field(default_factory=dict)
    ranked: Sequence[Fused] = ()
    # How many were taken out of the ranking since they may not be shown.
    gone: int = 0
    total: int = 0
    more: bool = False
    warnings: list[str] = field(default_factory=list)
    freshness: Freshness = field(default_factory=lambda: Freshness(0, None))
    wait_outcome: str = ""
    semantic: SemanticCandidates = field(default_factory=SemanticCandidates)
    lookup: Lookup | None = None
    keyword_candidates: int = 0
    # The cosine from which on a text is near to the query; 0 if that is not known.
    near_score: float = 0.0
    # Of how many texts that was measured.
    sampled: int = 0
    # What each leg that answered a hybrid search weighed.
    weights: dict[str, float] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
