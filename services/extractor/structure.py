"""Who answers whom: interleaved talk is pulled apart into threads by a few weighed signs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from services.extractor import stakes
from services.extractor.round import orders
from services.extractor.utterances import Utterance, idf

_REACH: Final = 24
_AFFIRMING_REACH: Final = 3
_ASKING_BACK_SUBSTANCE_MAX: Final = 4.5


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
    pause_minutes_min: float = 5.0
    pause_factor: float = 2.0
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
        self._pause = _pause(utterances, weights)

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
        score = affinity(
            later, earlier, self._weights, self._rarity, has_spoken, alike, self._pause
        )
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
    pause: float = inf,
) -> float:
    """How strongly the signs say that one utterance belongs to an earlier one's thread.

    `alike` is the likeness of their meanings, 0..1; after a `pause`, in minutes, what stands next goes on with nothing,
    and where pauses are long minutes count less.
    """
    if later.is_automatic != earlier.is_automatic:
        return -1.0
    distance = later.index - earlier.index
    minutes = (later.message.sent_at - earlier.message.sent_at).total_seconds() / 60
    score = _people(later, earlier, weights)
    shared = sum(rarity(word) for word in later.stems & earlier.stems)
    if later.speaker == earlier.speaker and minutes >= pause and not shared:
        score -= weights.same_speaker
    score += min(weights.words_max, weights.word * shared)
    if distance == 1 and _goes_on(later, earlier, minutes < pause):
        score += weights.adjacent
    late = weights.minute * minutes * min(1.0, weights.pause_minutes_min / pause)
    score += weights.step * distance + max(weights.minutes_max, late)
    score += weights.meaning * alike
    asked = earlier.is_question and later.speaker != earlier.speaker
    if later.affirms and asked and distance <= _AFFIRMING_REACH:
        score += weights.affirmed
    opens = later.is_question or (later.substance >= 5 and not shared and alike < 0.5)
    if opens and distance == 1 and minutes < pause and _may_answer(later, earlier):
        opens = later.fails
    if opens and distance == 1 and minutes < pause and _may_take_up(later, earlier):
        opens = False
    if opens and not has_spoken and later.addressee is None:
        score += weights.opening
    return score


def _goes_on(later: Utterance, earlier: Utterance, is_soon: bool) -> bool:
    """Whether the next utterance may go on with the talk: soon, by "then", or as a late answer; not with a thanks."""
    settles = stakes.GO_AHEAD.match(later.body)
    thanks = earlier.is_social or earlier.is_bare
    if thanks and not (later.is_social or later.is_bare or settles):
        return False
    carries_on = stakes.CONCLUDING.match(later.body) or stakes.GOING_ON.match(later.body)
    return is_soon or _may_answer(later, earlier) or bool(carries_on)


def _may_answer(later: Utterance, earlier: Utterance) -> bool:
    """Whether an utterance may answer somebody else's question."""
    return earlier.is_question and not later.is_question and later.speaker != earlier.speaker


def _may_take_up(later: Utterance, earlier: Utterance) -> bool:
    """Whether an utterance may ask back, guess or say what to do about trouble that somebody else has just told."""
    if later.speaker == earlier.speaker or not (earlier.fails or orders(later)):
        return False
    if later.is_question:
        return later.substance < _ASKING_BACK_SUBSTANCE_MAX
    return not later.fails or bool(stakes.GUESSED.search(later.body))


def usual_gap(utterances: Sequence[Utterance]) -> float:
    """Minutes between two messages as is usual among these: the median, of people alone where some are."""
    spoken = [each for each in utterances if not each.is_automatic] or utterances
    times = [utterance.message.sent_at for utterance in spoken]
    gaps = sorted((b - a).total_seconds() / 60 for a, b in pairwise(times))
    return gaps[len(gaps) // 2] if gaps else 0.0


def _pause(utterances: Sequence[Utterance], weights: Weights) -> float:
    """Minutes after which people speak of something else, by what is usual among these utterances."""
    return max(weights.pause_minutes_min, weights.pause_factor * usual_gap(utterances))


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
