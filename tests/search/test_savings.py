"""What spares searches work: counts that are kept, and candidates that have the rarest words."""

import itertools
import tracemalloc
from typing import Any
from uuid import UUID

import pytest

from services.common.database import Connection
from services.search import keyword
from services.search.statistics import Statistics
from services.search.store import Filter
from tests.search.asking import KEYWORD
from tests.search.conftest import Desk
from tests.search.library import as_search, texts


class Recording:
    """A connection that remembers how many statements were asked of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.statements = connection, 0

    async def fetch(self, *arguments: Any) -> Any:
        """Ask the database."""
        self.statements += 1
        return await self._connection.fetch(*arguments)


async def test_many_documents_are_counted_once_a_minute(desk: Desk) -> None:
    """From a thousand on a count must be remembered for a minute, each kind by itself; fewer are counted each time."""
    workspace, now = desk.library.workspace, 0.0
    statistics = Statistics(lambda: now)

    async def documents(*kinds: str) -> tuple[int, int]:
        async with as_search(desk.library) as connection:
            recording: Any = Recording(connection)
            count = await statistics.documents(recording, workspace, kinds)
            return count, recording.statements

    await desk.library.add_messages([f"number {i}" for i in range(999)])
    assert await documents("message") == (999, 1)
    ids = await desk.library.add_messages(["one", "another"])
    assert await documents("message") == (1_001, 1)
    await desk.library.add_message("a third")
    await desk.library.add_atom("an atom", "", ids)
    assert await documents("message") == (1_001, 0)
    assert await documents("message", "atom") == (1_002, 1)
    now = 59.0
    assert await documents("message") == (1_001, 0)
    now = 60.0
    assert await documents("message") == (1_002, 1)


async def test_the_more_documents_the_longer_their_count_is_kept(desk: Desk) -> None:
    """To count two hundred thousand takes longer than to search them, and a minute changes their number little."""
    now = 0.0
    statistics = Statistics(lambda: now)
    await desk.library.add_messages(["x"] * 3_000)

    async def is_counted_at(moment: float) -> bool:
        nonlocal now
        now = moment
        async with as_search(desk.library) as connection:
            recording: Any = Recording(connection)
            await statistics.documents(recording, desk.library.workspace, ["message"])
        return recording.statements > 0

    assert [await is_counted_at(moment) for moment in (0, 179, 181)] == [True, False, True]


async def test_only_what_is_known_to_be_large_keeps_plans(desk: Desk) -> None:
    """A plan made while a table is small must not be kept: each kind must be large, and known to be so for a minute."""
    workspace, now = desk.library.workspace, 0.0
    statistics = Statistics(lambda: now)
    assert not statistics.are_large(workspace, ["message"], 0)
    await desk.library.add_messages([f"number {i}" for i in range(1_000)])
    async with as_search(desk.library) as connection:
        await statistics.documents(connection, workspace, ["message", "atom"])
    assert statistics.are_large(workspace, ["message"], 999)
    assert not statistics.are_large(workspace, ["message"], 1_000)
    assert not statistics.are_large(workspace, ["message", "atom"], 0)
    now = 61.0
    assert not statistics.are_large(workspace, ["message"], 0)


async def test_a_term_that_is_in_many_documents_is_counted_seldom(desk: Desk) -> None:
    """What some messages more do not change must not be counted each time; what they do change must be, at once."""
    library, now = desk.library, 0.0
    await library.add_messages(["blue green"] * 30 + ["blue"] * 170)
    statistics = Statistics(lambda: now)

    async def counts(documents: int) -> list[int]:
        async with as_search(library) as connection:
            where = (connection, library.workspace, ["message"])
            return await statistics.containing(*where, ["'blue'", "'green'"], documents)

    assert await counts(200) == [200, 30]
    await library.add_messages(["blue green"] * 5)
    assert await counts(205) == [200, 35]
    # Of so many documents more nobody knows how many have it.
    assert await counts(230) == [205, 35]
    await library.add_message("blue")
    now = 719.0
    assert await counts(230) == [205, 35]
    now = 739.0
    assert await counts(230) == [206, 35]


async def test_a_filter_that_leaves_much_is_remembered_for_a_minute(desk: Desk) -> None:
    """It must not be counted again what a filter leaves, whatever was written since; another filter leaves another."""
    workspace, now = desk.library.workspace, 0.0
    statistics = Statistics(lambda: now)
    ann = Filter(author_ids=("ann",))
    statistics.remember_more(workspace, ann, ["message"], 100)
    assert statistics.leaves_more(workspace, ann, ["message"], 100)
    assert not statistics.leaves_more(workspace, ann, ["message"], 101)
    assert not statistics.leaves_more(workspace, ann, ["message", "atom"], 100)
    assert not statistics.leaves_more(workspace, Filter(author_ids=("bob",)), ["message"], 100)
    now = 60.0
    assert not statistics.leaves_more(workspace, ann, ["message"], 100)


async def test_what_expires_while_it_is_looked_up_is_counted(desk: Desk) -> None:
    """A count that ends between two looks at the clock must be made anew, not taken for nothing."""
    workspace, moments = desk.library.workspace, itertools.count(0.0, 35.0)
    statistics = Statistics(lambda: next(moments))
    await desk.library.add_messages([f"number {i}" for i in range(1_000)])
    async with as_search(desk.library) as connection:
        for _ in range(3):
            assert await statistics.documents(connection, workspace, ["message"]) == 1_000


def test_filters_take_little_memory() -> None:
    """However large they are, what is remembered of thousands of them must not add up."""
    statistics = Statistics()
    tracemalloc.start()
    try:
        for number in range(500):
            authors = tuple(f"{number} {i}".ljust(256) for i in range(100))
            statistics.remember_more(UUID(int=1), Filter(author_ids=authors), ["message"], 400)
            assert statistics.leaves_more(UUID(int=1), Filter(author_ids=authors), ["message"], 400)
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 1_000_000


async def test_words_that_are_everywhere_only_weigh(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the rarer words of a query promise enough, a search must not weigh all that has the commonest alone."""
    # Apart from each other, as what stands beside a hit is weighed, too.
    said = ["the deploy shows an error", *["the deploy is late"] * 30, *["an error again"] * 20]
    for thread, text in enumerate(said):
        await desk.library.add_message(text, thread_id=str(thread))
    everything = await desk.client.search("deploy error", mode=KEYWORD, page_size=100)
    assert len(everything.results) == 51
    for name, value in (("MATCHED_MAX", 20), ("CANDIDATES_MIN", 1), ("CANDIDATES_MAX", 5)):
        monkeypatch.setattr(keyword, name, value)
    few = texts(await desk.client.search("deploy error", mode=KEYWORD, page_size=100))
    assert few == [said[0], *["an error again"] * 20]
