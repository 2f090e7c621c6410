"""What is asked: a query, its legs, what results must satisfy, and which page is wanted in what dress."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from services.search.query_vectors import QueryVector
from services.search.ranking import Fusion
from services.search.store import Filter
from services.search.words import Words

RESULTS_MAX: Final = 1_000
HYBRID_LIMIT_DEFAULT: Final = 50
# What is found by words; what is found by meaning if some of it may fall below a least score.
HYBRID_POOL: Final = 200
HYBRID_NEAR: Final = 100
GROUP_SIZE_DEFAULT: Final = 3
# The same candidates for every page that they suffice for, so that pages do not overlap.
_POOLS: Final = (20, 100, RESULTS_MAX)


@dataclass(frozen=True, slots=True)
class Leg:
    """The settings of one leg; a limit of 0 is the default."""

    limit: int = 0
    score_min: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: how many came before, and the score and the id of the last; for groups its key as well."""

    offset: int
    score: float
    id: UUID
    key: str = ""
    # In how many documents the words occurred: how many there were in all, then those of each word.
    counts: tuple[int, ...] = ()
    # Which terms were taken for slips, as Lookup.slips has them.
    slips: int = 0
    # How many texts told what all have in common.
    sampled: int = 0

    @property
    def position(self) -> tuple[float | UUID | str, ...]:
        """What stands there among results or groups: the best score first, then by id and key."""
        return (-self.score, self.id, self.key) if self.key else (-self.score, self.id)


@dataclass(frozen=True, slots=True)
class Wait:
    """What to wait for, a message or everything accepted up to a time, and for how many seconds at most."""

    message: UUID | None
    accepted_until: datetime | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Dress:
    """What results come with."""

    neighbours: int = 0
    highlight: bool = False
    group_by: str = ""
    group_size: int = GROUP_SIZE_DEFAULT
    rerank: bool = False
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, and which results of the ranking are wanted."""

    text: str
    kinds: tuple[str, ...]
    filter: Filter
    semantic: Leg | None
    keyword: Leg | None
    vector: QueryVector | None = None
    authorization: str = ""
    after: Place | None = None
    count: int = 10
    wait: Wait | None = None
    dress: Dress = field(default_factory=Dress)
    fusion: Fusion = Fusion.SCORE

    def waiting_less(self, seconds: float) -> "Question":
        """The same question after so many seconds of what it waits for have passed."""
        if self.wait is None:
            return self
        return replace(self, wait=replace(self.wait, seconds=max(0.0, self.wait.seconds - seconds)))

    @property
    def is_hybrid(self) -> bool:
        """Whether both legs are asked for."""
        return self.semantic is not None and self.keyword is not None

    @property
    def end(self) -> int:
        """How many results of the ranking the page and those before it hold."""
        return (self.after.offset if self.after else 0) + self.count

    @property
    def candidates(self) -> int:
        """How many subjects the semantic leg looks for."""
        return max(self.semantic.limit if self.semantic else 0, self.pool)

    @property
    def documents(self) -> int:
        """How many documents the keyword leg looks for."""
        limit = self.keyword.limit if self.keyword else 0
        return max(limit, HYBRID_POOL) if self.is_hybrid else RESULTS_MAX

    @property
    def pool(self) -> int:
        """How many candidates the semantic leg looks for, before its own limit."""
        least = self.semantic is not None and self.semantic.score_min > 0
        if self.is_hybrid:
            # Those beyond the leg's limit have no surroundings that lift them, or are found by these.
            return HYBRID_NEAR if least else HYBRID_LIMIT_DEFAULT
        if self.dress.group_by or least:
            return RESULTS_MAX
        return next((size for size in _POOLS if size >= self.end + 1), RESULTS_MAX)


@dataclass(frozen=True, slots=True)
class Search:
    """A question that is being answered: in which workspace, and how its words are read."""

    workspace: UUID
    question: Question
    words: Words
