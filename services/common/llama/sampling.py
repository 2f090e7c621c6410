"""Which token follows, given the scores of all and what a grammar allows."""

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


def pick_token(scores: Scores, mask: Mask | None) -> int | None:
    """Return the best token that is allowed, None when nothing is.

    A grammar is asked about few tokens first: asking about the whole vocabulary costs more than the model itself, and
    the answer is the same.
    """
    if mask is None:
        return int(scores.argmax())
    count = min(LIKELY_TOKENS, len(scores))
    likely = np.argpartition(scores, -count)[-count:].astype(np.int32)
    likely = likely[np.argsort(-scores[likely], kind="stable")]
    accepted = likely[mask(likely)]
    if len(accepted):
        return int(accepted[0])
    allowed = np.where(mask(np.arange(len(scores), dtype=np.int32)), scores, -np.inf)
    return int(allowed.argmax()) if np.isfinite(allowed).any() else None
