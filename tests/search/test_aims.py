"""What is looked for by meaning in a hybrid search, and that what is near to everything is not found first by it."""

import numpy as np
import pytest

from services.common.vectors import Matrix, from_halfvec, to_halfvecs
from services.search import aims
from services.search.store import Near, Subject
from tests.search.conftest import Desk
from tests.search.library import DIMENSIONS, texts, unit
from winnow.search.v1 import search_pb2 as pb


def halfvecs(*vectors: Matrix) -> list[bytes]:
    """Vectors as the database takes them."""
    return to_halfvecs(np.stack(vectors))


def test_what_is_near_to_all_loses_by_that() -> None:
    """What is measured must be the cosine less a part of how near a text is to all, above how near the query is."""
    common, text = 0.8 * unit(1, 0.2), unit(0.3, 1)
    queries = unit(1, 1), unit(0.2, 0, 1)
    for query, aim in zip(queries, aims.less_common(halfvecs(*queries), common), strict=True):
        cosine = float(from_halfvec(aim.value) @ text)
        (found,) = aim.measured([Near(Subject("message", "x"), cosine)])
        wanted = query @ text - aims.COMMON_SHARE * (common @ text) - query @ common
        assert found.cosine == pytest.approx(float(wanted), abs=1e-3)


def test_of_no_texts_nothing_is_taken_off() -> None:
    """Without a sample vectors must be looked for as they are, and their cosines be what was found."""
    values = halfvecs(unit(1), unit(0, 1))
    wanted = aims.less_common(values, np.zeros(DIMENSIONS, np.float32))
    assert wanted == aims.less_common(values, np.zeros(0, np.float32)) == aims.plain(values)
    near = [Near(Subject("message", "x"), 0.5)]
    assert wanted[0].measured(near) is near


async def test_what_is_near_to_everything_does_not_come_first(desk: Desk) -> None:
    """In a hybrid search a text near to all must come after one near to the query alone; scores must stay cosines."""
    dice = np.random.default_rng(2).normal(0, 0.3, (60, DIMENSIONS - 1))
    crowd = [unit(1, *each) for each in dice.tolist()]
    await desk.library.add_messages([f"m {i}" for i in range(60)], crowd, thread_id="crowd")
    hub, telling, query = unit(1), unit(0.6, 1), unit(1, 0.5)
    await desk.library.add_message("ok then", hub, thread_id="a")
    await desk.library.add_message("the disk was filled up", telling, thread_id="b")
    fields = {"query_vector": query.tolist(), "page_size": 100}
    by_cosine = await desk.client.search("x", mode=pb.SEARCH_MODE_SEMANTIC, **fields)
    both = await desk.client.search("x", mode=pb.SEARCH_MODE_HYBRID, **fields)
    order = texts(by_cosine)
    assert order.index("ok then") < order.index("the disk was filled up")
    order = texts(both)
    assert order.index("the disk was filled up") < order.index("ok then")
    cosines = {result.message.text: result.semantic.score for result in both.results}
    assert cosines["ok then"] == pytest.approx(float(hub @ query), abs=1e-3)
    assert cosines["the disk was filled up"] == pytest.approx(float(telling @ query), abs=1e-3)


async def test_atoms_and_parts_have_their_cosines_in_a_hybrid_search(desk: Desk) -> None:
    """Scores of all kinds must be their own cosines: the best part's of a long text, none for what has no vector."""
    first = await desk.library.add_message("long", unit(0, 1), thread_id="a")
    await desk.library.add_vectors("message", [first], ["long"], [unit(1, 1)], part=1)
    await desk.library.add_message("not yet embedded", thread_id="a")
    await desk.library.add_atom("An atom", "Content.", [first], unit(1, 0.2))
    reply = await desk.client.search("x", query_vector=unit(1).tolist())
    scores = {r.message.text or r.atom.title: r.semantic.score for r in reply.results}
    assert scores["An atom"] == pytest.approx(float(unit(1, 0.2)[0]), abs=1e-3)
    assert scores["long"] == pytest.approx(float(unit(1, 1)[0]), abs=1e-3)
    assert scores["not yet embedded"] == 0
