"""Vectors cross to pgvector and back unharmed, and bad ones are seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.database import Database, DatabaseSettings
from services.common.vectors import flaws, from_halfvec, to_halfvecs
from tests.conftest import Deployment

HALVES = st.floats(-65504, 65504, width=16)


def units(count: int, dimensions: int) -> np.ndarray:
    """Random unit vectors."""
    values = np.random.default_rng(7).standard_normal((count, dimensions)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


async def test_pgvector_reads_what_we_write(deployment: Deployment) -> None:
    """The bytes mean the same to pgvector as its own text form, and come back as they went."""
    sql = """select v as bytes, v::text as text, vector_dims(v) as dimensions
             from unnest($1::halfvec[]) with ordinality as x (v, n) order by n"""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        for dimensions in (1, 3, 384, 4000):
            vectors = units(5, dimensions)
            rows = await connection.fetch(sql, to_halfvecs(vectors))
            assert [row["dimensions"] for row in rows] == [dimensions] * 5
            for row, wanted in zip(rows, vectors.astype(np.float16), strict=True):
                numbers = [float(x) for x in row["text"].strip("[]").split(",")]
                assert np.array_equal(np.array(numbers, np.float16), wanted)
                assert np.array_equal(from_halfvec(row["bytes"]).astype(np.float16), wanted)


@given(st.lists(st.lists(HALVES, min_size=4, max_size=4), max_size=5))
def test_halves_survive_the_round_trip(rows: list[list[float]]) -> None:
    """Every number that float16 has is decoded to itself, in its row."""
    vectors = np.array(rows, np.float32).reshape(len(rows), 4)
    found = [from_halfvec(value) for value in to_halfvecs(vectors)]
    assert [row.tolist() for row in found] == vectors.tolist()


def test_rows_of_a_view_are_encoded_in_order() -> None:
    """A transposed or sliced array is written row by row."""
    vectors = units(6, 8)
    for view in (vectors[::2], vectors.T, vectors[:, ::-1]):
        found = [from_halfvec(value) for value in to_halfvecs(view)]
        assert np.allclose(found, view, atol=1e-3)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    "row", [[0, 0], [np.nan, 1], [np.inf, 0], [-np.inf, 1], [0.5, 0.5], [2, 0], [1e20, 0]]
)
def test_flaws_are_seen(row: list[float]) -> None:
    """Vectors that are not finite, or not of unit length, are unfit, and only they."""
    vectors = np.array([[1, 0], row, [0.6, 0.8]], np.float32)
    assert flaws(vectors).tolist() == [False, True, False]


def test_rounding_is_no_flaw() -> None:
    """A unit vector is still fit after the loss of precision on its way."""
    assert not flaws(units(50, 384).astype(np.float16).astype(np.float32)).any()


def test_nothing_has_no_flaws() -> None:
    """An empty batch is fine."""
    assert flaws(np.empty((0, 8), np.float32)).tolist() == []
    assert to_halfvecs(np.empty((0, 8), np.float32)) == []
