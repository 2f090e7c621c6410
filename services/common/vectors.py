"""Vectors between numpy and pgvector's binary form of halfvec."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

# More than that no HNSW index over halfvec takes.
DIMENSIONS_MAX: Final = 4000

# How searches read an HNSW index: a scan goes on until it has enough rows or has seen so many. Short messages lie close
# together: over 100,000 of them a breadth of 128 finds 94 of the 100 nearest, one of 400 finds 98.
INDEX_SETTINGS: Final = {
    "hnsw.ef_search": "400",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": "200000",
    "hnsw.scan_mem_multiplier": "4",
    "plan_cache_mode": "force_custom_plan",
}


_SEGMENT: Final = re.compile(r"/\*segment\*/(.*?)/\*end segment\*/", re.DOTALL)


def of_segments(text: str, bounds: Sequence[str]) -> str:
    """Say what stands between `/*segment*/` and `/*end segment*/` once for each graph of a generation.

    `bounds` are the transactions before which the graphs end, the oldest first. In each turn `{segment}` is a condition
    on a vector `v` that the graph's index has as well, and `{outside}` in the rest one of what is in no graph. Together
    they hold of every vector once, whatever graphs there are: where one was merged or dropped since, another index that
    holds as much answers, or the table itself.
    """
    ends = [int(bound) for bound in bounds]
    spans = [
        f"v.written >= '{since}'::xid8 and v.written < '{until}'::xid8"
        for since, until in zip([0, *ends], ends, strict=False)
    ]
    said = _SEGMENT.sub(
        lambda match: "".join(match[1].replace("{segment}", span) for span in spans), text
    )
    return said.replace("{outside}", f"v.written >= '{ends[-1]}'::xid8" if ends else "true")


def to_halfvecs(vectors: Matrix) -> list[bytes]:
    """Encode an (n, d) array as n values: d and 0 as big-endian int16, then d big-endian float16."""
    count, dimensions = vectors.shape
    values = np.empty((count, dimensions + 2), ">f2")
    values[:, :2].view(">i2")[:] = (dimensions, 0)
    values[:, 2:] = vectors
    encoded, size = values.tobytes(), 2 * dimensions + 4
    return [encoded[start : start + size] for start in range(0, len(encoded), size)]


def from_halfvec(value: bytes) -> npt.NDArray[np.float32]:
    """Decode one value to an array of d numbers."""
    return np.frombuffer(value, ">f2", offset=4).astype(np.float32)


def from_halfvecs(values: Sequence[bytes]) -> Matrix:
    """Decode n values of the same length, one at least, to an (n, d) array."""
    whole = np.frombuffer(b"".join(values), ">f2").reshape(len(values), -1)
    return whole[:, 2:].astype(np.float32)


def flaws(vectors: Matrix) -> npt.NDArray[np.bool_]:
    """Tell for each row of an (n, d) array whether it is unfit to store: not finite, or not of unit length."""
    norms = np.linalg.norm(vectors, axis=1)
    unfit: npt.NDArray[np.bool_] = ~np.isfinite(vectors).all(axis=1) | ~(np.abs(norms - 1) < 0.01)
    return unfit
