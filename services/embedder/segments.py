"""The graphs of a generation: which stretch of its vectors gets one next, and how dense.

What is written goes into no graph: that is compared whole, and from `Sizes.segment_rows` on gets a graph, built in one
go, which takes a quarter of what inserts would. Graphs that add up to several of the same size become one, so that
searches walk few. A stretch is told by the transactions that wrote it, and always reaches from where the one before
ends: whatever is built holds the newest vectors that there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# So many graphs of about the same size become one: a vector is built into one more graph each time.
FAN: Final = 4
# A build reads the whole table, which must be little beside what it adds.
SHARE_MIN: Final = 64


@dataclass(frozen=True)
class Density:
    """How an HNSW graph is made: neighbours of a node, and breadth of the search for them."""

    m: int
    ef_construction: int


@dataclass(frozen=True)
class Sizes:
    """From how many vectors on a graph is built, and a dense one of what has none; `dense_rows_min` of 0: never."""

    segment_rows: int = 4096
    sparse: Density = Density(12, 48)
    dense: Density = Density(24, 128)
    dense_rows_min: int = 50_000


@dataclass(frozen=True)
class Segment:
    """A stretch with a graph: before which transaction it was written, its vectors and neighbours when it was built."""

    until: int
    rows: int
    m: int
    is_valid: bool


@dataclass(frozen=True)
class Build:
    """A graph to build of what transactions from `since` on wrote, until `until`, and what it replaces."""

    since: int
    until: int
    rows: int
    density: Density


def choose(
    segments: Sequence[Segment], outside: int, horizon: int, sizes: Sizes, *, is_quiet: bool
) -> Build | None:
    """Choose what to build: a graph that is broken, else one of the newest vectors, with as many before as pays.

    Dense ones, which take long, are built while it is quiet, and until then left as they are.
    """
    for place, each in enumerate(segments):
        if not each.is_valid:
            since = segments[place - 1].until if place else 0
            return Build(since, each.until, each.rows, _density(each.rows, sizes, is_dense=True))
    first = _first_sparse(segments, sizes)
    is_dense = is_quiet and _waits_for_density(segments[first:], outside, sizes)
    total = outside + sum(each.rows for each in segments)
    if not is_dense and outside < max(sizes.segment_rows, total // SHARE_MIN):
        return None
    rows = outside
    start = len(segments)
    for place in range(len(segments) - 1, -1 if is_quiet else first - 1, -1):
        rows += segments[place].rows
        if segments[place].rows * FAN <= rows or (is_dense and place >= first):
            start = place
    rows = outside + sum(each.rows for each in segments[start:])
    since = segments[start - 1].until if start else 0
    return Build(since, horizon, rows, _density(rows, sizes, is_dense=is_quiet))


def waits_for_quiet(segments: Sequence[Segment], outside: int, sizes: Sizes) -> bool:
    """Whether there is so much without a dense graph that one is built once little waits for its vector."""
    return _waits_for_density(segments[_first_sparse(segments, sizes) :], outside, sizes)


def _first_sparse(segments: Sequence[Segment], sizes: Sizes) -> int:
    """The place behind the last dense one: what is built holds all that is newer."""
    is_denser = sizes.dense.m > sizes.sparse.m
    dense = (place for place, each in enumerate(segments) if is_denser and each.m >= sizes.dense.m)
    return max(dense, default=-1) + 1


def _waits_for_density(sparse: Sequence[Segment], outside: int, sizes: Sizes) -> bool:
    rows = outside + sum(each.rows for each in sparse)
    return sizes.dense.m > sizes.sparse.m and 0 < sizes.dense_rows_min <= rows


def _density(rows: int, sizes: Sizes, *, is_dense: bool) -> Density:
    return sizes.dense if is_dense and 0 < sizes.dense_rows_min <= rows else sizes.sparse
