"""Where the cosines of a model begin to mean something, measured on the workspace itself.

multilingual-e5-small gives two atoms that have nothing to do with each other 0.83, all-MiniLM-L6-v2 about 0.1. So the
mean cosine of random pairs of the workspace's own texts is taken for 0 and the same text for 1. Almost all random
pairs are unrelated, whatever the chat is about, and what all of its talk has in common lies below the 0. A workspace
with few texts borrows trust from the strictest model known, so that it merges too little rather than too much.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.common.vectors import from_halfvecs

SAMPLE_MAX: Final = 256
_STRICT: Final = 0.85
_STRICT_WEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Scale:
    """The cosine that unrelated texts have in a model."""

    unrelated: float

    def relatedness(self, cosine: float) -> float:
        """Where a cosine lies between unrelated texts (0) and the same text (1); negative for less than unrelated."""
        return (cosine - self.unrelated) / (1 - self.unrelated)


def measure(vectors: Sequence[bytes]) -> Scale:
    """Measure with a sample of unit vectors, as halfvec values."""
    count = len(vectors)
    if count < 2:
        return Scale(_STRICT)
    total = from_halfvecs(vectors).sum(axis=0, dtype=np.float64)
    # The sum over all pairs, without the texts themselves.
    mean = (float(total @ total) - count) / (count * (count - 1))
    blended = (mean * count + _STRICT * _STRICT_WEIGHT) / (count + _STRICT_WEIGHT)
    return Scale(min(blended, 0.99))
