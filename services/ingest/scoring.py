"""The importance gate: how much a message deserves a language model's attention; pure.

score = base + sum of weight x feature over the features of the message in its context, kept within
0..1 by a last addend, `limit`. Every addend is rounded to 1/1024, a power of two, so that the
factors sum to the score exactly, in any order. An empty text scores 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from services.ingest.features import Features, observe
from services.ingest.weights import BASE, UNIT, VERSION, WEIGHTS
from services.ingest.wording import CONTEXT_MESSAGES, Context, Reading, ScoredInput, read

NOISE, WEAK, SIGNAL = "noise", "weak", "signal"
_VALUE = itemgetter(1)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A score from `weak` on is weak, from `signal` on signal. Raises ValueError out of order."""

    weak: float = 0.35
    signal: float = 0.65

    def __post_init__(self) -> None:
        if not 0 < self.weak <= self.signal <= 1:
            raise ValueError("thresholds must be in order: 0 < weak <= signal <= 1")

    def label(self, score: float) -> str:
        """The label of a score."""
        if score < self.weak:
            return NOISE
        return WEAK if score < self.signal else SIGNAL


class Importance(NamedTuple):
    """A score of 0..1, its label, what it is the sum of (largest first) and the scorer's version."""

    score: float
    label: str
    factors: tuple[tuple[str, float], ...]
    version: str = VERSION


DEFAULT_THRESHOLDS = Thresholds()
_BASE_FACTOR = ("base", BASE / UNIT)


class _Factors(dict[tuple[str, float], tuple[str, float] | None]):
    """What a feature and its value add, or None if that is nothing; features have few values."""

    def __missing__(self, item: tuple[str, float]) -> tuple[str, float] | None:
        name, value = item
        addend = round(WEIGHTS[name] * value)
        factor = self[item] = (name, addend / UNIT) if addend else None
        return factor


_FACTOR = _Factors().__getitem__


def score(
    message: ScoredInput, context: Context, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> Importance:
    """The importance of a message in its context."""
    return weigh(read(message, context), context, thresholds)


def weigh(
    reading: Reading, context: Context, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> Importance:
    """The importance of a message that was read in the same context."""
    if not reading.text.strip():
        return Importance(0.0, thresholds.label(0.0), ())
    return add_up(observe(reading, context), thresholds)


def add_up(features: Features, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> Importance:
    """The importance that the weights give to features."""
    factors = [_BASE_FACTOR, *filter(None, map(_FACTOR, features.items()))]
    points = sum(map(_VALUE, factors))
    if not 0 <= points <= 1:
        within = min(max(points, 0.0), 1.0)
        factors.append(("limit", within - points))
        points = within
    factors.sort(key=_VALUE, reverse=True)
    return Importance(points, thresholds.label(points), tuple(factors))


class Conversation:
    """Scores the messages of one conversation (source and thread) in order."""

    def __init__(
        self, thresholds: Thresholds = DEFAULT_THRESHOLDS, before: Iterable[ScoredInput] = ()
    ) -> None:
        """`before` are the last messages that were scored earlier, oldest first."""
        self._thresholds = thresholds
        self._recent: list[Reading] = []
        self._context = Context(self._recent)
        for message in before:
            self._remember(read(message, Context(self._recent)))

    def score(self, message: ScoredInput, parent: ScoredInput | None = None) -> Importance:
        """Score the next message; `parent` is needed only for a reply to one no longer recent."""
        context = self._context
        if parent is not None:
            context = Context(self._recent, read(parent, Context()))
        reading = read(message, context)
        importance = weigh(reading, context, self._thresholds)
        self._remember(reading)
        return importance

    def _remember(self, reading: Reading) -> None:
        self._recent.append(reading)
        if len(self._recent) > CONTEXT_MESSAGES:
            del self._recent[0]
