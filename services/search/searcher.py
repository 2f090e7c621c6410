"""One search: its words are read, its legs find, what they found is joined, and one page of that is read."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Final, TypeVar
from uuid import UUID

from services.common import metrics
from services.common.database import Connection
from services.common.errors import ModelUnavailable
from services.search import lookups, paging, ranking
from services.search.answer import Answer, alone, joined
from services.search.common_words import CommonWords
from services.search.conditions import both
from services.search.contents import Contents
from services.search.copies import Copies
from services.search.finding import ByMeaning, ByWords, Legs
from services.search.freshness import FreshnessGauge, Serving
from services.search.keyword import KeywordLeg
from services.search.losses import what_is_left
from services.search.nearness import Nearness
from services.search.presenting import present
from services.search.query_vectors import GenerationGone, QueryVectors
from services.search.question import Question, Search
from services.search.ranking import Fused
from services.search.reads import Reads
from services.search.recall import RecallProbe
from services.search.reranking import DEPTH, Reranker, passage, reorder
from services.search.roster import Roster
from services.search.semantic import SemanticLeg
from services.search.statistics import Statistics
from services.search.waiting import Waiting
from services.search.words import Words, parse

T = TypeVar("T")

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
        self.reads, self._reranker, self._clock = reads, reranker, clock
        self.serving, self.freshness = Serving(clock), FreshnessGauge(reads, clock)
        self.roster, statistics = Roster(reads, clock), Statistics(clock)
        keyword, self.semantic = KeywordLeg(statistics), SemanticLeg(statistics, copies)
        self.common_words = CommonWords(reads, keyword, statistics, clock)
        known_by = (self.serving, Nearness(clock), self.roster)
        self._legs = Legs(reads, vectors, keyword, self.semantic, *known_by, probe, clock)
        self._waiting = Waiting(reads, self.serving, clock)

    async def search(
        self, workspace: UUID, question: Question, turns: asyncio.Semaphore | None = None
    ) -> Answer:
        """Answer a question; what it waits for first takes no turn of those that it shares with others, if it does.

        Raises NoServingGeneration and ModelUnavailable when only the semantic leg was asked for and cannot answer,
        and NotFound when a message is waited for that is not there.
        """
        started = self._clock()
        try:
            answer = await self._search(workspace, question, turns)
        except GenerationGone:
            self.serving.forget()
            # What is waited for must have its vector in the other generation, too; there is no more time for it.
            left = question.waiting_less(self._clock() - started)
            answer = await self._search(workspace, left, turns)
        answer.timings.total = self._clock() - started
        metrics.SEARCHES.labels(str(answer.semantic.plan)).inc()
        if answer.semantic.under_filled:
            metrics.SEARCHES_UNDER_FILLED.inc()
        return answer

    async def _search(
        self, workspace: UUID, question: Question, turns: asyncio.Semaphore | None
    ) -> Answer:
        waited, outcome = 0.0, ""
        if question.wait is not None:
            waited, outcome = await self._timed(self._waiting.until(workspace, question.wait))
        async with turns or nullcontext():
            search = await self._read(workspace, question)
            answer = (
                await self._from_both(search)
                if question.is_hybrid
                else await self._from_one(search)
            )
        answer.timings.wait, answer.wait_outcome = waited, outcome
        self.common_words.want(workspace)
        return answer

    async def _read(self, workspace: UUID, question: Question) -> Search:
        """Read the words of a question; what phrases and exclusions demand every result must satisfy."""
        # Who brings the vector and asks for nothing else need not have words.
        needed = question.keyword is not None or question.vector is None
        words = parse(question.text) if needed else _NO_WORDS_AT_ALL
        if words.constrains and question.keyword is not None:
            async with self.reads.reading(workspace) as connection:
                query, condition = await self._legs.keyword.constraint(connection, words)
            condition = both(question.filter.condition, condition)
            chosen = replace(question.filter, words=query, condition=condition)
            question = replace(question, filter=chosen)
        return Search(workspace, question, words)

    async def _from_one(self, search: Search) -> Answer:
        """Answer from one leg, in one transaction."""
        embedded = await self._legs.embed(search)
        async with self._reading(search) as connection:
            if search.question.semantic is not None:
                answer = alone(await self._legs.by_meaning(connection, search, embedded))
            else:
                answer = alone(await self._legs.by_words(connection, search))
            if not search.question.dress.rerank:
                return await self._finished(connection, search, answer)
        return await self._reordered(search, answer)

    async def _from_both(self, search: Search) -> Answer:
        """Answer from both legs at once, or from the one that works."""
        found = await asyncio.gather(
            self._by_words(search), self._by_meaning(search), return_exceptions=True
        )
        answer = joined(search.question.fusion, *what_is_left(*found))
        if search.question.dress.rerank:
            return await self._reordered(search, answer)
        async with self._reading(search) as connection:
            answer.ranked = await self._settled(connection, search, answer.ranked)
            return await self._finished(connection, search, answer)

    async def _by_words(self, search: Search) -> ByWords:
        async with self._reading(search) as connection:
            return await self._legs.by_words(connection, search)

    async def _by_meaning(self, search: Search) -> ByMeaning:
        embedded = await self._legs.embed(search)
        async with self._reading(search) as connection:
            return await self._legs.by_meaning(connection, search, embedded)

    def _reading(self, search: Search) -> AbstractAsyncContextManager[Connection]:
        """A transaction for a part of a search, under the settings that suit what is asked."""
        question = search.question
        limit = question.candidates if question.semantic else 0
        where = (search.workspace, question.filter, question.kinds)
        return self.reads.reading(search.workspace, self.semantic.settings(*where, limit))

    async def _settled(
        self, connection: Connection, search: Search, ranked: Sequence[Fused]
    ) -> Sequence[Fused]:
        """Put what no longer holds after what replaced it, and answers before their questions."""
        subjects = [each.subject for each in ranked]
        # One word is looked for where it stands: nothing was asked that somebody was told.
        asked = len(search.words.terms) != 1
        held = await lookups.settling(connection, search.workspace, subjects, asked=asked)
        return ranking.answers_first(ranking.lower(ranked, held.ended), held.asking)

    async def _reordered(self, search: Search, answer: Answer) -> Answer:
        """Let a model order the best anew, outside any transaction, then finish."""
        if self._reranker is None:
            answer.warnings.append(
                "results were not ordered anew: this deployment has no reranker set"
            )
        elif search.question.after is not None:
            answer.warnings.append("results were not ordered anew: those before them were not")
        else:
            await self._grade(self._reranker, search, answer)
        async with self.reads.reading(search.workspace) as connection:
            return await self._finished(connection, search, answer)

    async def _grade(self, reranker: Reranker, search: Search, answer: Answer) -> None:
        """Put what the model thinks best first, of the best few; a warning says if it does not answer."""
        best = answer.ranked[:DEPTH]
        async with self.reads.reading(search.workspace) as connection:
            subjects = [each.subject for each in best]
            contents = await Contents.read(connection, search.workspace, subjects)
        best = [each for each in best if each.subject in contents]
        texts = [passage(contents, each.subject) for each in best]
        try:
            answer.timings.rerank, scores = await self._timed(
                reranker.scores(search.question.text, texts)
            )
        except ModelUnavailable as error:
            answer.warnings.append(f"results were not ordered anew: {error}")
        else:
            first, answer.rerank_scores = reorder(best, scores)
            answer.ranked = [*first, *answer.ranked[DEPTH:]]

    async def _finished(self, connection: Connection, search: Search, answer: Answer) -> Answer:
        """Cut the page out of the ranking, read what is on it, and say how fresh it is."""
        answer.timings.fetch, _ = await self._timed(present(connection, search, answer))
        answer.total = paging.total_size(search.question, answer)
        generation = await self.serving.generation(connection, None)
        answer.freshness = await self.freshness.read(
            connection, search.workspace, generation, anew=search.question.wait is not None
        )
        return answer

    async def _timed(self, work: Awaitable[T]) -> tuple[float, T]:
        started = self._clock()
        value = await work
        return self._clock() - started, value
