"""What the terms of a query come to: how they are looked up, how often they occur, whom they name, what they weigh."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from operator import itemgetter
from typing import Final, Self

from services.search import ranking
from services.search.names import parts_of
from services.search.statistics import TERM_DOCUMENTS_MAX
from services.search.words import DEGREE_WORDS, SAYING_WORDS, TIME_WORDS, Term

_NEED_NOT_OCCUR: Final = SAYING_WORDS | TIME_WORDS | DEGREE_WORDS


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
    # The authors whom each term names, by their ids; empty where no term names anybody.
    named: tuple[frozenset[str], ...] = ()
    # What they are called, in small letters, as their names have it: not the case of it that a term is.
    called: frozenset[str] = frozenset()

    @property
    def authors(self) -> frozenset[str]:
        """Everybody who is named."""
        return frozenset().union(*self.named)

    @property
    def names(self) -> tuple[bool, ...]:
        """Which terms are names of authors."""
        return tuple(map(bool, self.named)) or (False,) * len(self.texts)

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
        """In how many documents each term is that is anywhere, the rarest first, and its query.

        Equally rare ones stand as they were typed, so that every page has the same: a later one has more forms of them.
        """
        pairs = zip(self.containing, self.queries, strict=True)
        return sorted(((count, query) for count, query in pairs if count), key=itemgetter(0))

    @property
    def any_term(self) -> str:
        """The query of what has any of the terms."""
        return any_of(query for _, query in self.counted)

    @property
    def missing(self) -> frozenset[str]:
        """The terms that occur nowhere and name nobody."""
        terms = zip(self.texts, self.occurring, strict=True)
        return frozenset(text for text, occurs in terms if not occurs)

    @property
    def occurring(self) -> tuple[bool, ...]:
        """Which terms occur anywhere; a name does in what they wrote whose it is."""
        pairs = zip(self.containing, self.names, strict=True)
        return tuple(count > 0 or is_name for count, is_name in pairs)

    def naming(self, named: Mapping[str, frozenset[str]]) -> Self:
        """The same with whom the terms name, who are told by the parts of a term, and with what names weigh."""
        whom = [
            frozenset[str]().union(*(named.get(part, ()) for part in parts_of(text)))
            for text in self.texts
        ]
        if not any(whom):
            return self
        weights = ranking.name_weights(self.weights, [bool(each) for each in whom])
        return replace(self, named=tuple(whom), weights=tuple(weights))

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

        What only tells when, how often or that it was said does not count where no message has it: none need say so.
        """
        found = zip(self.weights, self.occurring, strict=True)
        total = self.whole
        return sum(weight for weight, occurs in found if occurs) / total if total else 0.0

    @property
    def whole(self) -> float:
        """The weight of the query: about what a text scores that has every term once, without any neighbours."""
        return sum(self.asked)

    @property
    def asked(self) -> tuple[float, ...]:
        """What each term weighs in what is asked: nothing if it occurs nowhere and no message need have it."""
        terms = zip(self.texts, self.weights, self.occurring, strict=True)
        return tuple(
            weight if occurs or text.casefold() not in _NEED_NOT_OCCUR else 0.0
            for text, weight, occurs in terms
        )

    def share(self, held: int) -> float:
        """The share of the query's weight that some of its terms have, a bit each: every word counts once."""
        return sum(self._chosen(held)) / self.whole if self.whole else 0.0

    def share_beside_names(self, held: int) -> float:
        """The share of the query's weight that some of its terms have, a bit each, without those that name somebody.

        Nor do those count that only tell when, how often or that it was said; 1 if there are no others.
        """
        terms = zip(self.texts, self.weights, self.names, strict=True)
        rest = [
            0.0 if is_name or text.casefold() in _NEED_NOT_OCCUR else weight
            for text, weight, is_name in terms
        ]
        had = sum(weight for place, weight in enumerate(rest) if held >> place & 1)
        return had / sum(rest) if any(rest) else 1.0

    @property
    def named_words(self) -> tuple[str, ...]:
        """The terms that name authors."""
        return tuple(compress(self.texts, self.names))

    def lacking(self, held: int) -> list[str]:
        """The terms that are asked for beside some, a bit each, the weightiest first."""
        lacked = zip(self._chosen(~held), self.texts, strict=True)
        return [text for weight, text in sorted(lacked, key=lambda each: -each[0]) if weight]

    def _chosen(self, held: int) -> list[float]:
        return [weight * (held >> place & 1) for place, weight in enumerate(self.asked)]


def any_of(queries: Iterable[str]) -> str:
    """The query of what any of some others match."""
    return " | ".join(f"({query})" for query in queries)
