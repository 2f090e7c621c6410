"""Groups of texts that say nearly the same."""

import numpy as np

from services.common.vectors import Matrix
from services.search.similarity import join_near


def one_by_one(vectors: Matrix, score_min: float) -> list[list[int]]:
    """The groups as they are defined: each row joins the first whose first row is near, or is one."""
    groups: list[list[int]] = []
    for row in range(len(vectors)):
        near = [group for group in groups if vectors[row] @ vectors[group[0]] >= score_min]
        if near:
            near[0].append(row)
        else:
            groups.append([row])
    return [group for group in groups if len(group) > 1]


def test_rows_join_the_first_that_is_near() -> None:
    """Over many blocks the groups must be those that comparing row by row gives."""
    noise = np.random.default_rng(5)
    centres = noise.standard_normal((300, 16))
    spread = 0.15 * noise.standard_normal((1_300, 16))
    vectors = (centres[noise.integers(0, 300, 1_300)] + spread).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = join_near(vectors, 0.95)
    assert len(groups) > 100
    # Cosines are compared with a little less, as half precision needs.
    assert groups == one_by_one(vectors, 0.95 - 1e-3)
