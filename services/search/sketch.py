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

from services.common.vectors import Matrix

# How many standard deviations from the middle a level begins: about as many coordinates are on each of the three.
_STEP: Final = 0.6
# How many rows are compared at a time: what that takes stays in a processor's cache.
_BLOCK: Final = 32_768
_ROWS_AT_ONCE: Final = 256
_GROWTH: Final = 1.25
_ROWS_MIN: Final = 1_024
_CODE_MAX: Final = 127
# What is no farther from the middle is taken for the middle.
_NEARLY_ZERO: Final = 1e-6

T = TypeVar("T", bound=np.generic)
Row = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]


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
        self._words = -(-len(middle) // 32)
        self._levels = np.zeros((self._words, room), np.uint64)
        self._codes = np.zeros((room, len(middle)), np.int8)
        self._scales = np.zeros(room, np.float32)
        self._ids = np.zeros((room, 16), np.uint8)

    @classmethod
    def of(cls, sample: Matrix, room: int = 0) -> "Sketch":
        """Make an empty one for vectors like those of a sample, an (n, d) array."""
        return cls(sample.mean(axis=0), sample.std(axis=0), room)

    def __len__(self) -> int:
        return self._size

    @staticmethod
    def row_bytes(dimensions: int) -> int:
        """The memory that a vector of so many numbers takes."""
        return 8 * -(-dimensions // 32) + dimensions + 4 + 16

    def add(self, ids: bytes, vectors: Matrix) -> None:
        """Add unit vectors, an (n, d) array, of subjects whose ids are 16 bytes each, one after another."""
        size = self._size + len(vectors)
        if size > len(self._codes):
            self._grow(max(size, int(len(self._codes) * _GROWTH), _ROWS_MIN))
        rest = vectors - self._middle
        largest = np.abs(rest).max(axis=1, initial=_NEARLY_ZERO)
        added = slice(self._size, size)
        self._levels[:, added] = self._levels_of(rest)
        self._codes[added] = np.rint(rest * (_CODE_MAX / largest)[:, None])
        self._scales[added] = largest / _CODE_MAX
        self._ids[added] = np.frombuffer(ids, np.uint8).reshape(-1, 16)
        self._size = size

    def nearest(self, vector: Row, count: int, breadth: int) -> list[UUID]:
        """The subjects of the rows nearest to a unit vector, best first, up to so many rows.

        They are the best by their codes among so many (the breadth) that differ least by their levels.
        """
        size, levels = self._size, self._levels
        codes, scales, ids = self._codes, self._scales, self._ids
        asked = self._levels_of((vector - self._middle).reshape(1, -1))[:, 0]
        rows = _fewest(_steps(levels, asked, size), max(breadth, count))
        # The middle's own share is the same in all of them.
        shares = _products(codes, rows, vector) * scales[rows]
        best = rows[np.argsort(-shares)[:count]]
        return list(dict.fromkeys(UUID(bytes=each.tobytes()) for each in ids[best]))

    def _levels_of(self, rest: Matrix) -> npt.NDArray[np.uint64]:
        """Return the levels of (n, d) numbers as a (words, n) array, the last word filled up with zeros."""
        bits = np.concatenate([rest > self._low, rest > self._high], axis=1)
        packed = np.zeros((len(rest), self._words * 8), np.uint8)
        packed[:, : -(-bits.shape[1] // 8)] = np.packbits(bits, axis=1)
        return packed.view(np.uint64).T

    def _grow(self, rows: int) -> None:
        levels = np.zeros((self._words, rows), np.uint64)
        levels[:, : self._size] = self._levels[:, : self._size]
        self._levels = levels
        self._codes = _grown(self._codes, rows)
        self._scales = _grown(self._scales, rows)
        self._ids = _grown(self._ids, rows)


def _grown(array: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    grown = np.zeros((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _steps(
    levels: npt.NDArray[np.uint64], asked: npt.NDArray[np.uint64], size: int
) -> npt.NDArray[np.uint16]:
    """Count the steps between the levels of each row and those that are asked for."""
    steps = np.zeros(size, np.uint16)
    differ, ones = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8)
    for start in range(0, size, _BLOCK):
        block = steps[start : start + _BLOCK]
        here = slice(start, start + len(block))
        for word, of_query in zip(levels, asked, strict=True):
            np.bitwise_xor(word[here], of_query, out=differ[: len(block)])
            np.bitwise_count(differ[: len(block)], out=ones[: len(block)])
            block += ones[: len(block)]
    return steps


def _products(codes: npt.NDArray[np.int8], rows: Places, vector: Row) -> Row:
    """Multiply some rows of codes with a vector; so few at a time that they stay in a processor's cache."""
    products = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        here = slice(start, start + _ROWS_AT_ONCE)
        # Sooner done than threads are woken for it.
        np.einsum("ij,j->i", codes[rows[here]].astype(np.float32), vector, out=products[here])
    return products


def _fewest(steps: npt.NDArray[np.uint16], wanted: int) -> Places:
    """Return where so many of the least numbers of steps are, in no order."""
    if wanted >= len(steps):
        return np.arange(len(steps))
    # Where values are is found slower than what they are.
    last = np.partition(steps, wanted - 1)[wanted - 1]
    fewer = np.flatnonzero(steps < last)
    return np.concatenate([fewer, np.flatnonzero(steps == last)[: wanted - len(fewer)]])
