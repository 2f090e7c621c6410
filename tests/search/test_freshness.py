"""How fresh a workspace is costs its searches little, however much waits to be embedded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from services.common.database import Connection
from services.common.errors import DatabaseUnavailable
from services.common.waiting import end
from services.search import backlog, store
from services.search.backlog import Freshness
from services.search.freshness import FreshnessGauge, Serving
from services.search.reads import Reads
from services.search.store import Generation
from tests.common.test_breaker import Clock

NOWHERE = cast(Connection, None)
READS = Reads(cast(Any, None))


class Answers:
    """What waits, as the database tells it: each question is answered when the test says so."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Any]] = []

    async def __call__(self, *_: Any) -> Any:
        """Ask."""
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


class Always:
    """A look that always sees the same."""

    def __init__(self, found: Freshness, *, is_all: bool) -> None:
        self._found = found, is_all

    async def __call__(self, *_: Any) -> tuple[Freshness, bool]:
        """Look."""
        return self._found


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Looks that the test answers."""
    looks = Answers()
    monkeypatch.setattr(backlog, "look", looks)
    return looks


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Counts that the test answers, of a workspace in which a look always sees 2,000, which is not all."""
    counts = Answers()
    monkeypatch.setattr(backlog, "look", Always(Freshness(2_000, None), is_all=False))
    monkeypatch.setattr(backlog, "count", counts)
    return counts


async def settled() -> None:
    """Let every task do what it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def counting(gauge: FreshnessGauge) -> AsyncIterator[None]:
    """Run what counts, as a service does."""
    running = asyncio.create_task(gauge.run())
    try:
        yield
        assert not running.done()
    finally:
        await end([running])


async def pending(gauge: FreshnessGauge, workspace: UUID) -> int:
    """What a search tells."""
    return (await gauge.read(NOWHERE, workspace, None)).pending


async def test_one_search_looks_at_a_time(looks: Answers) -> None:
    """While one looks others are told what was seen before; whoever waits for its own write looks itself."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(READS, clock)
    first = asyncio.create_task(pending(gauge, workspace))
    await asyncio.sleep(0)
    looks.asked[0].set_result((Freshness(1, None), True))
    await first
    clock.now += 1.1
    second = asyncio.create_task(pending(gauge, workspace))
    await asyncio.sleep(0)
    assert await pending(gauge, workspace) == 1
    own = asyncio.create_task(gauge.read(NOWHERE, workspace, None, anew=True))
    await asyncio.sleep(0)
    for number, look in enumerate(looks.asked[1:], 2):
        look.set_result((Freshness(number, None), True))
    assert [await second, (await own).pending] == [2, 3]


async def test_a_look_that_fails_is_not_remembered(looks: Answers) -> None:
    """The next search looks again."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(READS, clock)
    for number, outcome in enumerate(((Freshness(1, None), True), DatabaseUnavailable("away"))):
        reading = asyncio.create_task(pending(gauge, workspace))
        await asyncio.sleep(0)
        if isinstance(outcome, tuple):
            looks.asked[number].set_result(outcome)
            await reading
        else:
            looks.asked[number].set_exception(outcome)
            with pytest.raises(DatabaseUnavailable):
                await reading
        clock.now += 1.1
    again = asyncio.create_task(pending(gauge, workspace))
    await asyncio.sleep(0)
    looks.asked[2].set_result((Freshness(3, None), True))
    assert await again == 3


async def test_no_search_waits_for_a_count(counts: Answers) -> None:
    """Until a backlog is counted searches tell what they see of it, then what was counted; one is made at a time."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(READS, clock)
    async with counting(gauge):
        for _ in range(3):
            assert await pending(gauge, workspace) == 2_000
            await settled()
            clock.now += 1.1
        [count] = counts.asked
        count.set_result(Freshness(1_000_000, None))
        await settled()
        assert await pending(gauge, workspace) == 1_000_000


async def test_what_takes_long_to_count_is_counted_less_often(counts: Answers) -> None:
    """A count that takes two seconds is told for eighteen, and on while the next is made."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(READS, clock)
    async with counting(gauge):
        await pending(gauge, workspace)
        await settled()
        clock.now += 2
        counts.asked[0].set_result(Freshness(1_000_000, None))
        await settled()
        clock.now += 17.9
        assert await pending(gauge, workspace) == 1_000_000
        await settled()
        assert len(counts.asked) == 1
        clock.now += 1.2
        assert await pending(gauge, workspace) == 1_000_000
        await settled()
        assert len(counts.asked) == 2


async def test_a_count_that_fails_is_made_again(counts: Answers) -> None:
    """A database that is away for a while ends neither searches nor what counts for them."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(READS, clock)
    async with counting(gauge):
        await pending(gauge, workspace)
        await settled()
        counts.asked[0].set_exception(DatabaseUnavailable("away"))
        await settled()
        clock.now += 31
        assert await pending(gauge, workspace) == 2_000
        await settled()
        counts.asked[1].set_result(Freshness(1_000_000, None))
        await settled()
        clock.now += 1.1
        assert await pending(gauge, workspace) == 1_000_000


async def test_a_count_that_nobody_needs_any_more_is_not_made(counts: Answers) -> None:
    """Once another generation serves, nothing must be counted of what waits for the one before."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(READS, clock)
    await pending(gauge, workspace)
    clock.now += 1.1
    await gauge.read(NOWHERE, workspace, Generation(uuid4(), "new", 8))
    async with counting(gauge):
        await settled()
        counts.asked[0].set_result(Freshness(1_000_000, None))
        await settled()
        clock.now += 1.1
        assert await pending(gauge, workspace) == 2_000
        assert len(counts.asked) == 1


async def test_what_served_before_it_was_forgotten_is_not_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look that began before a generation was seen to be gone must not make searches ask for it once more."""
    looks, serving = Answers(), Serving(Clock())
    monkeypatch.setattr(store, "serving_generation", looks)
    old, new = (Generation(uuid4(), name, 8) for name in ("old", "new"))
    early = asyncio.create_task(serving.generation(NOWHERE, None))
    await settled()
    serving.forget()
    late = asyncio.create_task(serving.generation(NOWHERE, None))
    await settled()
    looks.asked[1].set_result(new)
    assert await late == new
    looks.asked[0].set_result(old)
    assert await early == old
    assert serving.known == new.id


async def test_where_nothing_serves_each_search_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one is told of no generation, on a replica that is behind, must not be told to others."""
    looks, serving = Answers(), Serving(Clock())
    monkeypatch.setattr(store, "serving_generation", looks)
    asked = [asyncio.create_task(serving.generation(NOWHERE, None)) for _ in range(2)]
    await settled()
    looks.asked[0].set_result(None)
    await settled()
    looks.asked[1].set_result(generation := Generation(uuid4(), "new", 8))
    assert await asyncio.gather(*asked) == [None, generation]
