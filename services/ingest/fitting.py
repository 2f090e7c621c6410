"""Fits the weights of the importance score to labelled messages.

Proportional-odds regression (McCullagh 1980): the odds of a label at or below k are
exp(cut_k - weights . features). A ridge pulls each weight towards what is EXPECTED before any label
is seen, so that few labels suffice; each group of labels (each annotator) has cuts of its own.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.ingest.features import FEATURE_NAMES, Features

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RIDGE = 1500.0
STEPS = 500
EXPECTED: dict[str, float] = {
    "length": 1.8,
    "content": 0.8,
    "long": 0.3,
    "no_content": -1.0,
    "one_word": -0.6,
    "specific": 0.6,
    "several_specific": 0.3,
    "no_specific": -0.4,
    "topical": 0.3,
    "link_only": 2.5,
    "code": 1.0,
    "code_only": -1.0,
    "problem": 1.55,
    "remedy": 1.0,
    "decision": 1.2,
    "advice": 1.0,
    "condition": 0.3,
    "instruction": 0.8,
    "open_question": 1.8,
    "question_to_you": 0.0,
    "short_question": 0.1,
    "answer": 0.5,
    "short_answer": 0.6,
    "aside": -0.8,
    "report": 0.5,
    "life": -1.2,
    "addressed": 0.4,
    "addressed_briefly": 0.2,
    "waiting": -1.2,
    "courtesy": -1.5,
    "acknowledgement": -0.5,
    "face": -1.5,
    "exclamation": -1.0,
    "correction": -2.0,
    "command": -2.0,
    "repetition": -1.0,
    "near_repetition": -1.0,
    "compact_language": 1.5,
    "automated": 1.0,
    "automated_specific": 0.8,
    "automated_repeat": -0.8,
    "stale": -0.6,
    "bot": -0.5,
    "alarm": 1.3,
    "asked_of_all": 0.5,
    "action": -2.0,
    "routine": -1.2,
    "recovery": 1.0,
    "failure": 3.3,
}
"""Logits per unit of a feature."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Logits per unit of each feature and the two cuts between the three labels."""

    weights: Floats
    cuts: tuple[float, float]

    def predict(self, features: Floats) -> Integers:
        """Labels 0 (noise), 1 (weak), 2 (signal) of rows of features."""
        logits = features @ self.weights
        return (logits >= self.cuts[0]).astype(np.int64) + (logits >= self.cuts[1])


def matrix(rows: list[Features]) -> Floats:
    """A row a message, a column a feature, in the order of FEATURE_NAMES."""
    return np.array([[row.get(name, 0.0) for name in FEATURE_NAMES] for row in rows])


def fit(features: Floats, labels: Integers, groups: Integers, ridge: float = RIDGE) -> Fit:
    """Fit to labels 0..2; between the cuts of group 0 the label is the likeliest one."""
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    expected = np.array([EXPECTED.get(name, 0.0) for name in FEATURE_NAMES]) * spread
    scaled = (features - mean) / spread
    point = _descend(scaled, labels, groups, expected, ridge)
    weights = point[: len(expected)] / spread
    low, high = point[len(expected) : len(expected) + 2] + mean @ weights
    return Fit(weights, _likeliest(float(low), float(high)))


def _descend(
    scaled: Floats, labels: Integers, groups: Integers, expected: Floats, ridge: float
) -> Floats:
    """Adam (Kingma and Ba 2015) on the penalised likelihood; deterministic."""
    count = groups.max() + 1
    point = np.concatenate([expected, np.tile([-0.5, 1.0], count)])
    first, second = np.zeros_like(point), np.zeros_like(point)
    for step in range(1, STEPS + 1):
        slope = _slope(point, scaled, labels, groups, expected, ridge)
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope**2
        rate = 0.05 if step < 0.6 * STEPS else 0.01
        moved = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-9)
        point = point - rate * moved
    return point


def _slope(
    point: Floats,
    scaled: Floats,
    labels: Integers,
    groups: Integers,
    expected: Floats,
    ridge: float,
) -> Floats:
    size = len(expected)
    weights, cuts = point[:size], point[size:].reshape(-1, 2)
    logits = scaled @ weights
    below = _sigmoid(cuts[groups] - logits[:, None])
    low, high = below[:, 0], below[:, 1]
    likelihood = np.choose(labels, [low, high - low, 1 - high]).clip(1e-9)
    at_low, at_high = low * (1 - low), high * (1 - high)
    zero = np.zeros_like(low)
    by_low = -np.choose(labels, [at_low, -at_low, zero]) / likelihood
    by_high = -np.choose(labels, [zero, at_high, -at_high]) / likelihood
    by_cuts = np.zeros_like(cuts)
    np.add.at(by_cuts, groups, np.stack([by_low, by_high], axis=1))
    by_weights = -scaled.T @ (by_low + by_high) + ridge * (weights - expected)
    return np.concatenate([by_weights, by_cuts.ravel()])


def _sigmoid(logits: Floats) -> Floats:
    sigmoid: Floats = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    return sigmoid


def _likeliest(low: float, high: float) -> tuple[float, float]:
    """Where the likeliest label changes, from the cuts of the odds: P(0) = P(1), and P(1) = P(2), solved."""
    middle, between = math.exp(high) - 2 * math.exp(low), (low + high) / 2
    if middle <= math.exp(between):  # The label between is never the likeliest.
        return between, between
    return low + high - math.log(middle), math.log(middle)
