"""Words that many messages of a large workspace have: counted once somebody searches it, before they are asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from services.common.database import Connection
from services.common.errors import DatabaseUnavailable
from services.search import store
from services.search.common_words import CommonWords
from services.search.keyword import KeywordLeg
from services.search.reads import Reads
from services.search.statistics import TERM_DOCUMENTS_MAX, Statistics
from tests.search.conftest import Desk
from winnow.search.v1 import search_pb2 as pb

KEYWORD = pb.SEARCH_MODE_KEYWORD


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the database is asked to count."""
    asked, count = list[str](), store.count_documents

    async def noted(
        connection: Connection,
        workspace: UUID,
        kinds: Sequence[str],
        queries: Sequence[str],
        limit: int,
    ) -> dict[str, list[int]]:
        found = await count(connection, workspace, kinds, queries, limit)
        asked.extend(queries)
        return found

    monkeypatch.setattr(store, "count_documents", noted)
    return asked


def has(asked: Sequence[str], word: str) -> bool:
    """Whether a word is among what was counted."""
    return any(f"'{word}" in each for each in asked)


async def test_no_search_waits_for_common_words(desk: Desk, counted: list[str]) -> None:
    """After one search of a large workspace its common words must be counted, and the rare ones not."""
    rows = range(TERM_DOCUMENTS_MAX + 1)
    await desk.library.add_messages([f"crane harbour{row}" for row in rows])
    await desk.client.search("quay", mode=KEYWORD)
    async with asyncio.timeout(60):
        while not has(counted, "crane"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not has(counted, "harbour")
    counted.clear()
    reply = await desk.client.search("crane", mode=KEYWORD)
    assert reply.results
    assert not has(counted, "crane")


async def test_a_small_workspace_is_left_alone(desk: Desk, counted: list[str]) -> None:
    """Where words are counted in no time, none must be counted but those that are asked for."""
    await desk.library.add_messages(["crane"] * 50)
    await desk.client.search("quay", mode=KEYWORD)
    await asyncio.sleep(0.5)
    assert not has(counted, "crane")


async def test_a_database_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be counted must be tried again a minute later, not at once and not an hour later."""
    tries, now = list[float](), [0.0]

    class Away(Reads):
        async def run(self, work: Callable[[], Awaitable[Any]], *, of_now: bool = False) -> Any:
            tries.append(now[0])
            raise DatabaseUnavailable("away")

    monkeypatch.setattr(Statistics, "are_large", lambda *_: True)
    reads, statistics, workspace = Away(cast(Any, None)), Statistics(), uuid4()
    words = CommonWords(reads, KeywordLeg(statistics), statistics, lambda: now[0])
    running = asyncio.create_task(words.run())
    for now[0] in (0.0, 0.0, 59.0, 61.0):
        words.want(workspace)
        await asyncio.sleep(0.01)
    assert tries == [0.0, 61.0]
    assert not running.done()
    running.cancel()
