"""Vectors in memory: what is found among them, whatever their number and length."""

from typing import Any
from uuid import UUID

import numpy as np
import pytest

from services.common.vectors import Matrix
from services.search.sketch import Sketch, fewest


def similar_vectors(count: int, dimensions: int) -> Matrix:
    """Unit vectors that share most of their direction, as those of texts do."""
    dice = np.random.default_rng(5)
    vectors: Matrix = dice.standard_normal((count, dimensions), np.float32)
    vectors += 2 * dice.standard_normal(dimensions, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def ids_of(places: range) -> bytes:
    """An id of 16 bytes for each place."""
    return b"".join(place.to_bytes(16, "big") for place in places)


def filled(vectors: Matrix, at_once: int = 1_000) -> Sketch:
    """A sketch of vectors, whose ids are their places."""
    sketch = Sketch.of(vectors[:at_once])
    for start in range(0, len(vectors), at_once):
        part = vectors[start : start + at_once]
        sketch.add(ids_of(range(start, start + len(part))), part)
    return sketch


@pytest.mark.parametrize("dimensions", [8, 40, 384])
def test_the_nearest_are_found(dimensions: int) -> None:
    """Among many vectors of any length nearly all of the ten nearest must be found, the nearest of all first."""
    vectors = similar_vectors(20_000, dimensions)
    sketch, found = filled(vectors), 0
    queries = similar_vectors(50, dimensions)
    for query in queries:
        places = [each.int for each in sketch.nearest(query, 30, 4_000)]
        truth = np.argsort(-(vectors @ query))[:10]
        found += len(set(places) & set(truth.tolist()))
        assert len(places) == 30
    assert found >= 0.95 * 10 * len(queries)
    for place in (0, 7, 19_999):
        assert sketch.nearest(vectors[place], 1, 1_000) == [UUID(int=place)]


def test_it_grows_in_pieces_as_at_once() -> None:
    """What is added a few at a time must be found as what was added at once."""
    vectors = similar_vectors(3_000, 64)
    first = Sketch.of(vectors[:1_000])
    first.add(ids_of(range(3_000)), vectors)
    assert len(first) == 3_000
    pieces = Sketch.of(vectors[:1_000], 10)
    for place in range(3_000):
        pieces.add(ids_of(range(place, place + 1)), vectors[place : place + 1])
    for query in similar_vectors(10, 64):
        assert pieces.nearest(query, 50, 500) == first.nearest(query, 50, 500)


def test_equal_vectors_are_as_near_as_each_other() -> None:
    """Of more equal vectors than are asked for, as many as are asked for must be found, and none twice."""
    vectors = np.repeat(similar_vectors(3, 64), 1_000, axis=0)
    places = {each.int for each in filled(vectors).nearest(vectors[1_500], 100, 100)}
    assert len(places) == 100
    assert all(1_000 <= place < 2_000 for place in places)


def test_a_subject_with_several_parts_is_found_once() -> None:
    """A subject must be named once, however many of its rows are near, and all there are if more is asked for."""
    vectors = similar_vectors(4, 64)
    sketch = Sketch.of(vectors)
    sketch.add(ids_of(range(2)) * 2, vectors)
    assert sorted(each.int for each in sketch.nearest(vectors[0], 10, 10)) == [0, 1]


def test_a_subject_takes_one_place() -> None:
    """The many parts of one subject must not keep those out that are nearest after it."""
    near, far = similar_vectors(1, 64), similar_vectors(30, 64)
    sketch = Sketch.of(far)
    sketch.add(ids_of(range(1)) * 60, np.repeat(near, 60, axis=0))
    sketch.add(ids_of(range(1, 31)), far)
    truth = [0, *(1 + np.argsort(-(far @ near[0]))[:9]).tolist()]
    assert {each.int for each in sketch.nearest(near[0], 10, 90)} == {*truth}
    found, rows = sketch.nearest_among(near[0], ids_of(range(31)), 10)
    assert ({each.int for each in found}, rows) == ({*truth}, 90)


def test_what_is_all_alike_is_found() -> None:
    """Vectors without any difference, as the first of a workspace may be, must not disturb."""
    same = np.repeat(similar_vectors(1, 64), 5, axis=0)
    sketch = filled(same)
    assert len(sketch.nearest(same[0], 3, 3)) == 3


@pytest.mark.parametrize("order", ["drawn", "ascending", "descending", "every sixteenth is least"])
@pytest.mark.parametrize("wanted", [1, 15, 800, 4_999, 5_000])
def test_the_fewest_steps_are_the_fewest(order: str, wanted: int) -> None:
    """However numbers of steps are spread, so many of the least must be found, among equal ones any."""
    steps = np.random.default_rng(2).binomial(768, 0.4, 5_000).astype(np.uint16)
    if order != "drawn":
        steps.sort()
    if order == "descending":
        steps = steps[::-1].copy()
    if order == "every sixteenth is least":
        steps = np.where(np.arange(5_000) % 16, steps, 0).astype(np.uint16)
    places = fewest(steps, wanted)
    assert len(set(places.tolist())) == wanted
    assert sorted(steps[places]) == sorted(steps)[:wanted]


def test_rows_of_some_subjects_are_found() -> None:
    """Of given subjects the nearest must be found, in order, wherever they stand; none of others or of nobody."""
    vectors = similar_vectors(20_000, 64)
    sketch, dice = filled(vectors), np.random.default_rng(8)
    for count in (1, 30, 3_000, 20_000):
        for query in similar_vectors(5, 64):
            chosen = dice.permutation(20_000)[:count]
            ids = b"".join(int(each).to_bytes(16, "big") for each in [*chosen, 999_999])
            found, rows = sketch.nearest_among(query, ids, 10)
            truth = chosen[np.argsort(-(vectors[chosen] @ query))][:10]
            assert rows == count
            assert len({each.int for each in found} & {*truth.tolist()}) >= min(count, 9)


def test_subjects_are_found_while_it_grows() -> None:
    """What was added after ids were put in order must be found as well, each subject once, with all of its rows."""
    vectors = similar_vectors(12_000, 16)
    sketch = Sketch.of(vectors[:1_000])
    for start in range(0, 12_000, 500):
        # The same subjects over and over: of each a row in every piece.
        sketch.add(ids_of(range(500)), vectors[start : start + 500])
        subjects, rows = sketch.nearest_among(vectors[start], ids_of(range(7, 9)), 100)
        assert ({each.int for each in subjects}, rows) == ({7, 8}, 2 * (start // 500 + 1))
    assert sketch.nearest_among(vectors[0], b"", 10) == ([], 0)
    assert Sketch.of(vectors[:10]).nearest_among(vectors[0], ids_of(range(2)), 10) == ([], 0)


def test_what_another_puts_in_order_meanwhile_does_not_disturb() -> None:
    """One who asks while it grows, and another has put the new rows in order, must find what was there."""
    vectors = similar_vectors(10_000, 16)

    class Busy(Sketch):
        """One that grows, and is asked by another, between the beginning of a question and its rows."""

        def _rows_of(self, *asked: Any) -> Any:
            if len(self) < 10_000:
                self.add(ids_of(range(100)) * 50, vectors[5_000:])
                self.nearest_among(vectors[0], ids_of(range(5)), 10)
            return super()._rows_of(*asked)

    sketch = Busy.of(vectors)
    sketch.add(ids_of(range(5_000)), vectors[:5_000])
    found, rows = sketch.nearest_among(vectors[7], ids_of(range(5, 10)), 10)
    assert (len(found), rows, found[0].int) == (5, 5, 7)


def test_what_it_takes_is_what_it_says() -> None:
    """The memory of a vector must be told with all that is kept of it, the order of ids as well."""
    vectors = similar_vectors(5_000, 64)
    sketch = Sketch.of(vectors, 5_000)
    sketch.add(ids_of(range(5_000)), vectors)
    sketch.nearest_among(vectors[0], ids_of(range(5)), 10)
    kept = [sketch._levels, sketch._codes, sketch._scales, sketch._ids, *sketch._order]
    assert sum(each.nbytes for each in kept) == 5_000 * Sketch.row_bytes(64)
