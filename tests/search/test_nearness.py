"""From which cosine on a text is near."""

import numpy as np
import pytest

from services.common.vectors import to_halfvecs
from services.search.nearness import NEAR_SHARE, Sampled
from tests.search.conftest import Desk
from tests.search.library import unit
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
