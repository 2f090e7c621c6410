"""Topics of a window: threads of talk with their atoms, titled by their own key words."""

from collections.abc import Callable, Sequence
from typing import Final

from services.extractor.extraction import AtomDraft, MessageId, TopicDraft
from services.extractor.titles import shorten
from services.extractor.utterances import Utterance

_WORDS_PER_TITLE: Final = 4
_SUBSTANCE_MIN: Final = 6.0


def topics(
    threads: Sequence[Sequence[Utterance]],
    atoms: Sequence[AtomDraft],
    rarity: Callable[[str], float],
) -> tuple[TopicDraft, ...]:
    """One topic for each thread that says something, in order; an atom joins its thread's."""
    found: list[TopicDraft] = []
    for thread in threads:
        own = [u for u in thread if not u.is_context]
        ids = tuple(utterance.message.id for utterance in own)
        indices = tuple(i for i, atom in enumerate(atoms) if _belongs(atom, frozenset(ids)))
        if indices or sum(u.substance for u in own if not u.is_automatic) >= _SUBSTANCE_MIN:
            found.append(TopicDraft(key_words(own, rarity), ids, indices))
    return tuple(topic for topic in found if topic.title)


def _belongs(atom: AtomDraft, ids: frozenset[MessageId]) -> bool:
    cited = atom.message_ids
    return sum(message_id in ids for message_id in cited) * 2 > len(cited)


def key_words(utterances: Sequence[Utterance], rarity: Callable[[str], float]) -> str:
    """The words that mark a thread: said often here, not everywhere, in order of appearance."""
    weights: dict[str, float] = {}
    first: dict[str, int] = {}
    spelling: dict[str, str] = {}
    for utterance in utterances:
        for word in dict.fromkeys(utterance.words):
            key = next((stem for stem in utterance.stems if word.startswith(stem)), None)
            if key is None:
                continue
            weights[key] = weights.get(key, 0.0) + (0.5 + rarity(key)) * min(len(key), 6) / 6
            first.setdefault(key, len(first))
            spelling.setdefault(key, word)
    chosen = sorted(weights, key=lambda key: (-weights[key], first[key]))[:_WORDS_PER_TITLE]
    return shorten(", ".join(spelling[key] for key in sorted(chosen, key=first.__getitem__)))
