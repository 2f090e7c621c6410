"""Topics of a window: threads of talk with their atoms, titled by the phrases that mark them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from services.extractor import cues
from services.extractor.extraction import AtomDraft, MessageId, TopicDraft
from services.extractor.titles import polish, shorten
from services.extractor.utterances import (
    Utterance,
    heading_text,
    is_word,
    split_words,
    stem,
    unlinked,
)

_SUBSTANCE_MIN: Final = 6.0
_PHRASE_WORDS_MAX: Final = 5
_PHRASE_CHARACTERS_MAX: Final = 48
_SECOND_SHARE_MIN: Final = 0.6
_TITLE_CHARACTERS_MAX: Final = 60
_NAMED_FACTOR: Final = 1.6
_LENGTH_FACTOR: Final = {1: 0.62, 2: 1.0, 3: 0.95, 4: 0.85, 5: 0.75}
_BREAK: Final = re.compile(
    r"[/=&\\]+|[.,;:!?()\[\]{}\"«»“”…|<>]+(?:\s|$)|\s[(\[{\"«“<–—-]+|\n|\s->\s"
)

Weigh = Callable[[str], float]


def topics(
    threads: Sequence[Sequence[Utterance]],
    atoms: Sequence[AtomDraft],
    rarity: Callable[[str], float],
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
            title = _called(own[0].index, headings) or key_phrases(own, named, rarity)
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
    utterances: Sequence[Utterance], named: Sequence[str], rarity: Callable[[str], float]
) -> str:
    """The one or two phrases that mark a thread; those in the titles of its atoms (`named`) count more.

    Phrases are runs of content words, as in Rose et al. 2010, "Automatic Keyword Extraction from
    Individual Documents"; each is weighed by how often its words are said here and how rarely elsewhere.
    """
    weigh = _weights(utterances, rarity)
    names = {utterance.speaker for utterance in utterances}
    ranked: dict[str, float] = {}
    texts = [(title, _NAMED_FACTOR) for title in named] + [(u.body, 1.0) for u in utterances]
    for text, factor in texts:
        for phrase in phrases(unlinked(text), names):
            value = factor * _value(phrase, weigh)
            ranked[" ".join(phrase)] = max(value, ranked.get(" ".join(phrase), 0.0))
    best = sorted(ranked, key=lambda phrase: -ranked[phrase])
    if not best:
        return ""
    return _joined(best[0], _second(best, ranked))


def _second(best: Sequence[str], ranked: dict[str, float]) -> str:
    """The next phrase that says something else and weighs enough, or nothing."""
    first = {stem(word) for word in best[0].split()}
    for phrase in best[1:]:
        if ranked[phrase] < _SECOND_SHARE_MIN * ranked[best[0]]:
            return ""
        is_short = len(best[0]) + len(phrase) + 2 <= _TITLE_CHARACTERS_MAX
        if is_short and not first & {stem(word) for word in phrase.split()}:
            return phrase
    return ""


def _joined(first: str, second: str) -> str:
    title = shorten(polish(first), _TITLE_CHARACTERS_MAX)
    return f"{title}, {second}" if second else title


def _weights(utterances: Sequence[Utterance], rarity: Callable[[str], float]) -> Weigh:
    """What a stem is worth in a thread: said by many messages here, not everywhere."""
    said: dict[str, int] = {}
    for utterance in utterances:
        for word in utterance.stems:
            said[word] = said.get(word, 0) + 1
    return lambda word: float(said.get(word, 0) ** 0.7) * (0.4 + rarity(word))


def _value(phrase: Sequence[str], weigh: Weigh) -> float:
    words = {stem(word) for word in phrase if is_word(word)}
    total = sum(weigh(word) for word in words)
    spread: float = max(1, len(words)) ** 0.35
    return total / spread * _LENGTH_FACTOR[min(_PHRASE_WORDS_MAX, len(phrase))]


def phrases(text: str, names: set[str] | frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
    """Runs of content words of a text as they stand, joined across one linking word, not longer than a name."""
    for part in _BREAK.split(text):
        run: list[str] = []
        for word in [*split_words(part), ""]:
            links = bool(run) and word.casefold() in cues.LINKING
            if links or (is_word(word) and word.casefold() not in names):
                run.append(word)
            else:
                yield from _spans(run)
                run = []


def _spans(run: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The spans of a run that begin and end with a content word and are short enough for a title."""
    starts = [index for index, word in enumerate(run) if is_word(word)]
    for start in starts:
        for end in starts:
            span = tuple(run[start : end + 1])
            if 0 < len(span) <= _PHRASE_WORDS_MAX and len(" ".join(span)) <= _PHRASE_CHARACTERS_MAX:
                yield span
