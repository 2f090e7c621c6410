"""The keyword leg: finds documents by the word indexes and weighs them by how rare their words are."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self
from uuid import UUID

from services.common.database import Connection
from services.search import phrases, ranking, store
from services.search.conditions import Condition
from services.search.question import Place
from services.search.statistics import TERM_DOCUMENTS_MAX, Statistics
from services.search.store import Document, Filter
from services.search.words import (
    TIME_WORDS,
    Alternative,
    Match,
    Term,
    Words,
    corrections,
    likely_starts,
)

# Documents that have one of the rarest terms alone: so many at least, and up to so many.
CANDIDATES_MIN: Final = 100
CANDIDATES_MAX: Final = 500
# About as many are weighed as this.
MATCHED_MAX: Final = 2_000
# Terms of one query stand in one message so much more often than chance has it.
_TOGETHER_TIMES: Final = 3
SCANNED_MAX: Final = 10_000
CORRECTED_MAX: Final = 4
# A document has a bit for each term, and one for each of these.
OWN_MAX: Final = 24
CORRECTED_LETTERS_MIN: Final = 4
# Longer ones are keys and hashes, which nobody types.
CORRECTED_LETTERS_MAX: Final = 40
BESIDE_OTHERS_LETTERS_MIN: Final = 6
_LIKE_MAX: Final = 2_000
_NOTHING_TO_LOOK_UP: Final = (
    "nothing was looked up by words: the query has only common words, signs or exclusions"
)
_LOOKED_THROUGH: Final = (
    "every text was looked through: "
    "quoted words that all are common, or have no spaces, are in no index"
)


@dataclass(frozen=True, slots=True)
class Own:
    """A term in its own language alone: who has the word itself, not what it means, has what is rarer."""

    query: str
    containing: int
    # What it weighs beyond the term.
    weight: float


@dataclass(frozen=True, slots=True)
class Lookup:
    """Terms as the database knows them: queries and weights side by side; those that nothing contains weigh too."""

    texts: tuple[str, ...]
    queries: tuple[str, ...]
    containing: tuple[int, ...]
    weights: tuple[float, ...]
    documents: int = 0
    # The terms that were taken for slips, a bit each, and looked up as what they resemble.
    slips: int = 0
    own: tuple[Own, ...] = ()

    @property
    def counts(self) -> tuple[int, ...]:
        """How many documents there are, then in how many each term occurs, and those that are typed in any language."""
        return (self.documents, *self.containing, *(own.containing for own in self.own))

    @property
    def telling(self) -> list[Own]:
        """Where a word itself is rarer than what means the same."""
        return [own for own in self.own if own.weight > 0]

    @property
    def matched(self) -> tuple[str, ...]:
        """What is looked for in each document: the terms, then words as they are typed."""
        return (*self.queries, *(own.query for own in self.telling))

    @property
    def matched_weights(self) -> tuple[float, ...]:
        """What each of them weighs."""
        return (*self.weights, *(own.weight for own in self.telling))

    @property
    def found(self) -> bool:
        """Whether any term occurs anywhere."""
        return any(self.containing)

    @property
    def is_everywhere(self) -> bool:
        """Whether so much has any of the terms that not all of it may be looked at."""
        return sum(self.containing) >= TERM_DOCUMENTS_MAX

    @property
    def counted(self) -> list[tuple[int, str]]:
        """In how many documents each term is that is anywhere, the rarest first, and its query."""
        pairs = zip(self.containing, self.queries, strict=True)
        return sorted((count, query) for count, query in pairs if count)

    @property
    def any_term(self) -> str:
        """The query of what has any of the terms."""
        return _any(query for _, query in self.counted)

    @property
    def missing(self) -> frozenset[str]:
        """The terms that occur nowhere."""
        pairs = zip(self.texts, self.containing, strict=True)
        return frozenset(text for text, count in pairs if not count)

    def before(self, terms: Sequence[Term], slips: int) -> Self:
        """As it was when some terms were taken for slips, since they occurred nowhere."""
        typed = {term.text for i, term in enumerate(terms) if slips >> i & 1}
        pairs = zip(self.texts, self.containing, strict=True)
        return replace(
            self, containing=tuple(0 if text in typed else count for text, count in pairs)
        )

    @property
    def coverage(self) -> float:
        """The share of the query's weight that occurs anywhere, from 0 to 1: low when it is in another language.

        What only tells when, and which no message says, does not count: what was sent then is not told so.
        """
        found = zip(self.weights, self.containing, strict=True)
        total = self.whole
        return sum(weight for weight, count in found if count) / total if total else 0.0

    @property
    def whole(self) -> float:
        """The weight of the query: about what a text scores that has every term once, without any neighbours."""
        terms = zip(self.texts, self.weights, self.containing, strict=True)
        return sum(weight for text, weight, count in terms if count or not _tells_when(text))


@dataclass(frozen=True, slots=True)
class KeywordCandidates:
    """What the keyword leg found, before it is ordered."""

    lookup: Lookup
    documents: list[Document] = field(default_factory=list)
    corrected: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What became of words that cannot be looked up or occur nowhere."""
        if self.documents and not self.lookup.found:
            return [_LOOKED_THROUGH]
        if not self.lookup.texts:
            return [_NOTHING_TO_LOOK_UP]
        listed = ", ".join(self.corrected)
        return [f"some words occur nowhere; searched for {listed} instead"] if listed else []


class KeywordLeg:
    """Reads the word indexes."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    async def constraint(
        self, connection: Connection, words: Words
    ) -> tuple[str | None, Condition | None]:
        """Return what every result must satisfy: a query that the index of words answers, and what its text must.

        The index knows stems and not the commonest words, so that it only tells where a phrase may stand.
        """
        known = [*filter(phrases.is_in_index, words.phrases)]
        query = await store.compile_constraint(connection, known, words.exclusions)
        return query, phrases.as_they_are(words.phrases, words.excluded_phrases)

    async def find(
        self,
        connection: Connection,
        workspace: UUID,
        terms: Sequence[Term],
        chosen: Filter,
        kinds: Sequence[str],
        limit: int,
        after: Place | None = None,
    ) -> KeywordCandidates:
        """Return the best documents by their own words, at most limit; words that occur nowhere are corrected.

        After an earlier page words weigh what they weighed there, and its slips stay slips.
        """
        lookup = await self._look_up(connection, workspace, terms, kinds)
        corrected: tuple[str, ...] = ()
        slips, counts = 0, after.counts if after else ()
        if after is not None:
            lookup = lookup.before(terms, after.slips)
        if lookup.missing:
            terms, corrected, slips = await self._corrected(connection, terms, lookup)
        if corrected or counts:
            lookup = await self._look_up(connection, workspace, terms, kinds, counts)
        lookup = replace(lookup, slips=slips)
        if not lookup.found:
            return KeywordCandidates(lookup, await _with_phrases(connection, chosen, kinds, limit))
        asked, everything = candidate_query(lookup), lookup.any_term

        async def match(query: str, scan_limit: int | None = SCANNED_MAX) -> list[Document]:
            words = (query, lookup.matched, lookup.matched_weights, ranking.SHAPE)
            return await store.match_documents(connection, chosen, kinds, *words, scan_limit, limit)

        documents = await match(asked)
        if len(documents) < limit and not chosen.is_empty:
            # How often words are is known of all there is: what a filter leaves may have the commoner ones alone.
            if asked != everything:
                documents = await match(everything)
            if len(documents) < limit and lookup.is_everywhere and chosen.condition is not None:
                documents = await match(everything, None)
        return KeywordCandidates(lookup, documents, corrected)

    async def _look_up(
        self,
        connection: Connection,
        workspace: UUID,
        terms: Sequence[Term],
        kinds: Sequence[str],
        counts: Sequence[int] = (),
    ) -> Lookup:
        typed = [i for i, term in enumerate(terms) if term.own][:OWN_MAX]
        alone = [Term(terms[i].text, terms[i].own) for i in typed]
        compiled = await store.compile_terms(connection, [*terms, *alone])
        queries = list(compiled.values())
        if not queries:
            return Lookup((), (), (), ())
        if len(counts) == len(queries) + 1:
            total, *containing = counts
        else:
            total = await self._statistics.documents(connection, workspace, kinds)
            where = (connection, workspace, kinds)
            containing = await self._statistics.containing(*where, queries, total)
        weights = {i: ranking.rarity(total, n) for i, n in zip(compiled, containing, strict=True)}
        looked_up = [i for i in compiled if i < len(terms)]
        own = [
            Own(query, count, weights[i] - weights[typed[i - len(terms)]] if count else 0.0)
            for (i, query), count in zip(compiled.items(), containing, strict=True)
            if i >= len(terms)
        ]
        return Lookup(
            tuple(terms[i].text for i in looked_up),
            tuple(compiled[i] for i in looked_up),
            tuple(containing[: len(looked_up)]),
            tuple(weights[i] for i in looked_up),
            total,
            own=tuple(own),
        )

    async def _corrected(
        self, connection: Connection, terms: Sequence[Term], lookup: Lookup
    ) -> tuple[list[Term], tuple[str, ...], int]:
        """Replace words that occur nowhere by words of messages that look like them; return those, and which, as well.

        Beside words that are found, only a long word is taken for a slip, and for one alone: of those that the
        messages simply lack, many resemble another one.
        """
        letters_min = BESIDE_OTHERS_LETTERS_MIN if lookup.found else CORRECTED_LETTERS_MIN
        slips_max = 1 if lookup.found else 2
        slips = [term for term in terms if _may_be_a_slip(term, lookup, letters_min)]
        found: dict[str, list[str]] = {}
        for term in slips[:CORRECTED_MAX]:
            word = term.text.casefold()
            for start in likely_starts(word):
                known = await store.words_like(connection, start, _LIKE_MAX)
                # Thousands of comparisons: in a thread, so that nobody else waits.
                others = await asyncio.to_thread(corrections, word, known, slips_max)
                if others:
                    found[term.text] = others
                    break
        named = tuple(other for others in found.values() for other in others)
        replaced = sum(1 << i for i, term in enumerate(terms) if term.text in found)
        return [_like(term, found.get(term.text, ())) for term in terms], named, replaced


def _tells_when(text: str) -> bool:
    return text.casefold() in TIME_WORDS


async def _with_phrases(
    connection: Connection, chosen: Filter, kinds: Sequence[str], limit: int
) -> list[Document]:
    """What has phrases none of whose words the index has: each text is looked at."""
    if not phrases.demands(chosen.condition):
        return []
    return await store.match_documents(
        connection, chosen, kinds, "", (), (), ranking.SHAPE, None, limit
    )


def _may_be_a_slip(term: Term, lookup: Lookup, letters_min: int) -> bool:
    is_word = term.text.isalpha() and letters_min <= len(term.text) <= CORRECTED_LETTERS_MAX
    return is_word and term.text in lookup.missing


def _like(term: Term, others: Sequence[str]) -> Term:
    """A term that any of some other words satisfies; the term itself if there are none."""
    if not others:
        return term
    forms = (Match.START if other.isalnum() else Match.WHOLE for other in others)
    alternatives = (Alternative(form, other) for form, other in zip(forms, others, strict=True))
    return Term(others[0], tuple(alternatives))


def candidate_query(lookup: Lookup) -> str:
    """Ask for what has any term, if that is not too much; else for what has one of the rarest, or two of the others.

    Of the others, too, the rarer ones first, as far as they promise few enough documents: the commonest only weigh. If
    even the rarest is everywhere, documents must contain it together with another term.
    """
    known = lookup.counted
    if sum(count for count, _ in known) <= MATCHED_MAX:
        return lookup.any_term
    rarest_count, rarest = known[0]
    if rarest_count >= TERM_DOCUMENTS_MAX and len(known) > 1:
        return f"({rarest}) & ({_any(query for _, query in known[1:])})"
    chosen, others = [rarest], list[tuple[int, str]]()
    promised: float = rarest_count
    for count, query in known[1:]:
        if promised < CANDIDATES_MIN or promised + count <= CANDIDATES_MAX:
            chosen.append(query)
            promised += count
            continue
        promised += sum(_together(count, rarer, lookup.documents) for rarer, _ in others)
        if promised > MATCHED_MAX:
            break
        if others:
            chosen.append(f"({query}) & ({_any(rarer for _, rarer in others)})")
        others.append((count, query))
    return _any(chosen)


def _any(queries: Iterable[str]) -> str:
    return " | ".join(f"({query})" for query in queries)


def _together(common: int, rare: int, documents: int) -> float:
    """About how many documents have both of two terms of one query."""
    return min(rare, _TOGETHER_TIMES * common * rare / max(documents, common))
