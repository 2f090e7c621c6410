"""Which graphs there are of vectors that come in however they like, and what searches ask of them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.database import Database, DatabaseSettings
from services.common.vectors import of_segments
from services.embedder.segments import (
    SHARE_MIN,
    Build,
    Density,
    Segment,
    Sizes,
    choose,
    waits_for_quiet,
)
from tests.conftest import Deployment

SPARSE, DENSE = Density(4, 8), Density(8, 16)
SIZES = st.builds(
    Sizes,
    segment_rows=st.integers(1, 100),
    sparse=st.just(SPARSE),
    # With as many neighbours in both none is any denser.
    dense=st.sampled_from([DENSE, SPARSE, Density(2, 8)]),
    dense_rows_min=st.sampled_from([0, 1, 100, 1000]),
)
# So many vectors come in, whether it is quiet then, and which graph breaks, if any.
GROWTH = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 10), st.integers(1, 1000), st.just(10_000)),
        st.booleans(),
        st.one_of(st.none(), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=150,
)


@dataclass
class Grown:
    """A generation each of whose transactions wrote some vectors, and its graphs."""

    sizes: Sizes
    graphs: list[Segment] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    built: Counter[int] = field(default_factory=Counter)

    @property
    def horizon(self) -> int:
        """The transaction that is next."""
        return len(self.written)

    @property
    def outside(self) -> int:
        """How many vectors are in no graph."""
        return sum(self.written[self.graphs[-1].until if self.graphs else 0 :])

    def settle(self, *, is_quiet: bool) -> list[Build]:
        """Build as long as there is something to build; return what was."""
        builds = list[Build]()
        while build := self._next(is_quiet=is_quiet):
            builds.append(build)
            self._apply(build)
            assert len(builds) < 20, "it never ends"
        return builds

    def _next(self, *, is_quiet: bool) -> Build | None:
        quiet = is_quiet and waits_for_quiet(self.graphs, self.outside, self.sizes)
        return choose(self.graphs, self.outside, self.horizon, self.sizes, is_quiet=quiet)

    def _apply(self, build: Build) -> None:
        gone = [each for each in self.graphs if build.since < each.until <= build.until]
        kept = [each for each in self.graphs if each not in gone]
        if all(each.is_valid for each in gone):
            self.built.update(range(build.since, build.until))
        rows = sum(self.written[build.since : build.until])
        assert build.rows == rows
        new = Segment(build.until, rows, build.density.m, True)
        self.graphs = sorted([*kept, new], key=lambda each: each.until)


def grow(sizes: Sizes, growth: Sequence[tuple[int, bool, int | None]]) -> Grown:
    """Let vectors come in, and build what is due after each transaction; nothing breaks."""
    grown = Grown(sizes)
    for rows, is_quiet, _ in growth:
        grown.written.append(rows)
        grown.settle(is_quiet=is_quiet)
    return grown


@given(SIZES, GROWTH)
def test_graphs_lie_end_to_end(sizes: Sizes, growth: list[tuple[int, bool, int | None]]) -> None:
    """A build begins where a graph that stays ends and reaches to the newest; a broken one comes first, as it was."""
    grown = Grown(sizes)
    for rows, is_quiet, breaks in growth:
        grown.written.append(rows)
        broken = None
        if breaks is not None and breaks < len(grown.graphs):
            broken = grown.graphs[breaks]
            grown.graphs[breaks] = replace(broken, is_valid=False)
        ends = [0, *(each.until for each in grown.graphs)]
        builds = grown.settle(is_quiet=is_quiet)
        if broken is not None:
            mended = builds.pop(0)
            assert (mended.since, mended.until) == (ends[breaks or 0], broken.until)
        for build in builds:
            assert build.since in ends
            assert build.since < build.until == grown.horizon
        untils = [each.until for each in grown.graphs]
        assert untils == sorted({*untils})
        if builds:
            assert (untils[-1], grown.outside) == (grown.horizon, 0)


@given(SIZES, GROWTH)
def test_graphs_stay_few(sizes: Sizes, growth: list[tuple[int, bool, int | None]]) -> None:
    """However vectors come in, a search walks a logarithmic number of graphs and compares few beside them."""
    grown = grow(sizes, growth)
    total = sum(grown.written)
    assert len(grown.graphs) <= steps(grown)
    assert grown.outside < max(sizes.segment_rows, total // SHARE_MIN, 1)


@given(SIZES, GROWTH)
def test_a_vector_is_built_into_few_graphs(
    sizes: Sizes, growth: list[tuple[int, bool, int | None]]
) -> None:
    """However vectors come in, none is put into more than a logarithmic number of graphs one after another."""
    grown = grow(sizes, growth)
    assert max(grown.built.values(), default=0) <= steps(grown)


def steps(grown: Grown) -> float:
    """How often the smallest graph grows by a third until it is all, among the sparse ones and among the dense ones.

    Whatever is not built anew is more than a third of all that is newer.
    """
    sizes = grown.sizes
    smallest = min(sizes.segment_rows, sizes.dense_rows_min or sizes.segment_rows)
    return 2 * (1 + math.log(max(1.0, sum(grown.written) / smallest), 4 / 3))


@pytest.mark.parametrize("dense", [DENSE, SPARSE, Density(2, 8)])
def test_what_comes_in_steadily_is_built_into_five_graphs_at_most(dense: Density) -> None:
    """Of 256 stretches of the same size few are ever in graphs of their own, whichever of the densities is greater."""
    grown = Grown(Sizes(10, SPARSE, dense, 0))
    most = 0
    for _ in range(256):
        grown.written.append(10)
        grown.settle(is_quiet=False)
        most = max(most, len(grown.graphs))
    assert most <= 13
    assert max(grown.built.values()) <= 5


@given(SIZES, GROWTH)
def test_what_is_dense_stays_dense(
    sizes: Sizes, growth: list[tuple[int, bool, int | None]]
) -> None:
    """No vector that was in a dense graph gets into another; none is built unless it is quiet, or at all if never."""
    grown, dense_until = Grown(sizes), 0
    for rows, is_quiet, _ in growth:
        grown.written.append(rows)
        builds = grown.settle(is_quiet=is_quiet)
        for build in builds:
            is_dense = build.density != sizes.sparse
            assert is_dense or build.since >= dense_until
            assert not is_dense or (is_quiet and 0 < sizes.dense_rows_min <= build.rows)
            dense_until = build.until if is_dense else dense_until


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_what_is_large_and_quiet_is_dense(parts: int, rest: int) -> None:
    """Once it is quiet, all that is in no dense graph gets one together if it is enough, and none if it is not."""
    grown = Grown(Sizes(10, SPARSE, DENSE, 5000))
    for _ in range(parts):
        grown.written.append(800)
        grown.settle(is_quiet=False)
    grown.written.append(rest + 1)
    grown.settle(is_quiet=True)
    if sum(grown.written) >= 5000:
        assert [each.m for each in grown.graphs] == [DENSE.m]
    else:
        assert {each.m for each in grown.graphs} == {SPARSE.m}


CONDITIONS = """select v.written::text as written,
                  /*segment*/({segment})::int + /*end segment*/({outside})::int as times
                from (select w::xid8 as written from unnest($1::text[]) w) v"""


@pytest.mark.parametrize(
    "bounds", [(), (1,), (5,), (5, 6), (5, 6, 700, 2**33), (2**63, 2**64 - 1), (9, 10, 99, 100)]
)
async def test_each_vector_is_asked_for_once(deployment: Deployment, bounds: Sequence[int]) -> None:
    """Whatever graphs there are, exactly one of the conditions of a search holds of a vector, whoever wrote it."""
    near = {bound + by for bound in (0, *bounds, 2**32) for by in (-1, 0, 1)}
    numbers = [str(number) for number in sorted(near) if 0 <= number < 2**64]
    text = of_segments(CONDITIONS, [str(bound) for bound in bounds])
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        database.connection() as connection,
    ):
        rows = await connection.fetch(text, numbers)
    assert [tuple(row) for row in rows] == [(number, 1) for number in numbers]
