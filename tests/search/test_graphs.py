"""The graphs of vectors as searches walk them: several, others than they know, and what is in none."""

import numpy as np

from services.common.vectors import INDEX_SETTINGS, of_segments, to_halfvecs
from services.search import store
from services.search.nearest import nearest_exact, nearest_hnsw
from services.search.store import Filter, Near, Scope
from tests.graphs import add_graph, graphs
from tests.search.conftest import Desk
from tests.search.library import DIMENSIONS, as_search, unit

EACH = 300
WANTED = 20


async def fill(desk: Desk, dice: np.random.Generator) -> None:
    """Add as many messages as have a graph."""
    vectors = dice.standard_normal((EACH, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    await desk.library.add_messages([f"m {n}" for n in range(EACH)], list(vectors))


async def walk(
    desk: Desk, chosen: Filter, known: store.Generation | None = None
) -> tuple[list[Near], str, store.Generation]:
    """What is found by the graphs that are known, or of which the database tells, and how."""
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    async with as_search(desk.library) as connection:
        for name, value in (INDEX_SETTINGS | {"enable_seqscan": "off"}).items():
            await connection.execute("select set_config($1, $2, true)", name, value)
        known = known or await store.serving_generation(connection)
        assert known
        scope = Scope(desk.library.workspace, known, chosen, ("message",))
        found, _ = await nearest_hnsw(connection, scope, vector, WANTED)
        text, values = scope.statement("nearest_hnsw")
        text = of_segments(text, known.bounds)
        arguments = (*chosen.arguments(), desk.library.workspace, vector, WANTED, *values)
        plan = [row[0] for row in await connection.fetch(f"explain {text}", *arguments)]
    return found, "\n".join(plan), known


async def exactly(desk: Desk, chosen: Filter) -> list[Near]:
    """What is nearest of all."""
    vector = to_halfvecs(unit(1).reshape(1, -1))[0]
    async with as_search(desk.library) as connection:
        known = await store.serving_generation(connection)
        assert known
        scope = Scope(desk.library.workspace, known, chosen, ("message",))
        return (await nearest_exact(connection, scope, vector, WANTED))[0]


async def test_what_is_in_any_graph_or_none_is_found(desk: Desk) -> None:
    """Two graphs and the rest must give the nearest of all, with a filter and without, each graph by its index."""
    dice = np.random.default_rng(3)
    for _ in range(2):
        await fill(desk, dice)
        await add_graph(desk.library.admin)
    await fill(desk, dice)
    await desk.library.admin.execute("analyze embedder.vector")
    for chosen in (Filter(), Filter(labels=("signal", "weak", "noise"))):
        found, plan, known = await walk(desk, chosen)
        assert len(known.bounds) == 2
        assert all(name in plan for name in (await graphs(desk.library.admin)).values()), plan
        assert [near.subject for near in found] == [n.subject for n in await exactly(desk, chosen)]


async def test_graphs_that_were_merged_since_are_found_by_what_holds_them(desk: Desk) -> None:
    """A search that knows graphs which are gone by now must walk what holds their vectors, and find the same."""
    dice = np.random.default_rng(4)
    for _ in range(2):
        await fill(desk, dice)
        await add_graph(desk.library.admin)
    await desk.library.admin.execute("analyze embedder.vector")
    before, _, known = await walk(desk, Filter())
    gone = (await graphs(desk.library.admin)).values()
    await desk.library.admin.execute("delete from embedder.segment")
    merged = await add_graph(desk.library.admin)
    for index in gone:
        await desk.library.admin.execute(f"drop index embedder.{index}")
    after, plan, _ = await walk(desk, Filter(), known)
    assert plan.count(f"using {merged}") == 2, plan
    assert [near.subject for near in after] == [near.subject for near in before]
