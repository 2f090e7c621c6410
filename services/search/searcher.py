"""One search: the legs that were asked for, their candidates in order, and the subjects of one page."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import ModelUnavailable, NoServingGeneration
from services.search import legs, query_vectors, ranking, store
from services.search.contents import Contents
from services.search.freshness import FreshnessGauge, Serving
from services.search.keyword import KeywordCandidates, KeywordLeg
from services.search.query_vectors import GenerationGone, QueryVector, QueryVectors
from services.search.ranking import REACH, Fused, Hit
from services.search.semantic import SemanticCandidates, SemanticLeg
from services.search.statistics import Statistics
from services.search.store import Filter, Freshness, Generation
from services.search.words import Words, parse

T = TypeVar("T")

RESULTS_MAX: Final = 1_000
HYBRID_LIMIT_DEFAULT: Final = 50
HYBRID_POOL: Final = 200
NEIGHBOURS_WITHIN: Final = timedelta(minutes=30)
# The same candidates for every page that they suffice for, so that pages do not overlap.
_POOLS: Final = (20, 100, RESULTS_MAX)


@dataclass(frozen=True, slots=True)
class Leg:
    """The settings of one leg; a limit of 0 is the default."""

    limit: int = 0
    score_min: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, and which results of the ranking are wanted."""

    text: str
    kinds: tuple[str, ...]
    filter: Filter
    semantic: Leg | None
    keyword: Leg | None
    vector: QueryVector | None
    authorization: str
    offset: int
    count: int

    @property
    def is_hybrid(self) -> bool:
        """Whether both legs are asked for."""
        return self.semantic is not None and self.keyword is not None

    @property
    def pool(self) -> int:
        """How many candidates each leg looks for, before its own limit."""
        if self.is_hybrid:
            return HYBRID_POOL
        end = self.offset + self.count + 1
        return next((size for size in _POOLS if size >= end), RESULTS_MAX)


@dataclass(slots=True)
class Timings:
    """Seconds that each part took."""

    embed: float = 0.0
    semantic: float = 0.0
    keyword: float = 0.0
    fetch: float = 0.0


@dataclass(slots=True)
class Answer:
    """One page of results with all that is known about how they were found."""

    results: Sequence[Fused] = ()
    contents: Contents = field(default_factory=Contents)
    more: bool = False
    warnings: list[str] = field(default_factory=list)
    freshness: Freshness = field(default_factory=lambda: Freshness(0, None))
    semantic: SemanticCandidates = field(default_factory=SemanticCandidates)
    keyword_candidates: int = 0
    timings: Timings = field(default_factory=Timings)


class Searcher:
    """Answers questions about one workspace at a time."""

    def __init__(
        self,
        database: Database,
        vectors: QueryVectors,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._vectors, self._clock = database, vectors, clock
        statistics = Statistics(clock)
        self._keyword, self._semantic = KeywordLeg(statistics), SemanticLeg(statistics)
        self._serving, self._freshness = Serving(clock), FreshnessGauge(clock)

    async def search(self, workspace: UUID, question: Question) -> Answer:
        """Answer a question.

        Raises NoServingGeneration and ModelUnavailable when only the semantic leg was asked for and cannot answer.
        """
        try:
            return await self._search(workspace, question)
        except GenerationGone:
            self._serving.forget()
            return await self._search(workspace, question)

    async def _search(self, workspace: UUID, question: Question) -> Answer:
        words = parse(question.text)
        answer = Answer()
        (keyword, question), vectors = await asyncio.gather(
            self._find_words(workspace, question, words, answer),
            self._embed(question, words, answer),
        )
        async with self._database.transaction(workspace) as connection:
            generation = await self._generation(connection, question, vectors, answer)
            meaning: list[Hit] = []
            if vectors and generation is not None:
                meaning = await self._find_meaning(
                    connection, workspace, generation, question, vectors, answer
                )
            ranked = await self._rank(connection, workspace, question, meaning, keyword, answer)
            await self._fetch(connection, workspace, question, ranked, answer)
            answer.freshness = await self._freshness.read(connection, workspace, generation)
        return answer

    async def _embed(
        self, question: Question, words: Words, answer: Answer
    ) -> Sequence[QueryVector]:
        """Return the vectors of the query and of its translation; none if the semantic leg has to stay away."""
        if question.vector is not None:
            return [question.vector]
        if question.semantic is None:
            return []
        serving = await self._serving_id()
        if serving is None:
            return []
        texts = [words.meaning if question.is_hybrid else question.text]
        texts += [words.translation] if words.translation else []
        try:
            answer.timings.embed, vectors = await self._timed(
                asyncio.gather(
                    *(self._vectors.of(text, question.authorization, serving) for text in texts)
                )
            )
        except GenerationGone:
            raise
        except ModelUnavailable:
            if not question.is_hybrid:
                raise
            answer.warnings.append(
                "the embedder does not answer: these results were found by words alone"
            )
            return []
        return vectors

    async def _serving_id(self) -> UUID | None:
        """The generation that serves; without one there is nothing to compare a vector with."""
        if self._serving.known:
            return self._serving.known
        async with self._database.connection() as connection:
            serving = await self._serving.generation(connection, None)
        return serving.id if serving else None

    async def _find_words(
        self, workspace: UUID, question: Question, words: Words, answer: Answer
    ) -> tuple[KeywordCandidates | None, Question]:
        """Return the keyword leg's candidates, and the question with what phrases and exclusions demand."""
        if question.keyword is None:
            return None, question
        pool = RESULTS_MAX if not question.is_hybrid else HYBRID_POOL
        started = self._clock()
        async with self._database.transaction(workspace) as connection:
            constraint = await self._keyword.constraint(connection, words)
            chosen = replace(question.filter, words=constraint)
            found = await self._keyword.find(
                connection, workspace, words.terms, chosen, question.kinds, pool
            )
        answer.timings.keyword = self._clock() - started
        if found.corrected:
            listed = ", ".join(found.corrected)
            answer.warnings.append(f"nothing contains these words; searched for {listed} instead")
        return found, replace(question, filter=chosen)

    async def _generation(
        self,
        connection: Connection,
        question: Question,
        vectors: Sequence[QueryVector],
        answer: Answer,
    ) -> Generation | None:
        """Return the serving generation; check that the vectors are of it."""
        expected = vectors[0].generation if vectors else None
        generation = await self._serving.generation(connection, expected)
        if question.semantic is None:
            return generation
        if generation is None:
            if not question.is_hybrid:
                raise NoServingGeneration
            answer.warnings.append(
                "nothing has been embedded yet: these results were found by words alone"
            )
            return None
        for vector in vectors:
            if vector.generation not in (None, generation.id):
                raise GenerationGone("the serving generation has changed")
            query_vectors.check_dimensions(vector, generation.dimensions)
        return generation

    async def _find_meaning(
        self,
        connection: Connection,
        workspace: UUID,
        generation: Generation,
        question: Question,
        vectors: Sequence[QueryVector],
        answer: Answer,
    ) -> list[Hit]:
        """Return what is near to the vectors: by cosine; in a hybrid search by the surroundings as well."""
        leg, values = question.semantic or Leg(), [vector.value for vector in vectors]
        started = self._clock()
        answer.semantic = await self._semantic.find(
            connection,
            workspace,
            generation,
            question.filter,
            question.kinds,
            values,
            max(leg.limit, question.pool),
        )
        nearest = answer.semantic.nearest
        if question.is_hybrid:
            steps = await store.steps(
                connection,
                workspace,
                question.filter,
                legs.similar(nearest),
                NEIGHBOURS_WITHIN,
                REACH.steps_max,
            )
            ordered = legs.by_meaning_around(nearest, steps)
            ordered = ordered if leg.score_min else ordered[: leg.limit or HYBRID_LIMIT_DEFAULT]
            unknown = legs.unscored(ordered)
            cosines = await store.cosines(connection, workspace, generation, unknown, values)
            ordered = legs.with_scores(ordered, cosines)
        else:
            ordered = legs.by_meaning(nearest)
        answer.timings.semantic = self._clock() - started
        return ordered

    async def _rank(
        self,
        connection: Connection,
        workspace: UUID,
        question: Question,
        meaning: list[Hit],
        keyword: KeywordCandidates | None,
        answer: Answer,
    ) -> list[Fused]:
        """Order the candidates of each leg, cut them to its limits, and join the legs."""
        hits: dict[str, list[Hit]] = {}
        weights: dict[str, float] = {}
        if question.semantic is not None:
            hits["semantic"] = _cut(meaning, question, question.semantic)
            weights["semantic"] = question.semantic.weight
        if question.keyword is not None and keyword is not None:
            ordered = await self._order_words(connection, workspace, question, keyword, answer)
            hits["keyword"] = _cut(ordered, question, question.keyword)
            coverage = keyword.lookup.coverage if question.is_hybrid else 1.0
            weights["keyword"] = question.keyword.weight * coverage
            answer.keyword_candidates = len(hits["keyword"])
        return ranking.fuse(hits, weights) if question.is_hybrid else _alone(hits)

    async def _order_words(
        self,
        connection: Connection,
        workspace: UUID,
        question: Question,
        keyword: KeywordCandidates,
        answer: Answer,
    ) -> list[Hit]:
        """Order by words and those of the surroundings."""
        if not keyword.documents:
            return []
        started = self._clock()
        around = await store.neighbours(
            connection,
            workspace,
            question.filter,
            legs.anchors(keyword.documents),
            keyword.lookup.queries,
            NEIGHBOURS_WITHIN,
            REACH.steps_max,
        )
        ordered = legs.by_words(keyword, around, wordless=question.is_hybrid)
        answer.timings.keyword += self._clock() - started
        return ordered

    async def _fetch(
        self,
        connection: Connection,
        workspace: UUID,
        question: Question,
        ranked: Sequence[Fused],
        answer: Answer,
    ) -> None:
        """Read the subjects of the page; what was deleted meanwhile is left out."""
        end = min(question.offset + question.count, RESULTS_MAX)
        page = ranked[question.offset : end]
        answer.more = len(ranked) > end and end < RESULTS_MAX
        answer.timings.fetch, answer.contents = await self._timed(
            Contents.read(connection, workspace, [each.subject for each in page])
        )
        answer.results = [each for each in page if each.subject in answer.contents]

    async def _timed(self, work: Awaitable[T]) -> tuple[float, T]:
        started = self._clock()
        value = await work
        return self._clock() - started, value


def _cut(hits: Sequence[Hit], question: Question, leg: Leg) -> list[Hit]:
    """Drop hits below the leg's least score, then those beyond its limit."""
    default = HYBRID_LIMIT_DEFAULT if question.is_hybrid else RESULTS_MAX
    kept = [hit for hit in hits if not leg.score_min or hit.score >= leg.score_min]
    return kept[: leg.limit or default]


def _alone(hits: dict[str, list[Hit]]) -> list[Fused]:
    """The hits of the only leg, each with the leg's own score."""
    return [
        Fused(hit.subject, hit.score, {leg: (rank, hit)})
        for leg, ordered in hits.items()
        for rank, hit in enumerate(ordered, 1)
    ]
