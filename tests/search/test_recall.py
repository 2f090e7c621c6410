"""Recall in production: what is sampled, what is compared, and that a scan which gives too little is made good."""

from uuid import uuid4

import pytest

from services.common import metrics
from services.common.database import Database, DatabaseSettings
from services.common.vectors import INDEX_SETTINGS, to_halfvecs
from services.search import aims, semantic
from services.search.recall import RecallProbe, Sample, recall
from services.search.statistics import Statistics
from services.search.store import Filter, Generation, Near, Scope, Subject
from tests.graphs import add_graph, graphs
from tests.search.conftest import Desk
from tests.search.library import DIMENSIONS, unit


def near(*cosines: float) -> list[Near]:
    """Subjects with some cosines."""
    return [Near(Subject("message", uuid4()), cosine) for cosine in cosines]


def test_equal_texts_are_as_good_as_each_other() -> None:
    """Recall must be by nearness: another subject that is as near counts, a farther one does not."""
    truth = near(0.9, 0.8, 0.8)
    assert recall(near(0.9, 0.8, 0.8, 0.7), truth) == 1
    assert recall(near(0.9, 0.8, 0.7), truth) == pytest.approx(2 / 3)
    assert recall(near(0.9), truth) == pytest.approx(1 / 3)
    assert recall([], []) == 1


async def test_a_sample_is_compared_with_the_truth(desk: Desk) -> None:
    """A search that missed one of two must be seen as a recall of a half, at most one in the time that is set."""
    ids = await desk.library.add_messages(["a", "b"], [unit(1), unit(1, 0.1)])
    now = [0.0]
    async with Database.open(DatabaseSettings.read(), "winnow_search", size=1) as database:
        probe = RecallProbe(database, 60, lambda: now[0])
        assert desk.library.generation
        generation = Generation(desk.library.generation, "test", DIMENSIONS)
        vector = to_halfvecs(unit(1).reshape(1, -1))[0]
        found = (Near(Subject("message", ids[0]), 1.0),)
        scope = Scope(desk.library.workspace, generation, Filter(), ("message",))
        sample = Sample(scope, aims.plain([vector]), found)
        assert await probe.compare(sample) == 0.5
        for moment, taken in ((0, True), (59, False), (60, True)):
            now[0] = moment
            probe.offer(sample)
            assert probe.waiting is taken
            probe.clear()


async def test_the_index_gives_too_little_and_all_is_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an index scan stops early, what is there must be found by comparing everything; else it must be flagged."""
    await desk.library.add_messages([f"m {i}" for i in range(40)], [unit(1, i) for i in range(40)])
    await add_graph(desk.library.admin)
    monkeypatch.setattr(semantic, "EXACT_ROWS_MAX", 10)
    settings = INDEX_SETTINGS | {
        "hnsw.ef_search": "1",
        "hnsw.iterative_scan": "off",
        "enable_seqscan": "off",
        "enable_sort": "off",
    }
    monkeypatch.setattr(semantic, "SCAN_BREADTH", 1000)
    assert desk.library.generation
    bounds = tuple(await graphs(desk.library.admin))
    generation = Generation(desk.library.generation, "test", DIMENSIONS, bounds)
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    async with (
        Database.open(
            DatabaseSettings.read(), "winnow_search", size=1, server_settings=settings
        ) as database,
        database.reading(desk.library.workspace) as connection,
    ):
        leg = semantic.SemanticLeg(Statistics())
        scope = Scope(desk.library.workspace, generation, Filter(), ("message",))
        flagged = await leg.find(connection, scope, aims.plain([vector]), 20)
        whole = await leg.find(connection, scope, aims.plain([vector]), 20, 10)
    assert (flagged.plan, flagged.under_filled) == (semantic.Plan.HNSW, True)
    assert len(flagged.nearest) < 10
    assert (whole.plan, whole.under_filled, len(whole.nearest)) == (semantic.Plan.EXACT, False, 20)


async def test_plans_are_counted(desk: Desk) -> None:
    """Every search must be counted by how it read vectors."""
    before = metrics.REGISTRY.get_sample_value("winnow_searches_total", {"plan": "exact"}) or 0
    await desk.library.add_message("x", unit(1))
    await desk.client.meaning(unit(1))
    after = metrics.REGISTRY.get_sample_value("winnow_searches_total", {"plan": "exact"})
    assert after == before + 1
