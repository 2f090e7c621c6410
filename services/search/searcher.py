"""One search: the legs that were asked for, their candidates in order, and one page of them in the dress wanted."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from services.common import metrics
from services.common.database import Connection
from services.common.errors import ModelUnavailable, NoServingGeneration
from services.search import aims, legs, lookups, paging, query_vectors, ranking
from services.search.answer import Answer, Sought
from services.search.conditions import both
from services.search.contents import Contents
from services.search.copies import Copies
from services.search.freshness import FreshnessGauge, Serving
from services.search.keyword import KeywordCandidates, KeywordLeg
from services.search.losses import what_is_left
from services.search.names import Named, asks_more, mentioned
from services.search.nearness import Nearness
from services.search.presenting import present
from services.search.query_vectors import GenerationGone, QueryVector, QueryVectors
from services.search.question import HYBRID_LIMIT_DEFAULT, RESULTS_MAX, Leg, Question
from services.search.ranking import REACH, Fused, Hit, Standing
from services.search.reads import Reads
from services.search.recall import RecallProbe, Sample
from services.search.reranking import DEPTH, Reranker, passage, reorder
from services.search.roster import NOBODY, Roster
from services.search.semantic import Plan, SemanticLeg
from services.search.statistics import Statistics
from services.search.store import Generation, Scope
from services.search.vicinity import Vicinity
from services.search.waiting import Waiting
from services.search.words import Words, parse

T = TypeVar("T")

NEIGHBOURS_WITHIN: Final = timedelta(minutes=30)
_NO_WORDS_AT_ALL: Final = Words((), (), (), (), "", None)


class Searcher:
    """Answers questions about one workspace at a time."""

    def __init__(
        self,
        reads: Reads,
        vectors: QueryVectors,
        clock: Callable[[], float] = time.monotonic,
        reranker: Reranker | None = None,
        probe: RecallProbe | None = None,
        copies: Copies | None = None,
    ) -> None:
        self.reads, self._vectors, self._clock = reads, vectors, clock
        self.statistics = Statistics(clock)
        self._keyword = KeywordLeg(self.statistics)
        self.semantic = SemanticLeg(self.statistics, copies)
        self.serving, self.freshness = Serving(clock), FreshnessGauge(reads, clock)
        self._nearness, self.roster = Nearness(clock), Roster(reads, clock)
        self._waiting = Waiting(reads, self.serving, clock)
        self._reranker, self._probe = reranker, probe

    async def search(
        self, workspace: UUID, question: Question, turns: asyncio.Semaphore | None = None
    ) -> Answer:
        """Answer a question; what it waits for first takes no turn of those that it shares with others, if it does.

        Raises NoServingGeneration and ModelUnavailable when only the semantic leg was asked for and cannot answer,
        and NotFound when a message is waited for that is not there.
        """
        try:
            return await self._search(workspace, question, turns)
        except GenerationGone:
            self.serving.forget()
            return await self._search(workspace, question, turns)

    async def _search(
        self, workspace: UUID, question: Question, turns: asyncio.Semaphore | None
    ) -> Answer:
        answer, started = Answer(), self._clock()
        if question.wait is not None:
            answer.timings.wait, answer.wait_outcome = await self._timed(
                self._waiting.until(workspace, question.wait)
            )
        async with turns or nullcontext():
            await self._answer(workspace, question, answer)
        answer.timings.total = self._clock() - started
        metrics.SEARCHES.labels(str(answer.semantic.plan)).inc()
        if answer.semantic.under_filled:
            metrics.SEARCHES_UNDER_FILLED.inc()
        return answer

    async def _answer(self, workspace: UUID, question: Question, answer: Answer) -> None:
        # Who brings the vector and asks for nothing else need not have words.
        needed = question.keyword is not None or question.vector is None
        words = parse(question.text) if needed else _NO_WORDS_AT_ALL
        if words.constrains and question.keyword is not None:
            question = await self._constrained(workspace, question, words)
        if question.is_hybrid:
            await self._search_both(workspace, question, words, answer)
        else:
            await self._search_one(workspace, question, words, answer)

    async def _constrained(self, workspace: UUID, question: Question, words: Words) -> Question:
        """Add what phrases and exclusions demand to what every result must satisfy."""
        async with self.reads.reading(workspace) as connection:
            query, condition = await self._keyword.constraint(connection, words)
        condition = both(question.filter.condition, condition)
        return replace(question, filter=replace(question.filter, words=query, condition=condition))

    async def _search_one(
        self, workspace: UUID, question: Question, words: Words, answer: Answer
    ) -> None:
        """Answer from one leg, in one transaction."""
        vectors = await self._embed(question, words, answer)
        async with self._reading(workspace, question) as connection:
            if question.semantic is not None:
                hits = await self._find_meaning(
                    connection, workspace, question, words, vectors, answer
                )
                name, leg = "semantic", question.semantic
            else:
                hits, _ = await self._find_words(connection, workspace, question, words, answer)
                name, leg = "keyword", question.keyword or Leg()
            hits = _cut(hits, question, leg)
            answer.ranked = [
                Fused(hit.subject, hit.score, {name: Standing(rank, hit)})
                for rank, hit in enumerate(hits, 1)
            ]
            answer.keyword_candidates = len(hits) if name == "keyword" else 0
            if not question.dress.rerank:
                await self._finish(connection, workspace, question, answer)
        if question.dress.rerank:
            await self._finish_reranked(workspace, question, answer)

    async def _search_both(
        self, workspace: UUID, question: Question, words: Words, answer: Answer
    ) -> None:
        """Answer from both legs at once, or from the one that works."""
        by_words, by_meaning = await asyncio.gather(
            self._words_leg(workspace, question, words, answer),
            self._meaning_leg(workspace, question, words, answer),
            return_exceptions=True,
        )
        found, near = what_is_left(by_words, by_meaning, answer)
        hits: dict[str, list[Hit]] = {}
        weights = answer.weights
        if question.semantic is not None and near is not None:
            hits["semantic"] = _cut(near, question, question.semantic)
            weights["semantic"] = question.semantic.weight
        if question.keyword is not None and found is not None:
            ordered, coverage = found
            hits["keyword"] = _cut(ordered, question, question.keyword)
            emphasis = ranking.emphasis(hits["keyword"])
            weights["keyword"] = question.keyword.weight * coverage * emphasis
            answer.keyword_candidates = len(hits["keyword"])
        answer.ranked = ranking.fuse(hits, weights, question.fusion)
        if question.dress.rerank:
            await self._finish_reranked(workspace, question, answer)
            return
        async with self._reading(workspace, question) as connection:
            subjects = [each.subject for each in answer.ranked]
            ended = await lookups.ended(connection, workspace, subjects)
            answer.ranked = ranking.lower(answer.ranked, ended)
            # One word is looked for where it stands: nothing was asked that somebody was told.
            if len(words.terms) != 1:
                asking = await lookups.asking(connection, workspace, subjects)
                answer.ranked = ranking.answers_first(answer.ranked, asking)
            await self._finish(connection, workspace, question, answer)

    async def _words_leg(
        self, workspace: UUID, question: Question, words: Words, answer: Answer
    ) -> tuple[list[Hit], float]:
        """Return the keyword leg's candidates in order, and the share of the query that occurs anywhere."""
        async with self._reading(workspace, question) as connection:
            hits, keyword = await self._find_words(connection, workspace, question, words, answer)
        return hits, keyword.lookup.coverage

    async def _meaning_leg(
        self, workspace: UUID, question: Question, words: Words, answer: Answer
    ) -> list[Hit]:
        """Return the semantic leg's candidates in order; raise if it has to stay away."""
        vectors = await self._embed(question, words, answer)
        async with self._reading(workspace, question) as connection:
            return await self._find_meaning(connection, workspace, question, words, vectors, answer)

    def _reading(
        self, workspace: UUID, question: Question
    ) -> AbstractAsyncContextManager[Connection]:
        """A transaction for a part of a search, under the settings that suit what is asked."""
        limit = question.candidates if question.semantic else 0
        settings = self.semantic.settings(workspace, question.filter, question.kinds, limit)
        return self.reads.reading(workspace, settings)

    async def _embed(
        self, question: Question, words: Words, answer: Answer
    ) -> Sequence[QueryVector]:
        """Return the vectors of the query and of its translation."""
        if question.semantic is None:
            return []
        if question.vector is not None:
            return [question.vector]
        serving = await self._serving_id()
        if serving is None:
            raise NoServingGeneration
        texts = [words.meaning if question.is_hybrid else question.text]
        texts += [words.translation] if words.translation else []
        answer.timings.embed, vectors = await self._timed(
            asyncio.gather(
                *(self._vectors.of(text, question.authorization, serving) for text in texts)
            )
        )
        return vectors

    async def _serving_id(self) -> UUID | None:
        """The generation that serves; without one there is nothing to compare a vector with."""
        if self.serving.known:
            return self.serving.known
        async with self.reads.connection() as connection:
            serving = await self.serving.generation(connection, None)
        return serving.id if serving else None

    async def _find_words(
        self,
        connection: Connection,
        workspace: UUID,
        question: Question,
        words: Words,
        answer: Answer,
    ) -> tuple[list[Hit], KeywordCandidates]:
        """Return what has the query's words, ordered by them and those of the surroundings."""
        started = self._clock()
        found = await self._keyword.find(
            connection,
            workspace,
            words.terms,
            question.filter,
            question.kinds,
            question.documents,
            question.after,
            await self._named(connection, workspace, question, words),
            alone=not question.is_hybrid,
        )
        hits: list[Hit] = []
        if found.documents:
            anchors, queries = legs.anchors(found.documents), found.lookup.queries
            around = await self._around(connection, workspace, question, anchors, queries)
            most = _most(question, question.keyword or Leg())
            hits = legs.by_words(found, around, most, heard=question.is_hybrid)
        if question.text:
            answer.warnings += found.warnings
        answer.lookup, answer.timings.keyword = found.lookup, self._clock() - started
        return hits, found

    async def _find_meaning(
        self,
        connection: Connection,
        workspace: UUID,
        question: Question,
        words: Words,
        vectors: Sequence[QueryVector],
        answer: Answer,
    ) -> list[Hit]:
        """Return what is near to the vectors: by cosine; in a hybrid search by the surroundings as well."""
        generation = await self._generation(connection, vectors)
        leg, values = question.semantic or Leg(), tuple(vector.value for vector in vectors)
        started = self._clock()
        scope = Scope(workspace, generation, question.filter, question.kinds)
        count = question.after.sampled if question.after else None
        sampled = await self._nearness.sampled(connection, workspace, generation, count)
        answer.near_score, answer.sampled = sampled.near_score(values), sampled.count
        hybrid = question.is_hybrid
        wanted = aims.less_common(values, sampled.common) if hybrid else aims.plain(values)
        answer.semantic = await self.semantic.find(
            connection, scope, wanted, question.candidates, question.end
        )
        nearest = answer.semantic.nearest
        if answer.semantic.plan is not Plan.EXACT and self._probe is not None:
            self._probe.offer(Sample(scope, wanted, tuple(nearest)))
        if hybrid:
            around = await self._around(connection, workspace, question, legs.similar(nearest), ())
            named = await self._named(connection, workspace, question, words)
            authors = frozenset[str]().union(*(each.authors for each in named.values()))
            ordered = legs.by_meaning_around(nearest, around, _most(question, leg), authors)
            answer.sought = Sought(generation, values)
            if leg.score_min:
                found = [hit.subject for hit in ordered]
                cosines = await answer.sought.cosines(connection, workspace, found)
                ordered = legs.with_scores(ordered, cosines)
        else:
            ordered = legs.by_meaning(nearest)
        answer.timings.semantic = self._clock() - started
        return ordered

    async def _named(
        self, connection: Connection, workspace: UUID, question: Question, words: Words
    ) -> Mapping[str, Named]:
        """Return which words of a hybrid search name authors, and whom; none where a filter says who wrote it."""
        if not question.is_hybrid or question.filter.author_ids is not None:
            return NOBODY
        named = await self.roster.named(connection, workspace, words.meaning)
        return named if asks_more((term.text for term in words.terms), named) else mentioned(named)

    async def _around(
        self,
        connection: Connection,
        workspace: UUID,
        question: Question,
        anchors: Sequence[UUID],
        queries: Sequence[str],
    ) -> Vicinity:
        """Read what stands around a leg's best candidates."""
        if not anchors:
            return Vicinity.nothing()
        reach = (NEIGHBOURS_WITHIN, REACH.steps_max)
        return await Vicinity.read(connection, workspace, question.filter, anchors, queries, *reach)

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

    async def _finish(
        self, connection: Connection, workspace: UUID, question: Question, answer: Answer
    ) -> None:
        """Cut the page out of the ranking, read what is on it, and say how fresh it is."""
        answer.timings.fetch, _ = await self._timed(
            present(connection, workspace, question, answer)
        )
        answer.total = paging.total_size(question, answer)
        generation = await self.serving.generation(connection, None)
        answer.freshness = await self.freshness.read(
            connection, workspace, generation, anew=question.wait is not None
        )

    async def _finish_reranked(self, workspace: UUID, question: Question, answer: Answer) -> None:
        """Let a model order the best anew, outside any transaction, then finish."""
        if self._reranker is None:
            answer.warnings.append(
                "results were not ordered anew: this deployment has no reranker set"
            )
        elif question.after is not None:
            answer.warnings.append("results were not ordered anew: those before them were not")
        else:
            best = answer.ranked[:DEPTH]
            async with self.reads.reading(workspace) as connection:
                contents = await Contents.read(
                    connection, workspace, [each.subject for each in best]
                )
            best = [each for each in best if each.subject in contents]
            texts = [passage(contents, each.subject) for each in best]
            try:
                answer.timings.rerank, scores = await self._timed(
                    self._reranker.scores(question.text, texts)
                )
            except ModelUnavailable as error:
                answer.warnings.append(f"results were not ordered anew: {error}")
            else:
                first, answer.rerank_scores = reorder(best, scores)
                answer.ranked = [*first, *answer.ranked[DEPTH:]]
        async with self.reads.reading(workspace) as connection:
            await self._finish(connection, workspace, question, answer)

    async def _timed(self, work: Awaitable[T]) -> tuple[float, T]:
        started = self._clock()
        value = await work
        return self._clock() - started, value


def _most(question: Question, leg: Leg) -> int:
    """How many hits of a leg can be kept: all that there are if some may yet fall below its least score."""
    return sys.maxsize if leg.score_min else _limit(question, leg)


def _limit(question: Question, leg: Leg) -> int:
    return leg.limit or (HYBRID_LIMIT_DEFAULT if question.is_hybrid else RESULTS_MAX)


def _cut(hits: Sequence[Hit], question: Question, leg: Leg) -> list[Hit]:
    """Drop hits below the leg's least score, then those beyond its limit."""
    kept = [hit for hit in hits if not leg.score_min or hit.score >= leg.score_min]
    return kept[: _limit(question, leg)]
