"""The keyword leg: finds documents by the word indexes and weighs them by how rare their words are."""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final
from uuid import UUID

import numpy as np

from services.common.database import Connection
from services.search import phrases, ranking, store
from services.search.conditions import Condition
from services.search.lookup import Lookup, Own, any_of
from services.search.names import Named, part_of
from services.search.question import Place
from services.search.roster import NOBODY
from services.search.statistics import TERM_DOCUMENTS_MAX, Statistics
from services.search.store import Document, Filter, Subject
from services.search.words import (
    Alternative,
    Match,
    Term,
    Words,
    corrections,
    is_cyrillic,
    likely_starts,
    spelt,
)

# Documents that have one of the rarest terms alone: so many at least, and up to so many.
CANDIDATES_MIN: Final = 50
CANDIDATES_MAX: Final = 250
# About as many are weighed as this.
MATCHED_MAX: Final = 1_000
# Where words alone are asked for, nothing else finds what they leave: twice as many of each.
_TIMES_ALONE: Final = 2
# Terms of one query stand in one message so much more often than chance has it.
_TOGETHER_TIMES: Final = 3
SCANNED_MAX: Final = 10_000
# So many of what those wrote who are named, by the other words.
WRITTEN_MAX: Final = 50
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
class KeywordCandidates:
    """What the keyword leg found, before it is ordered."""

    lookup: Lookup
    documents: list[Document] = field(default_factory=list)
    corrected: tuple[str, ...] = ()
    # Those of the documents that were written by somebody who is named, or rest on what was.
    written: Set[Subject] = frozenset()

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

    async def count(
        self,
        connection: Connection,
        workspace: UUID,
        terms: Sequence[Term],
        kinds: Sequence[str],
    ) -> None:
        """Count in how many documents each term is, so that a search for it finds that remembered."""
        await self._look_up(connection, workspace, terms, kinds, {})

    async def find(
        self,
        connection: Connection,
        workspace: UUID,
        terms: Sequence[Term],
        chosen: Filter,
        kinds: Sequence[str],
        limit: int,
        after: Place | None = None,
        names: Mapping[str, Named] = NOBODY,
        *,
        alone: bool = False,
    ) -> KeywordCandidates:
        """Return the best documents by their own words, at most limit; words that occur nowhere are corrected.

        What those wrote whom a word names has that word, and so has what names them in other letters. After an earlier
        page words weigh what they weighed there, and its slips stay slips.
        """
        terms = [
            spelt(term, names[part].spelt) if (part := part_of(term.text)) in names else term
            for term in terms
        ]
        named = {word: each.authors for word, each in names.items() if each.authors}
        lookup = await self._look_up(connection, workspace, terms, kinds, named)
        corrected: tuple[str, ...] = ()
        slips, counts = 0, after.counts if after else ()
        if after is not None:
            lookup = lookup.before(terms, after.slips)
        if lookup.missing:
            terms, corrected, slips = await self._corrected(connection, workspace, terms, lookup)
        if corrected or counts:
            lookup = await self._look_up(connection, workspace, terms, kinds, named, counts)
        called = (each.spelt for each in names.values() if each.authors)
        lookup = replace(lookup, slips=slips, called=frozenset().union(*called))
        where = (connection, workspace, chosen, kinds)
        if not lookup.found:
            return KeywordCandidates(lookup, await _with_phrases(*where, limit))
        times = _TIMES_ALONE if alone else 1
        asked, everything = candidate_query(lookup, times), lookup.any_term

        async def match(query: str, scan_limit: int | None = SCANNED_MAX) -> list[Document]:
            words = (query, lookup.matched, lookup.matched_weights, ranking.SHAPE)
            return await store.match_documents(*where, *words, scan_limit, limit)

        documents = await match(asked)
        if len(documents) < limit and not chosen.is_empty:
            # How often words are is known of all there is: what a filter leaves may have the commoner ones alone.
            if asked != everything:
                documents = await match(everything)
            if len(documents) < limit and lookup.is_everywhere and chosen.condition is not None:
                documents = await match(everything, None)
        written = await _written(*where, lookup)
        documents = _together_with(written, documents, lookup, limit)
        return KeywordCandidates(
            lookup, documents, corrected, frozenset(d.subject for d in written)
        )

    async def _look_up(
        self,
        connection: Connection,
        workspace: UUID,
        terms: Sequence[Term],
        kinds: Sequence[str],
        named: Mapping[str, frozenset[str]],
        counts: Sequence[int] = (),
    ) -> Lookup:
        typed = [i for i, t in enumerate(terms) if t.own and part_of(t.text) not in named][:OWN_MAX]
        alone = [Term(terms[i].text, terms[i].own) for i in typed]
        compiled = await store.compile_terms(connection, [*terms, *alone])
        # The index drops `will`; whoever is called so, no text has it.
        for place, term in enumerate(terms):
            part = part_of(term.text)
            if place not in compiled and part in named and part.isalnum():
                compiled[place] = [f"'{part}'"]
        places = sorted(compiled)
        if not places:
            return Lookup((), (), (), ())
        forms = [compiled[place] for place in places]
        if len(counts) == len(forms) + 1:
            queries = [any_of(each) for each in forms]
            total, *containing = counts
        else:
            total = await self._statistics.documents(connection, workspace, kinds)
            where = (connection, workspace, kinds)
            queries, containing = await self._counted(*where, forms, total)
        weights = {i: ranking.rarity(total, n) for i, n in zip(places, containing, strict=True)}
        looked_up = [i for i in places if i < len(terms)]
        own = [
            Own(query, count, weights[i] - weights[typed[i - len(terms)]] if count else 0.0)
            for i, query, count in zip(places, queries, containing, strict=True)
            if i >= len(terms)
        ]
        return Lookup(
            tuple(terms[i].text for i in looked_up),
            tuple(queries[: len(looked_up)]),
            tuple(containing[: len(looked_up)]),
            tuple(weights[i] for i in looked_up),
            total,
            own=tuple(own),
        ).naming(named)

    async def _counted(
        self,
        connection: Connection,
        workspace: UUID,
        kinds: Sequence[str],
        forms: Sequence[Sequence[str]],
        documents: int,
    ) -> tuple[list[str], list[int]]:
        """Return the query of each term, and in how many documents it is.

        Forms in Cyrillic letters that occur nowhere, all but every one where English is written, are left out: terms
        match the same without them, and sooner.
        """
        where, cyrillic = (connection, workspace, kinds), filter(is_cyrillic, chain(*forms))
        doubtful = {form for form in cyrillic if not self._statistics.occurs(workspace, form)}
        if doubtful:
            queries = _without(doubtful, forms)
            asked = [*queries, any_of(sorted(doubtful))]
            *counts, occurring = await self._statistics.containing(*where, asked, documents)
            if not occurring:
                return queries, counts
            doubtful -= await self._statistics.occurring(*where, doubtful)
        queries = _without(doubtful, forms)
        return queries, await self._statistics.containing(*where, queries, documents)

    async def _corrected(
        self, connection: Connection, workspace: UUID, terms: Sequence[Term], lookup: Lookup
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
                known = await store.words_like(connection, workspace, start, _LIKE_MAX)
                # Thousands of comparisons: in a thread, so that nobody else waits.
                others = await asyncio.to_thread(corrections, word, known, slips_max)
                if others:
                    found[term.text] = others
                    break
        named = tuple(other for others in found.values() for other in others)
        replaced = sum(1 << i for i, term in enumerate(terms) if term.text in found)
        return [_like(term, found.get(term.text, ())) for term in terms], named, replaced


def _without(absent: Container[str], forms: Iterable[Sequence[str]]) -> list[str]:
    """The query of each term without some of its forms; with all of them if it has no other."""
    return [any_of([form for form in each if form not in absent] or each) for each in forms]


async def _with_phrases(
    connection: Connection, workspace: UUID, chosen: Filter, kinds: Sequence[str], limit: int
) -> list[Document]:
    """What has phrases none of whose words the index has: each text is looked at."""
    if not phrases.demands(chosen.condition):
        return []
    return await store.match_documents(
        connection, workspace, chosen, kinds, "", (), (), ranking.SHAPE, None, limit
    )


async def _written(
    connection: Connection,
    workspace: UUID,
    chosen: Filter,
    kinds: Sequence[str],
    lookup: Lookup,
) -> list[Document]:
    """Return the best of what those wrote who are named, by the words that are no names."""
    terms = zip(lookup.queries, lookup.containing, lookup.names, strict=True)
    others = any_of(query for query, count, is_name in terms if count and not is_name)
    if not lookup.authors or not others:
        return []
    theirs = replace(chosen, author_ids=tuple(sorted(lookup.authors)))
    words = (others, lookup.matched, lookup.matched_weights, ranking.SHAPE)
    where = (connection, workspace, theirs, kinds)
    return await store.match_documents(*where, *words, SCANNED_MAX, WRITTEN_MAX)


def _together_with(
    written: Sequence[Document], documents: Sequence[Document], lookup: Lookup, limit: int
) -> list[Document]:
    """Documents and what is written by those who are named, the best first, at most limit."""
    if not written:
        return list(documents)
    both = {document.subject: document for document in (*written, *documents)}
    found, weights = list(both.values()), np.array(lookup.matched_weights)
    lengths = [document.length for document in found]
    counts = ranking.term_counts([d.terms for d in found], lengths, len(weights))
    counts[: len(written), np.flatnonzero(lookup.names)] = ranking.THEIRS
    scores: list[float] = ranking.word_score(counts, weights).tolist()
    order = sorted(range(len(found)), key=lambda at: (-scores[at], found[at].subject.id))
    return [found[at] for at in order[:limit]]


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


def candidate_query(lookup: Lookup, times: int = 1) -> str:
    """Ask for what has any term, if that is not too much; else for what has one of the rarest, or two of the others.

    Of the others, too, the rarer ones first, as far as they promise few enough documents: the commonest only weigh. If
    even the rarest is everywhere, documents must contain it together with another term. `times` as many of each.
    """
    known, matched_max = lookup.counted, MATCHED_MAX * times
    if sum(count for count, _ in known) <= matched_max:
        return lookup.any_term
    rarest_count, rarest = known[0]
    if rarest_count >= TERM_DOCUMENTS_MAX and len(known) > 1:
        return f"({rarest}) & ({any_of(query for _, query in known[1:])})"
    chosen, others = [rarest], list[tuple[int, str]]()
    promised: float = rarest_count
    for count, query in known[1:]:
        if promised < CANDIDATES_MIN * times or promised + count <= CANDIDATES_MAX * times:
            chosen.append(query)
            promised += count
            continue
        promised += sum(_together(count, rarer, lookup.documents) for rarer, _ in others)
        if promised > matched_max:
            break
        if others:
            chosen.append(f"({query}) & ({any_of(rarer for _, rarer in others)})")
        others.append((count, query))
    return any_of(chosen)


def _together(common: int, rare: int, documents: int) -> float:
    """About how many documents have both of two terms of one query."""
    return min(rare, _TOGETHER_TIMES * common * rare / max(documents, common))
