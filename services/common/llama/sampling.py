"""Pure sampling: which token follows, given the scores of all and what a grammar allows."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating[Any]]
Mask = Callable[[npt.NDArray[np.int32]], npt.NDArray[np.bool_]]

LIKELY_TOKENS: Final = 32


def log_softmax(scores: Scores) -> Scores:
    """Return the log-probabilities of the scores, their probabilities adding up to one."""
    shifted = scores.astype(np.float64) - scores.max()
    result: Scores = shifted - np.log(np.sum(np.exp(shifted)))
    return result


def pick_token(
    scores: Scores, mask: Mask | None, temperature: float, random: np.random.Generator
) -> int | None:
    """Return the next token: the best allowed one, or one drawn at random if temperature > 0.

    None when nothing is allowed. A grammar is asked about few tokens first: asking about the
    whole vocabulary costs more than the model itself, and the answer is the same.
    """
    if temperature <= 0:
        return _pick_best(scores, mask)
    drawn = _draw(scores, temperature, random)
    if mask is None or mask(np.array([drawn], np.int32))[0]:
        return drawn
    allowed = _allowed(scores, mask)
    return _draw(allowed, temperature, random) if np.isfinite(allowed).any() else None


def _pick_best(scores: Scores, mask: Mask | None) -> int | None:
    if mask is None:
        return int(scores.argmax())
    count = min(LIKELY_TOKENS, len(scores))
    likely = np.argpartition(scores, -count)[-count:].astype(np.int32)
    likely = likely[np.argsort(-scores[likely], kind="stable")]
    accepted = likely[mask(likely)]
    if len(accepted):
        return int(accepted[0])
    allowed = _allowed(scores, mask)
    return int(allowed.argmax()) if np.isfinite(allowed).any() else None


def _allowed(scores: Scores, mask: Mask) -> Scores:
    """Return the scores with minus infinity for what the grammar forbids."""
    return np.where(mask(np.arange(len(scores), dtype=np.int32)), scores, -np.inf)


def _draw(scores: Scores, temperature: float, random: np.random.Generator) -> int:
    return int(random.choice(len(scores), p=np.exp(log_softmax(scores / temperature))))
