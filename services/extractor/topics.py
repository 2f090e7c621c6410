"""Topics of a window: threads of talk with their atoms, titled by the phrases that mark them."""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final

from services.extractor import grammar, lexicon, naming
from services.extractor.extraction import AtomDraft, MessageId, TopicDraft
from services.extractor.naming import Name
from services.extractor.titles import polish, shorten
from services.extractor.tokens import stem
from services.extractor.utterances import Utterance, heading_text
from services.extractor.writing import straight

_SUBSTANCE_MIN: Final = 6.0
_TITLE_CHARACTERS_MAX: Final = 60
_SECOND_SHARE_MIN: Final = 0.55
_SECOND_ALONE_WORDS: Final = 3
_NAMED_FACTOR: Final = 1.5
_OPENING_FACTOR: Final = 1.4
_BENT_FACTOR: Final = 0.6
_INNER_FACTOR: Final = 0.85
_IDENTIFIER_FACTOR: Final = 1.3
_LATER_FACTOR: Final = 0.985
_LATER_MAX: Final = 20
_GENERAL_FACTOR: Final = 0.4
_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_LENGTH_FACTOR: Final = {1: 0.55, 2: 1.0, 3: 1.05, 4: 1.0, 5: 0.85, 6: 0.75}

_GENERAL: Final = frozenset(stem(word) for word in lexicon.GENERAL)

Weigh = Callable[[str], float]


def topics(
    threads: Sequence[Sequence[Utterance]],
    atoms: Sequence[AtomDraft],
    people: Collection[str] = (),
) -> tuple[TopicDraft, ...]:
    """One topic for each thread that says something, in order; an atom joins its thread's."""
    found: list[TopicDraft] = []
    headings = _headings(threads)
    for thread in threads:
        own = [u for u in thread if not u.is_context]
        ids = tuple(utterance.message.id for utterance in own)
        indices = tuple(i for i, atom in enumerate(atoms) if _belongs(atom, frozenset(ids)))
        if indices or sum(u.substance for u in own if not u.is_automatic) >= _SUBSTANCE_MIN:
            named = [atoms[index].title for index in indices]
            others = [u for other in threads if other is not thread for u in other]
            title = (
                _called(own[0].index, headings)
                or key_phrases(own, named, others, people)
                or shorten(next(iter(named), ""), _TITLE_CHARACTERS_MAX)
            )
            found.append(TopicDraft(title, ids, indices))
    return tuple(topic for topic in found if topic.title)


def _belongs(atom: AtomDraft, ids: frozenset[MessageId]) -> bool:
    cited = atom.message_ids
    return sum(message_id in ids for message_id in cited) * 2 > len(cited)


def _headings(threads: Sequence[Sequence[Utterance]]) -> list[Utterance]:
    """The headings of a window in order."""
    found = [u for thread in threads for u in thread if u.is_heading]
    return sorted(found, key=lambda utterance: utterance.index)


def _called(first: int, headings: list[Utterance]) -> str:
    """What people called the talk that opens at this position; a heading names the first topic after it."""
    before = [heading for heading in headings if heading.index <= first]
    del headings[: len(before)]
    if not before:
        return ""
    return shorten(polish(heading_text(before[-1].message.text)), _TITLE_CHARACTERS_MAX)


def key_phrases(
    utterances: Sequence[Utterance],
    named: Sequence[str],
    others: Sequence[Utterance] = (),
    people: Collection[str] = (),
) -> str:
    """The one or two noun phrases that tell a thread from the `others`, as they stand; empty if it names nothing.

    A phrase counts by its words: how many of the thread's messages say them against how many others do, as in
    class-based TF-IDF (Grootendorst 2022). What the thread opens with, and what its atoms are called by
    (`named`), counts more, and a phrase whose case belongs to another sentence less.
    """
    weigh = _weights(utterances, others)
    ranked: dict[str, float] = {}
    found: dict[str, Name] = {}
    opening = max((u.substance for u in utterances[:3]), default=0.0)
    first = next((u for u in utterances if u.substance >= opening), None)
    texts = [(title, _NAMED_FACTOR) for title in named]
    texts += [(_told(u), _OPENING_FACTOR if u is first else 1.0) for u in utterances]
    for text, factor in texts:
        for name in naming.names(text, people):
            key = name.text.casefold()
            value = factor * _value(name, weigh) * _LATER_FACTOR ** min(_LATER_MAX, len(found))
            if value > ranked.get(key, 0.0):
                ranked[key], found[key] = value, name
    best = sorted(ranked, key=lambda phrase: -ranked[phrase])
    if not best:
        return ""
    second = _second(best, ranked, found)
    return _joined(found[best[0]], second and found[second])


def _told(utterance: Utterance) -> str:
    """What an utterance says of its matter; in a bot's notice brackets hold who did it and where."""
    return _BRACKETS.sub(" , ", utterance.body) if utterance.is_automatic else utterance.body


def _second(best: Sequence[str], ranked: dict[str, float], found: dict[str, Name]) -> str:
    """The next phrase that says something else and weighs enough, where the first says little; or nothing."""
    first = found[best[0]]
    if len(first.stems) >= _SECOND_ALONE_WORDS:
        return ""
    for phrase in best[1:]:
        if ranked[phrase] < _SECOND_SHARE_MIN * ranked[best[0]]:
            return ""
        is_short = len(first.text) + len(phrase) + 2 <= _TITLE_CHARACTERS_MAX
        if is_short and not first.stems & found[phrase].stems:
            return phrase
    return ""


def _joined(first: Name, second: "Name | str") -> str:
    title = _raised(first.text)
    return f"{title}, {second.text}" if isinstance(second, Name) else title


def _raised(text: str) -> str:
    """The text with its first letter raised, unless it begins with code."""
    first = straight(text.partition(" ")[0]).replace("'", "")
    return (
        text[:1].upper() + text[1:]
        if first.isalpha() or ("-" in first and first.islower())
        else text
    )


def _weights(utterances: Sequence[Utterance], others: Sequence[Utterance]) -> Weigh:
    """What a stem is worth in a thread: said by many of its messages, by few of the others."""
    here = Counter(word for utterance in utterances for word in utterance.stems)
    there = Counter(word for utterance in others for word in utterance.stems)
    count = len(utterances) + len(others)

    def weigh(word: str) -> float:
        rare = math.log(1.0 + count / (1.0 + 2.0 * there.get(word, 0)))
        said = float(max(1, here.get(word, 0)) ** 0.6) * (0.3 + rare / math.log(1.0 + count))
        return said * _GENERAL_FACTOR if word in _GENERAL else said

    return weigh


def _value(name: Name, weigh: Weigh) -> float:
    stems = name.stems
    if not stems:
        return 0.0
    total = sum(weigh(word) for word in stems)
    value: float = total / len(stems) ** 0.4 * _LENGTH_FACTOR[len(name.words)]
    if any(grammar.is_identifier(word) for word in name.words):
        value *= _IDENTIFIER_FACTOR
    value *= _INNER_FACTOR if name.is_inner else 1.0
    return value * (_BENT_FACTOR if name.is_bent else 1.0)
