"""One page of results with all that is known about how they were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.search.contents import Contents
from services.search.keyword import Lookup
from services.search.ranking import Fused
from services.search.semantic import SemanticCandidates
from services.search.store import Conversation, Freshness, Subject


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
    # What each leg that answered a hybrid search weighed.
    weights: dict[str, float] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
