"""Who answers whom: interleaved talk is pulled apart into threads by a few weighed signs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.extractor.extraction import MessageId
from services.extractor.utterances import Utterance, idf

_REACH: Final = 24


@dataclass(frozen=True, slots=True)
class Weights:
    """What each sign of belonging together is worth; a parent needs at least `threshold`."""

    reply: float = 10.0
    addressed: float = 3.0
    answered: float = 2.4
    same_speaker: float = 1.1
    adjacent: float = 1.1
    word: float = 1.0
    words_max: float = 2.6
    other_addressee: float = -2.6
    overheard: float = -1.5
    opening: float = -1.1
    step: float = -0.09
    minute: float = -0.05
    minutes_max: float = -2.0
    meaning: float = 1.5
    threshold: float = 0.35


Similarity = Callable[[int, int], float]


def parents(
    utterances: Sequence[Utterance],
    weights: Weights,
    similarity: Similarity | None = None,
) -> list[int | None]:
    """For each utterance the position of the earlier one it continues or answers, if any."""
    rarity = idf(utterances)
    positions = {utterance.message.id: utterance.index for utterance in utterances}
    return [
        _parent(utterance, utterances, positions, weights, rarity, similarity)
        for utterance in utterances
    ]


def threads(
    utterances: Sequence[Utterance], parent_of: Sequence[int | None]
) -> list[list[Utterance]]:
    """Disjoint threads in order of their first message; all utterances are placed."""
    thread_of: list[int] = []
    grouped: list[list[Utterance]] = []
    for utterance, parent in zip(utterances, parent_of, strict=True):
        thread_of.append(len(grouped) if parent is None else thread_of[parent])
        if parent is None:
            grouped.append([])
        grouped[thread_of[-1]].append(utterance)
    return grouped


def _parent(
    utterance: Utterance,
    utterances: Sequence[Utterance],
    positions: dict[MessageId, int],
    weights: Weights,
    rarity: Callable[[str], float],
    similarity: Similarity | None,
) -> int | None:
    """Position of the earlier utterance this one most likely continues or answers."""
    replied = positions.get(utterance.message.reply_to)
    if utterance.is_command:
        return None
    if replied is not None and replied < utterance.index:
        return replied
    best, best_score = None, weights.threshold
    has_spoken = any(
        earlier.speaker == utterance.speaker
        for earlier in utterances[max(0, utterance.index - _REACH) : utterance.index]
    )
    for earlier in utterances[_horizon(utterance, utterances) : utterance.index]:
        alike = similarity(utterance.index, earlier.index) if similarity else 0.0
        score = affinity(utterance, earlier, weights, rarity, has_spoken, alike)
        if score >= best_score:
            best, best_score = earlier.index, score
    return best


def _horizon(utterance: Utterance, utterances: Sequence[Utterance]) -> int:
    """First position looked at: a heading cuts off what nobody is addressed about."""
    start = max(0, utterance.index - _REACH)
    if utterance.addressee is not None:
        return start
    headings = [u.index for u in utterances[start : utterance.index] if u.is_heading]
    return headings[-1] if headings else start


def affinity(
    later: Utterance,
    earlier: Utterance,
    weights: Weights,
    rarity: Callable[[str], float],
    has_spoken: bool,
    alike: float = 0.0,
) -> float:
    """How strongly the signs say that one utterance belongs to an earlier one's thread.

    `alike` is the likeness of their meanings, 0..1.
    """
    if later.is_automatic != earlier.is_automatic:
        return -1.0
    distance = later.index - earlier.index
    minutes = (later.message.sent_at - earlier.message.sent_at).total_seconds() / 60
    score = _people(later, earlier, weights)
    shared = sum(rarity(word) for word in later.stems & earlier.stems)
    score += min(weights.words_max, weights.word * shared)
    score += weights.adjacent if distance == 1 else 0.0
    score += weights.step * distance + max(weights.minutes_max, weights.minute * minutes)
    score += weights.meaning * alike
    opens = later.is_question or (later.substance >= 5 and not shared and alike < 0.5)
    if opens and not has_spoken and later.addressee is None:
        score += weights.opening
    return score


def _people(later: Utterance, earlier: Utterance, weights: Weights) -> float:
    """The part of affinity that speakers and addressees give."""
    score = 0.0
    if later.speaker == earlier.speaker:
        score += weights.same_speaker
        if later.addressee and earlier.addressee and later.addressee != earlier.addressee:
            score += weights.other_addressee
        return score
    if later.addressee == earlier.speaker:
        score += weights.addressed
    elif later.addressee is not None and later.addressee != earlier.addressee:
        score += weights.other_addressee
    if earlier.addressee == later.speaker:
        score += weights.answered
    elif earlier.addressee is not None and later.addressee != earlier.speaker:
        score += weights.overheard
    return score
