"""What is kept for a while is told no longer, takes no more room than it may, and is loaded by one for all who ask."""

import asyncio
from collections.abc import Sequence

import pytest

from services.common.cache import Cache
from tests.common.test_breaker import Clock


class Loads:
    """Loads that the test ends one by one, each of what the one before it was and one more."""

    def __init__(self) -> None:
        self.begun: list[asyncio.Future[int]] = []

    async def __call__(self) -> int:
        """Load."""
        self.begun.append(asyncio.get_running_loop().create_future())
        return await self.begun[-1]


async def settled() -> None:
    """Let every task do what it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def asking(
    cache: Cache[str, int], loads: Loads, count: int = 1, seconds: float = 1.0
) -> Sequence[asyncio.Task[int]]:
    """Begin to ask so many times."""
    asked = [asyncio.create_task(cache.load("a", loads, lambda _: seconds)) for _ in range(count)]
    await settled()
    return asked


def test_what_has_expired_is_not_told() -> None:
    """A value lasts as long as was said, and one without a time as long as there is room."""
    clock = Clock()
    cache = Cache[str, int](9, clock)
    cache.put("a", 1, 60)
    cache.put("b", 2)
    clock.now += 59.9
    assert cache.get("a") == 1
    clock.now += 0.1
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (None, 2, None)


def test_who_has_not_been_asked_for_longest_goes() -> None:
    """Beyond its room a cache forgets one value at a time, and none that was asked for or changed lately."""
    cache = Cache[str, int](3)
    for number, key in enumerate("abc"):
        cache.put(key, number)
    assert cache.get("a") == 0
    cache.put("b", 9)
    cache.put("d", 3)
    assert len(cache) == 3
    assert [cache.get(key) for key in "abcd"] == [0, 9, None, 3]


async def test_one_loads_for_all_who_ask() -> None:
    """Who asks while another loads waits for it, and who asks afterwards is told at once, until it has expired."""
    clock, loads = Clock(), Loads()
    cache = Cache[str, int](9, clock)
    asked = await asking(cache, loads, 3)
    assert len(loads.begun) == 1
    loads.begun[0].set_result(7)
    assert await asyncio.gather(*asked, *await asking(cache, loads)) == [7] * 4
    clock.now += 1
    (again,) = await asking(cache, loads)
    loads.begun[1].set_result(8)
    assert await again == 8


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_who_waited_for_a_load_that_failed_loads_itself(is_cancelled: bool) -> None:
    """A client that goes away, or a connection that fails, must cost nobody else an answer; nor must they queue up."""
    loads, cache = Loads(), Cache[str, int](9)
    first, *others = await asking(cache, loads, 3)
    if is_cancelled:
        first.cancel()
    else:
        loads.begun[0].set_exception(ConnectionError("away"))
    with pytest.raises(asyncio.CancelledError if is_cancelled else ConnectionError):
        await first
    await settled()
    assert len(loads.begun) == 3
    for number, load in enumerate(loads.begun[1:]):
        load.set_result(number)
    assert await asyncio.gather(*others) == [0, 1]


async def test_who_goes_away_leaves_the_load_to_others() -> None:
    """That one of those who wait is cancelled must not end what all wait for."""
    loads, cache = Loads(), Cache[str, int](9)
    first, second, third = await asking(cache, loads, 3)
    second.cancel()
    await settled()
    loads.begun[0].set_result(7)
    assert await asyncio.gather(first, third) == [7, 7]
    assert second.cancelled()


async def test_what_does_not_last_is_for_who_loaded_it() -> None:
    """What may not be kept may not be told to others either: each of them loads."""
    loads, cache = Loads(), Cache[str, int](9)
    asked = await asking(cache, loads, 2, seconds=0)
    loads.begun[0].set_result(1)
    await settled()
    loads.begun[1].set_result(2)
    assert await asyncio.gather(*asked) == [1, 2]
    assert cache.get("a") is None


async def test_an_older_value_is_told_while_the_next_is_loaded() -> None:
    """Where a stale value will do nobody waits, but for one that has expired too long ago; nor is it told otherwise."""
    clock, loads = Clock(), Loads()
    cache = Cache[str, int](9, clock, stale_seconds=30)
    cache.put("a", 1, 1)
    clock.now += 30.9
    loading, told = await asking(cache, loads, 2)
    assert (told.done() and told.result(), loading.done(), cache.get("a")) == (1, False, None)
    clock.now += 0.1
    (waits,) = await asking(cache, loads)
    assert len(loads.begun) == 1
    loads.begun[0].set_result(2)
    assert await asyncio.gather(loading, waits) == [2, 2]


@pytest.mark.parametrize("is_put", [True, False])
async def test_what_was_loaded_before_a_change_is_not_kept(is_put: bool) -> None:
    """A load that began before a value was put or forgotten is out of date when it ends."""
    loads, cache = Loads(), Cache[str, int](9)
    (old,) = await asking(cache, loads)
    if is_put:
        cache.put("a", 2)
    else:
        cache.forget("a")
    loads.begun[0].set_result(1)
    assert await old == 1
    assert cache.get("a") == (2 if is_put else None)
