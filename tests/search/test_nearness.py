"""From which cosine on a text is near."""

import asyncio
from typing import Any, cast
from uuid import uuid4

import numpy as np
import pytest

from services.common.vectors import to_halfvecs
from services.search import store
from services.search.nearness import NEAR_SHARE, SAMPLE_MAX, Nearness, Sampled, bearing
from services.search.requests import search_question
from services.search.store import Generation
from tests.search.conftest import Desk
from tests.search.library import DIMENSIONS, as_search, unit
from winnow.search.v1 import search_pb2 as pb


def texts_of(unrelated: float, count: int = 256) -> Sampled:
    """A sample of texts whose cosine with unit(1) is about this one."""
    dice = np.random.default_rng(1)
    rest = dice.normal(size=(count, 7))
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    rows = np.concatenate(
        (np.full((count, 1), unrelated), rest * (1 - unrelated**2) ** 0.5), axis=1
    )
    return Sampled.of(to_halfvecs(rows.astype(np.float32)))


@pytest.mark.parametrize("unrelated", [0.05, 0.4, 0.79])
def test_near_is_a_share_above_what_unrelated_texts_have(unrelated: float) -> None:
    """Whatever the scale of the model, a text must cover the same share of what is left to be near."""
    (query,) = to_halfvecs(unit(1).reshape(1, -1))
    near = texts_of(unrelated).near_score([query])
    assert near == pytest.approx(unrelated + NEAR_SHARE * (1 - unrelated), abs=0.03)


def test_few_texts_make_it_strict_and_none_tell_nothing() -> None:
    """A workspace with few texts must ask for more than one with many, and one without must say that it is unknown."""
    queries = to_halfvecs(np.stack([unit(1), unit(0, 1)]))
    assert texts_of(0.1, 4).near_score(queries) > texts_of(0.1).near_score(queries) + 0.3
    assert Sampled.of([]).near_score(queries) == 0
    assert texts_of(0.1).near_score([]) == 0
    assert texts_of(0.6).near_score(queries) == texts_of(0.6).near_score(queries[:1])


async def test_replies_say_what_near_is(desk: Desk) -> None:
    """A reply must give the cosine of nearness where vectors were compared, and 0 where they were not."""
    await desk.library.add_messages([f"w {i}" for i in range(40)], [unit(0.1, 1)] * 40)
    reply = await desk.client.search("w", query_vector=unit(1).tolist())
    assert 0.3 < reply.near_score < 0.6
    by_words = await desk.client.search("w", mode=pb.SEARCH_MODE_KEYWORD)
    assert by_words.near_score == 0


def test_words_make_up_for_what_nearness_lacks() -> None:
    """What is near bears on a query by itself, what is half as near if it has half of its words."""
    unrelated = 0.8
    near_score = unrelated + NEAR_SHARE * (1 - unrelated)
    half = unrelated + NEAR_SHARE / 2 * (1 - unrelated)
    assert bearing(near_score + 1e-9, near_score, 0.0) >= 1
    assert bearing(half, near_score, 0.3) < 1 <= bearing(half, near_score, 0.5)
    assert bearing(half, near_score, 0.5) < bearing(half, near_score, 0.6)
    assert bearing(0.0, near_score, 0.6) == bearing(0.9, 0.0, 0.6) < 1 <= bearing(0.0, 0.0, 0.7)
    assert bearing(-0.9, near_score, 0.0) == 0


async def test_later_pages_take_the_texts_of_the_first(desk: Desk) -> None:
    """What texts have in common must be that of the first page on each: its token tells of how many texts it was."""
    library, now = desk.library, [0.0]
    assert library.generation
    generation = Generation(library.generation, "test", DIMENSIONS)
    nearness = Nearness(lambda: now[0])
    await library.add_messages(["w 1", "w 2", "w 3"], [unit(1), unit(1, 1), unit(0, 1)])
    where = (library.workspace, generation)
    async with as_search(library) as connection:
        first = await nearness.sampled(connection, *where)
    fields = {"query": "w", "query_vector": unit(1).tolist(), "page_size": 2}
    reply = await desk.client.search(**fields)
    request = pb.SearchRequest(page_token=reply.next_page_token, **fields)
    after = search_question(request, "").after
    assert after is not None
    assert after.sampled == first.count == 3
    await library.add_messages(["w 4"] * 5, [unit(0, 0, 1)] * 5)
    now[0] = 60.0
    async with as_search(library) as connection:
        assert (await nearness.sampled(connection, *where)).count == 8
        same = await nearness.sampled(connection, *where, after.sampled)
        assert same.common.tolist() == first.common.tolist()
        assert (await nearness.sampled(connection, *where)).count == 8


async def test_searches_at_once_read_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of vectors must not be read by each of the searches that meet an expired sample together."""
    reads = list[int]()

    async def first_vectors(*arguments: Any) -> Any:
        reads.append(arguments[-1])
        await asyncio.sleep(0)
        return to_halfvecs(np.stack([unit(1), unit(1, 1)]))

    monkeypatch.setattr(store, "first_vectors", first_vectors)
    nearness, generation = Nearness(), Generation(uuid4(), "test", DIMENSIONS)
    where = (cast(Any, None), uuid4(), generation)
    found = await asyncio.gather(*(nearness.sampled(*where) for _ in range(4)))
    assert [each.count for each in found] == [2] * 4
    assert reads == [SAMPLE_MAX]
