"""One page of results with all that is known about how they were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.search import ranking
from services.search.backlog import Freshness
from services.search.contents import Contents
from services.search.finding import ByMeaning, ByWords, Sought
from services.search.lookup import Lookup
from services.search.ranking import Fused, Fusion, Hit, Standing
from services.search.semantic import SemanticCandidates
from services.search.store import Conversation, Subject


@dataclass(slots=True)
class Timings:
    """Seconds that each part took beside the legs."""

    wait: float = 0.0
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
    """What a search has found: its ranking, what each leg that answered gave to it, and one page of it."""

    ranked: Sequence[Fused] = ()
    words: ByWords | None = None
    meaning: ByMeaning | None = None
    # What each leg that answered a hybrid search weighed.
    weights: Mapping[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    rerank_scores: Mapping[Subject, float] = field(default_factory=dict)
    # The page as it was cut from the ranking, and what of it is still there.
    page: Sequence[Fused] = ()
    results: Sequence[Fused] = ()
    groups: Sequence[Group] = ()
    contents: Contents = field(default_factory=Contents)
    highlights: Mapping[Subject, Sequence[Span]] = field(default_factory=dict)
    around: Mapping[UUID, Around] = field(default_factory=dict)
    # How near to what a hybrid search sought is what is shown.
    cosines: Mapping[Subject, float] = field(default_factory=dict)
    # How many were taken out of the ranking since they may not be shown.
    gone: int = 0
    total: int = 0
    more: bool = False
    freshness: Freshness = field(default_factory=lambda: Freshness(0, None))
    wait_outcome: str = ""
    timings: Timings = field(default_factory=Timings)

    @property
    def lookup(self) -> Lookup | None:
        """How words were looked up, if they were."""
        return self.words.lookup if self.words else None

    @property
    def semantic(self) -> SemanticCandidates:
        """What was found by meaning, before it was ordered."""
        return self.meaning.candidates if self.meaning else SemanticCandidates()

    @property
    def near_score(self) -> float:
        """The cosine from which on a text is near to the query; 0 if that is not known."""
        return self.meaning.near_score if self.meaning else 0.0

    @property
    def sought(self) -> Sought | None:
        """What the semantic leg of a hybrid search looked for."""
        return self.meaning.sought if self.meaning else None


def alone(leg: ByWords | ByMeaning) -> Answer:
    """The ranking of one leg, which was asked for by itself."""
    if isinstance(leg, ByWords):
        return Answer(_ranked("keyword", leg.hits), words=leg, warnings=[*leg.warnings])
    return Answer(_ranked("semantic", leg.hits), meaning=leg)


def _ranked(name: str, hits: Sequence[Hit]) -> list[Fused]:
    return [
        Fused(hit.subject, hit.score, {name: Standing(rank, hit)})
        for rank, hit in enumerate(hits, 1)
    ]


def joined(
    fusion: Fusion, words: ByWords | None, meaning: ByMeaning | None, losses: Sequence[str]
) -> Answer:
    """The ranking of both legs together, or of the one that answered; with warnings of what was lost."""
    legs = {"semantic": meaning, "keyword": words}
    answered = {name: leg for name, leg in legs.items() if leg is not None}
    weights = {name: leg.weight for name, leg in answered.items()}
    hits = {name: leg.hits for name, leg in answered.items()}
    warnings = [*(words.warnings if words else ()), *losses]
    return Answer(ranking.fuse(hits, weights, fusion), words, meaning, weights, warnings)
