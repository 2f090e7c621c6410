"""What each leg of a search finds, best first: its candidates, and what stands around them in their conversations."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.common.database import Connection
from services.common.errors import NoServingGeneration
from services.search import aims, legs, query_vectors, ranking, store
from services.search.freshness import Serving
from services.search.keyword import KeywordLeg
from services.search.lookup import Lookup
from services.search.names import Named, asks_more, mentioned
from services.search.nearness import Nearness
from services.search.query_vectors import GenerationGone, QueryVector, QueryVectors
from services.search.question import HYBRID_LIMIT_DEFAULT, RESULTS_MAX, Leg, Question, Search
from services.search.ranking import REACH, Hit
from services.search.reads import Reads
from services.search.recall import RecallProbe, Sample
from services.search.roster import NOBODY, Roster
from services.search.semantic import Plan, SemanticCandidates, SemanticLeg
from services.search.store import Generation, Near, Scope, Subject
from services.search.vicinity import Vicinity

NEIGHBOURS_WITHIN: Final = timedelta(minutes=30)


class Embedded(NamedTuple):
    """The vectors of a query and of its translation, and the seconds that they took."""

    vectors: Sequence[QueryVector]
    seconds: float = 0.0


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


@dataclass(frozen=True, slots=True)
class ByWords:
    """What the keyword leg found, how it looked words up, what became of those it could not, and how long it took."""

    hits: Sequence[Hit]
    leg: Leg
    lookup: Lookup
    warnings: Sequence[str]
    seconds: float

    @property
    def weight(self) -> float:
        """What it counts beside the other leg: less if much of the query occurs nowhere, more if one has all of it."""
        return self.leg.weight * self.lookup.coverage * ranking.emphasis(self.hits)


@dataclass(frozen=True, slots=True)
class ByMeaning:
    """What the semantic leg found, how it read vectors, and how long it took.

    The cosine from which on a text is near to the query is 0 if that is not known; beside it, of how many texts it was
    measured. What was sought is told of a hybrid search alone.
    """

    hits: Sequence[Hit]
    leg: Leg
    candidates: SemanticCandidates
    near_score: float
    sampled: int
    sought: Sought | None
    embed_seconds: float
    seconds: float

    @property
    def weight(self) -> float:
        """What it counts beside the other leg."""
        return self.leg.weight


@dataclass(frozen=True, slots=True)
class Legs:
    """Finds by words and by meaning."""

    reads: Reads
    vectors: QueryVectors
    keyword: KeywordLeg
    semantic: SemanticLeg
    serving: Serving
    nearness: Nearness
    roster: Roster
    probe: RecallProbe | None
    clock: Callable[[], float]

    async def by_words(self, connection: Connection, search: Search) -> ByWords:
        """Return what has the query's words, ordered by them and those of the surroundings."""
        started, question = self.clock(), search.question
        leg = question.keyword or Leg()
        found = await self.keyword.find(
            connection,
            search.workspace,
            search.words.terms,
            question.filter,
            question.kinds,
            question.documents,
            question.after,
            await self._named(connection, search),
            alone=not question.is_hybrid,
        )
        hits: list[Hit] = []
        if found.documents:
            anchors = legs.anchors(found.documents)
            around = await self._around(connection, search, anchors, found.lookup.queries)
            hits = legs.by_words(found, around, _most(question, leg), heard=question.is_hybrid)
        warnings = found.warnings if question.text else ()
        kept = _cut(hits, question, leg)
        return ByWords(kept, leg, found.lookup, warnings, self.clock() - started)

    async def embed(self, search: Search) -> Embedded:
        """Return the vectors of the query and of its translation; none if nothing is looked for by meaning.

        Raises NoServingGeneration, GenerationGone and ModelUnavailable.
        """
        question, started = search.question, self.clock()
        if question.semantic is None:
            return Embedded(())
        if question.vector is not None:
            return Embedded((question.vector,))
        serving = await self._serving_id()
        if serving is None:
            raise NoServingGeneration
        texts = [search.words.meaning if question.is_hybrid else question.text]
        texts += [search.words.translation] if search.words.translation else []
        vectors = await self.vectors.of_all(texts, question.authorization, serving)
        return Embedded(vectors, self.clock() - started)

    async def _serving_id(self) -> UUID | None:
        """The generation that serves; without one there is nothing to compare a vector with."""
        if self.serving.known:
            return self.serving.known
        async with self.reads.connection() as connection:
            serving = await self.serving.generation(connection, None)
        return serving.id if serving else None

    async def by_meaning(
        self, connection: Connection, search: Search, embedded: Embedded
    ) -> ByMeaning:
        """Return what is near to the vectors: by cosine; in a hybrid search by the surroundings as well."""
        generation = await self._generation(connection, embedded.vectors)
        started, question = self.clock(), search.question
        leg, values = question.semantic or Leg(), tuple(each.value for each in embedded.vectors)
        scope = Scope(search.workspace, generation, question.filter, question.kinds)
        count = question.after.sampled if question.after else None
        sampled = await self.nearness.sampled(connection, search.workspace, generation, count)
        hybrid = question.is_hybrid
        wanted = aims.less_common(values, sampled.common) if hybrid else aims.plain(values)
        candidates = await self.semantic.find(
            connection, scope, wanted, question.candidates, question.end
        )
        if candidates.plan is not Plan.EXACT and self.probe is not None:
            self.probe.offer(Sample(scope, wanted, tuple(candidates.nearest)))
        sought = Sought(generation, values) if hybrid else None
        if sought is None:
            hits = legs.by_meaning(candidates.nearest)
        else:
            hits = await self._with_surroundings(connection, search, sought, candidates.nearest)
        return ByMeaning(
            _cut(hits, question, leg),
            leg,
            candidates,
            sampled.near_score(values),
            sampled.count,
            sought,
            embedded.seconds,
            self.clock() - started,
        )

    async def _with_surroundings(
        self, connection: Connection, search: Search, sought: Sought, nearest: Sequence[Near]
    ) -> list[Hit]:
        """Order what is near by what stands around it, and by who wrote it if the query names somebody."""
        leg = search.question.semantic or Leg()
        around = await self._around(connection, search, legs.similar(nearest), ())
        named = await self._named(connection, search)
        authors = frozenset[str]().union(*(each.authors for each in named.values()))
        hits = legs.by_meaning_around(nearest, around, _most(search.question, leg), authors)
        if leg.score_min:
            subjects = [hit.subject for hit in hits]
            cosines = await sought.cosines(connection, search.workspace, subjects)
            hits = legs.with_scores(hits, cosines)
        return hits

    async def _named(self, connection: Connection, search: Search) -> Mapping[str, Named]:
        """Return which words of a hybrid search name authors, and whom; none where a filter says who wrote it."""
        question, words = search.question, search.words
        if not question.is_hybrid or question.filter.author_ids is not None:
            return NOBODY
        named = await self.roster.named(connection, search.workspace, words.meaning)
        return named if asks_more((term.text for term in words.terms), named) else mentioned(named)

    async def _around(
        self,
        connection: Connection,
        search: Search,
        anchors: Sequence[UUID],
        queries: Sequence[str],
    ) -> Vicinity:
        """Read what stands around a leg's best candidates."""
        where = (connection, search.workspace, search.question.filter)
        return await Vicinity.read(*where, anchors, queries, NEIGHBOURS_WITHIN, REACH.steps_max)

    async def _generation(
        self, connection: Connection, vectors: Sequence[QueryVector]
    ) -> Generation:
        """Return the serving generation, which the vectors must be of."""
        expected = vectors[0].generation if vectors else None
        generation = await self.serving.generation(connection, expected)
        if generation is None:
            raise NoServingGeneration
        for vector in vectors:
            if vector.generation not in (None, generation.id):
                raise GenerationGone("the serving generation has changed")
            query_vectors.check_dimensions(vector, generation.dimensions)
        return generation


def _most(question: Question, leg: Leg) -> int:
    """How many hits of a leg can be kept: all that there are if some may yet fall below its least score."""
    return sys.maxsize if leg.score_min else _limit(question, leg)


def _limit(question: Question, leg: Leg) -> int:
    return leg.limit or (HYBRID_LIMIT_DEFAULT if question.is_hybrid else RESULTS_MAX)


def _cut(hits: Sequence[Hit], question: Question, leg: Leg) -> list[Hit]:
    """Drop hits below the leg's least score, then those beyond its limit."""
    kept = [hit for hit in hits if not leg.score_min or hit.score >= leg.score_min]
    return kept[: _limit(question, leg)]
