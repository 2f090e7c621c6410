"""A hybrid search of which one leg fails: who asked, who watches and who reads the log are told the same."""

import pytest

from services.common import metrics
from services.common.errors import DatabaseUnavailable, ModelUnavailable
from services.search import store
from services.search.losses import what_is_left
from tests.conftest import Deployment
from tests.search.library import Client, Library, texts, unit
from winnow.search.v1 import search_pb2 as pb

SLEEPS = """
create or replace function search.count_messages(p_workspace uuid, p_terms tsquery[], p_limit int)
  returns table (term int, documents bigint) language plpgsql security definer as
$$ begin perform pg_sleep(60); end $$"""


def lost() -> dict[str, float]:
    """How many searches have lost each leg since the process began."""
    return {
        leg: metrics.SEARCH_LEGS_LOST.labels(leg)._value.get() for leg in ("keyword", "semantic")
    }


async def test_words_that_take_too_long_are_told(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL cancels what looks words up: each search says so, is counted, and is in the log with the reason."""
    monkeypatch.setenv("WINNOW_STATEMENT_TIMEOUT_SECONDS", "1.5")
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("found by meaning", unit(1))
    await deployment.admin.execute(SLEEPS)
    before = lost()
    async with deployment.serving("search") as channel:
        client = Client(channel, deployment.metadata)
        for _ in range(2):
            reply = await client.search("meaning", query_vector=unit(1).tolist())
            assert texts(reply) == ["found by meaning"]
            assert list(reply.warnings) == [
                "words could not be looked up: these results were found by meaning alone"
            ]
    assert lost() == before | {"keyword": before["keyword"] + 2}
    logged = [line for line in caplog.messages if "lost its keyword leg" in line]
    assert len(logged) == 2
    assert "canceling statement due to statement timeout" in logged[0]


async def test_an_embedder_that_is_away_is_told(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody embeds the query: the search says so, is counted and is in the log, and finds by words."""
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("found by words", unit(1))
    before = lost()
    async with deployment.serving("search") as channel:
        reply = await Client(channel, deployment.metadata).search("words")
    assert texts(reply) == ["found by words"]
    assert list(reply.warnings) == [
        "the embedder does not answer: these results were found by words alone"
    ]
    assert lost() == before | {"semantic": before["semantic"] + 1}
    assert any(line.startswith("embedder: UNAVAILABLE") for line in caplog.messages)


async def test_a_leg_that_is_lost_tells_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a leg that fails after it has found something no reply may tell how near that was, or how it was read."""
    library = await Library(deployment.admin, deployment.workspace).open()
    await library.add_message("found by words", unit(1))

    async def cosines(*_: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(store, "cosines", cosines)
    async with deployment.serving("search") as channel:
        reply = await Client(channel, deployment.metadata).search(
            "words",
            query_vector=unit(1).tolist(),
            semantic=pb.LegOptions(score_min=0.1),
            explain=True,
        )
    assert texts(reply) == ["found by words"]
    assert list(reply.warnings) == [
        "vectors could not be read: these results were found by words alone"
    ]
    explanation = reply.explanation
    assert (reply.near_score, explanation.semantic_plan, explanation.semantic_candidates) == (
        0,
        "none",
        0,
    )


def test_a_defect_is_not_lost_behind_a_database_that_is_away() -> None:
    """Where both legs fail, what is to be mended must be what is raised, and so what the log has."""
    away, defect = DatabaseUnavailable("away"), KeyError("defect")
    for legs in ((away, defect), (defect, away)):
        with pytest.raises(KeyError):
            what_is_left(*legs)
    with pytest.raises(DatabaseUnavailable):
        what_is_left(away, ModelUnavailable("away"))
