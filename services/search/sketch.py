"""Vectors in memory, small enough to look at all of them: two bits a coordinate find what may be near, whole numbers of
8 bits order that.

The two bits tell whether a coordinate is well below the middle, about there, or well above. Written as a thermometer
does (00, 01, 11), they differ in as many bits as there are steps between two of these, so that counting bits (Hamming
distance) adds up the steps. The middle matters: vectors of texts share most of their direction, and would share bits.
"""

from typing import Final, TypeVar
from uuid import UUID

import numpy as np
import numpy.typing as npt
import simsimd

from services.common.vectors import Matrix

# How many standard deviations from the middle a level begins: about as many coordinates are on each of the three.
_STEP: Final = 0.6
# One number of steps in so many tells about how many are larger.
_SAMPLED: Final = 16
_GROWTH: Final = 1.25
_ROWS_MIN: Final = 1_024
_CODE_MAX: Final = 127
# Rows that came since ids were put in order are looked through while they are fewer than this, or than such a share.
_UNSORTED_ROWS_MAX: Final = 4_096
_UNSORTED_SHARE: Final = 0.125
# What is no farther from the middle is taken for the middle.
_NEARLY_ZERO: Final = 1e-6

T = TypeVar("T", bound=np.generic)
Row = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]
Bits = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int8]
Steps = npt.NDArray[np.uint16]
Ids = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]
Order = tuple[Keys, npt.NDArray[np.uint32]]


class Sketch:
    """Vectors of subjects of one kind, added one after another; none is ever taken out.

    It may be asked in one thread while it grows in another: what is asked sees the rows of its beginning.
    """

    def __init__(self, middle: Row, spread: Row, room: int = 0) -> None:
        """Make an empty one with room for so many vectors.

        Middle and spread, arrays of d numbers, are near to the vectors' mean and standard deviation.
        """
        self._middle, self._size = middle, 0
        self._low, self._high = -_STEP * spread, _STEP * spread
        self._levels = np.zeros((room, _bytes_of_levels(len(middle))), np.uint8)
        self._codes = np.zeros((room, len(middle)), np.int8)
        self._scales = np.zeros(room, np.float32)
        self._ids = np.zeros((room, 16), np.uint8)
        # The keys of the first rows in order, and where they stand.
        self._order: Order = (np.zeros(0, np.uint64), np.zeros(0, np.uint32))

    @classmethod
    def of(cls, sample: Matrix, room: int = 0) -> "Sketch":
        """Make an empty one for vectors like those of a sample, an (n, d) array."""
        return cls(sample.mean(axis=0), sample.std(axis=0), room)

    def __len__(self) -> int:
        return self._size

    @staticmethod
    def row_bytes(dimensions: int) -> int:
        """The memory that a vector of so many numbers takes."""
        return _bytes_of_levels(dimensions) + dimensions + 4 + 16 + 12

    def add(self, ids: bytes, vectors: Matrix) -> None:
        """Add unit vectors, an (n, d) array, of subjects whose ids are 16 bytes each, one after another."""
        size = self._size + len(vectors)
        if size > len(self._codes):
            self._grow(max(size, int(len(self._codes) * _GROWTH), _ROWS_MIN))
        rest = vectors - self._middle
        largest = np.abs(rest).max(axis=1, initial=_NEARLY_ZERO)
        added = slice(self._size, size)
        self._levels[added] = self._levels_of(rest)
        self._codes[added] = np.rint(rest * (_CODE_MAX / largest)[:, None])
        self._scales[added] = largest / _CODE_MAX
        self._ids[added] = np.frombuffer(ids, np.uint8).reshape(-1, 16)
        self._size = size

    def nearest(self, vector: Row, count: int, breadth: int) -> list[UUID]:
        """So many of the subjects nearest to a unit vector, best first.

        They are the best by their codes among so many rows (the breadth) that differ least by their levels.
        """
        size, levels = self._size, self._levels
        codes, scales, ids = self._codes, self._scales, self._ids
        if not size:
            return []
        asked = self._levels_of((vector - self._middle).reshape(1, -1))
        rows = fewest(_steps(levels[:size], asked), max(breadth, count))
        return _subjects(ids[_ordered(rows, codes, scales, vector)], count)

    def nearest_among(self, vector: Row, subjects: bytes, count: int) -> tuple[list[UUID], int]:
        """Of some subjects, whose ids are 16 bytes each, so many of those nearest to a unit vector by their codes.

        The best comes first; return also how many rows the subjects have.
        """
        # First: what is in order by now may have rows that are not in what is asked.
        order = self._order
        size, codes, scales, ids = self._size, self._codes, self._scales, self._ids
        wanted = np.frombuffer(subjects, np.uint8).reshape(-1, 16)
        rows = self._rows_of(wanted, ids[:size], order)
        if not len(rows):
            return [], 0
        return _subjects(ids[_ordered(rows, codes, scales, vector)], count), len(rows)

    def _rows_of(self, wanted: Ids, ids: Ids, order: Order) -> Places:
        """Return which rows have one of some ids; a subject of several parts has several."""
        keys, places = order
        if len(ids) - len(keys) > max(_UNSORTED_ROWS_MAX, len(keys) * _UNSORTED_SHARE):
            unsorted = _keys(ids)
            places = np.argsort(unsorted).astype(np.uint32)
            keys = unsorted[places]
            self._order = keys, places
        asked = np.unique(_keys(wanted))
        first, last = np.searchsorted(keys, asked), np.searchsorted(keys, asked, "right")
        counts = last - first
        # From the first of each on, as many as there are.
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        known = places[np.repeat(first, counts) + steps].astype(np.intp)
        newer = len(keys) + np.flatnonzero(np.isin(_keys(ids[len(keys) :]), asked))
        return np.concatenate([known, newer])

    def _levels_of(self, rest: Matrix) -> Bits:
        """Return the levels of (n, d) numbers, two bits each, a row of bytes for a row of numbers."""
        return np.packbits(np.concatenate([rest > self._low, rest > self._high], axis=1), axis=1)

    def _grow(self, rows: int) -> None:
        self._levels = _grown(self._levels, rows)
        self._codes = _grown(self._codes, rows)
        self._scales = _grown(self._scales, rows)
        self._ids = _grown(self._ids, rows)


def _bytes_of_levels(dimensions: int) -> int:
    return -(-2 * dimensions // 8)


def _grown(array: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    grown = np.zeros((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _keys(ids: Ids) -> Keys:
    """Return the last 8 bytes of each id as a number: all but two of their bits are drawn by lot."""
    return np.ascontiguousarray(ids[:, 8:]).view(np.uint64)[:, 0]


def _ordered(rows: Places, codes: Codes, scales: Row, vector: Row) -> Places:
    """Put some rows in the order of how near their codes are to a vector, best first.

    The middle's own share is the same in all of them.
    """
    shares = _products(codes[rows], vector) * scales[rows]
    return rows[np.argsort(-shares)]


def _subjects(ids: Ids, count: int) -> list[UUID]:
    """Return so many subjects of rows, the first ones, each once: rows of one must not take the places of others."""
    found = dict[UUID, None]()
    for each in ids:
        if len(found) == count:
            break
        found[UUID(bytes=each.tobytes())] = None
    return list(found)


def _steps(levels: Bits, asked: Bits) -> Steps:
    """Count the steps between the levels of each row and the row that is asked for."""
    # It writes real numbers faster than whole ones.
    steps = np.empty((1, len(levels)), np.float32)
    simsimd.cdist(asked, levels, "hamming", dtype="bin8", out=steps)
    counted: Steps = steps[0].astype(np.uint16)
    return counted


def _products(codes: Codes, vector: Row) -> Row:
    """Multiply rows of codes with a vector in whole numbers of 8 bits, too; its scale is that of all products."""
    scale = _CODE_MAX / np.abs(vector).max(initial=_NEARLY_ZERO)
    asked = np.rint(vector * scale).astype(np.int8).reshape(1, -1)
    products = np.empty((1, len(codes)), np.float32)
    simsimd.cdist(asked, codes, "dot", dtype="int8", out=products)
    multiplied: Row = products[0]
    return multiplied


def fewest(steps: Steps, wanted: int) -> Places:
    """Return where so many of the least numbers of steps are, in no order."""
    if wanted >= len(steps):
        return np.arange(len(steps))
    last = _last_of(steps, wanted)
    fewer = np.flatnonzero(steps < last)
    return np.concatenate([fewer, np.flatnonzero(steps == last)[: wanted - len(fewer)]])


def _last_of(steps: Steps, wanted: int) -> int:
    """Return the largest of so many of the least numbers of steps.

    A part of them tells about where it is; to count from there takes less than to put all of them in order.
    """
    part = steps[::_SAMPLED]
    place = min(wanted // _SAMPLED, len(part) - 1)
    last = int(np.partition(part, place)[place])
    while np.count_nonzero(steps <= last) < wanted:
        last += 1
    while np.count_nonzero(steps < last) >= wanted:
        last -= 1
    return last
