"""How fresh a workspace is costs its searches little, however much waits to be embedded."""

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest

from services.common.database import Connection
from services.common.errors import DatabaseUnavailable
from services.search import store
from services.search.freshness import FreshnessGauge
from services.search.store import Freshness
from tests.common.test_breaker import Clock

NOWHERE = cast(Connection, None)


class Backlog:
    """What waits, as the database counts it: each count is answered when the test says so."""

    def __init__(self) -> None:
        self.counts: list[asyncio.Future[Freshness]] = []

    async def __call__(self, *_: Any) -> Freshness:
        """Count."""
        self.counts.append(asyncio.get_running_loop().create_future())
        return await self.counts[-1]


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> Backlog:
    """A backlog in place of the database's."""
    backlog = Backlog()
    monkeypatch.setattr(store, "freshness", backlog)
    return backlog


async def counted(gauge: FreshnessGauge, backlog: Backlog, clock: Clock, seconds: float) -> None:
    """Have the backlog counted, which takes so long."""
    workspace = uuid4()
    for pending in range(2):
        reading = asyncio.create_task(gauge.read(NOWHERE, workspace, None))
        await asyncio.sleep(0)
        clock.now += seconds
        backlog.counts[pending].set_result(Freshness(pending, None))
        assert (await reading).pending == pending
        clock.now += 9 * seconds - 0.1
        assert (await gauge.read(NOWHERE, workspace, None)).pending == pending
        clock.now += 0.2


async def test_what_takes_long_to_count_is_counted_less_often(backlog: Backlog) -> None:
    """A count that takes two seconds is kept for eighteen."""
    clock = Clock()
    await counted(FreshnessGauge(clock), backlog, clock, 2)
    assert len(backlog.counts) == 2


async def test_one_search_counts_at_a_time(backlog: Backlog) -> None:
    """While one counts anew others are told what was counted before; whoever waits for its own write counts itself."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(clock)
    first = asyncio.create_task(gauge.read(NOWHERE, workspace, None))
    await asyncio.sleep(0)
    backlog.counts[0].set_result(Freshness(1, None))
    await first
    clock.now += 1.1
    second = asyncio.create_task(gauge.read(NOWHERE, workspace, None))
    await asyncio.sleep(0)
    assert (await gauge.read(NOWHERE, workspace, None)).pending == 1
    own = asyncio.create_task(gauge.read(NOWHERE, workspace, None, anew=True))
    await asyncio.sleep(0)
    for pending, count in enumerate(backlog.counts[1:], 2):
        count.set_result(Freshness(pending, None))
    assert [(await second).pending, (await own).pending] == [2, 3]


async def test_a_count_that_fails_is_not_remembered(backlog: Backlog) -> None:
    """The next search counts again."""
    clock, workspace = Clock(), uuid4()
    gauge = FreshnessGauge(clock)
    for number, outcome in enumerate((Freshness(1, None), DatabaseUnavailable("away"))):
        reading = asyncio.create_task(gauge.read(NOWHERE, workspace, None))
        await asyncio.sleep(0)
        if isinstance(outcome, Freshness):
            backlog.counts[number].set_result(outcome)
            await reading
        else:
            backlog.counts[number].set_exception(outcome)
            with pytest.raises(DatabaseUnavailable):
                await reading
        clock.now += 1.1
    again = asyncio.create_task(gauge.read(NOWHERE, workspace, None))
    await asyncio.sleep(0)
    backlog.counts[2].set_result(Freshness(3, None))
    assert (await again).pending == 3
