"""Who answers whom: interleaved talk is pulled apart into threads by a few weighed signs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.extractor.utterances import Utterance, idf

_REACH: Final = 24
_AFFIRMING_REACH: Final = 3


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
    carried: float = 0.4
    carried_max: float = 1.0
    affirmed: float = 1.0
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
    looking = _Looking(utterances, weights, idf(utterances), similarity)
    return [looking.parent(utterance) for utterance in utterances]


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


class _Looking:
    """The search for parents through a window in order: it knows what each thread has said so far."""

    def __init__(
        self,
        utterances: Sequence[Utterance],
        weights: Weights,
        rarity: Callable[[str], float],
        similarity: Similarity | None,
    ) -> None:
        self._utterances, self._weights, self._rarity = utterances, weights, rarity
        self._similarity = similarity
        self._positions = {utterance.message.id: utterance.index for utterance in utterances}
        self._said: list[set[str]] = []

    def parent(self, utterance: Utterance) -> int | None:
        """Position of the earlier utterance this one, which is the next, most likely belongs to."""
        found = self._find(utterance)
        said = set() if found is None else self._said[found]
        self._said.append(said)
        said.update(utterance.stems)
        return found

    def _find(self, utterance: Utterance) -> int | None:
        replied = self._positions.get(utterance.message.reply_to)
        if utterance.is_command:
            return None
        if replied is not None and replied < utterance.index:
            return replied
        recent = self._utterances[max(0, utterance.index - _REACH) : utterance.index]
        has_spoken = any(earlier.speaker == utterance.speaker for earlier in recent)
        if utterance.addressee is None and (
            utterance.turns or (utterance.greets and not has_spoken)
        ):
            return None
        best, best_score = None, self._weights.threshold
        for earlier in self._utterances[_horizon(utterance, self._utterances) : utterance.index]:
            score = self._score(utterance, earlier, has_spoken)
            if score >= best_score:
                best, best_score = earlier.index, score
        return best

    def _score(self, later: Utterance, earlier: Utterance, has_spoken: bool) -> float:
        alike = self._similarity(later.index, earlier.index) if self._similarity else 0.0
        score = affinity(later, earlier, self._weights, self._rarity, has_spoken, alike)
        carried = (later.stems & self._said[earlier.index]) - earlier.stems
        shared = sum(self._rarity(word) for word in carried)
        return score + min(self._weights.carried_max, self._weights.carried * shared)


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
    asked = earlier.is_question and later.speaker != earlier.speaker
    if later.affirms and asked and distance <= _AFFIRMING_REACH:
        score += weights.affirmed
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
