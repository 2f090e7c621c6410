"""What was worked out or read, kept for a while, so much at most: what nobody has asked for longest goes first."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Values by their keys, each for some seconds.

    What is not there one of those who ask for it loads, and the others wait for that one. For some seconds after it has
    expired a value is told to them instead, so that nobody waits where an older one will do.
    """

    def __init__(
        self,
        entries_max: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        stale_seconds: float = 0.0,
    ) -> None:
        self._entries_max, self._clock, self._stale_seconds = entries_max, clock, stale_seconds
        # The last one asked for stands last.
        self._kept: OrderedDict[Key, tuple[Value, float]] = OrderedDict()
        self._loading: dict[Key, asyncio.Future[Value]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """What is kept under a key; None if nothing is, or only what has expired."""
        return self._find(key, 0.0)

    def put(self, key: Key, value: Value, seconds: float = math.inf) -> None:
        """Keep a value for some seconds: it is newer than what is being loaded."""
        self._loading.pop(key, None)
        self._keep(key, value, seconds)

    def forget(self, key: Key) -> None:
        """Keep nothing under a key, nor what is being loaded: it is out of date."""
        self._loading.pop(key, None)
        self._kept.pop(key, None)

    async def load(
        self, key: Key, load: Callable[[], Awaitable[Value]], seconds: Callable[[Value], float]
    ) -> Value:
        """Return what is kept under a key, else load it and keep it for so many seconds.

        What lasts 0 seconds is for who loaded it alone: others who waited load for themselves, as they do if loading
        failed or was cancelled. It must not take what those who wait may hold, such as the last connection of a pool.
        """
        if (value := self.get(key)) is not None:
            return value
        if (loading := self._loading.get(key)) is not None:
            if (value := self._find(key, self._stale_seconds)) is not None:
                return value
            await asyncio.wait([loading])
            if not loading.cancelled():
                return loading.result()
        loading = self._loading[key] = asyncio.get_running_loop().create_future()
        try:
            value = await load()
            if (lasts := seconds(value)) > 0:
                loading.set_result(value)
                if self._loading.get(key) is loading:
                    self._keep(key, value, lasts)
            return value
        finally:
            loading.cancel()
            if self._loading.get(key) is loading:
                del self._loading[key]

    def _find(self, key: Key, late_seconds: float) -> Value | None:
        kept = self._kept.get(key)
        if kept is None or kept[1] + late_seconds <= self._clock():
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def _keep(self, key: Key, value: Value, seconds: float) -> None:
        self._kept[key] = value, self._clock() + seconds
        self._kept.move_to_end(key)
        if len(self._kept) > self._entries_max:
            self._kept.popitem(last=False)
