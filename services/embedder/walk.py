"""The order in which vectors go into an HNSW index: one after another what is near to each other.

An insert walks the graph to where a vector belongs, and spends its time on reading the vectors along that way. Where
the last insert has just been, they are still in the processor's cache.
"""

from typing import Final

import numpy as np

from services.common.vectors import Matrix

# Each row is compared with all others of its block.
BLOCK: Final = 512


def walk(vectors: Matrix) -> list[int]:
    """Order the rows of an (n, d) array of unit vectors: the first, then always the one nearest to the last.

    That of those that are left in a block of so many rows; blocks stay one after another. Of rows equally near the
    first is taken.
    """
    order: list[int] = []
    for start in range(0, len(vectors), BLOCK):
        order += [start + place for place in _walk(vectors[start : start + BLOCK])]
    return order


def _walk(vectors: Matrix) -> list[int]:
    nearness = vectors @ vectors.T
    left = np.zeros(len(vectors), np.float32)
    order = [0]
    for _ in range(len(vectors) - 1):
        left[order[-1]] = -np.inf
        order.append(int((nearness[order[-1]] + left).argmax()))
    return order
