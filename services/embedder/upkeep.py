"""Keeps what belongs to generations in order: models open, tasks awake, vectors of retired generations gone."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from services.common.database import Database
from services.common.errors import LockedTooLong, Unavailable
from services.embedder import generation_store as store
from services.embedder.generations import Generation, Generations
from services.embedder.outages import WOKEN_MAX, Outages
from services.embedder.shelf import Shelf

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
# A model is opened before its generation is there, in a call of at most a minute.
_OPENING_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 60.0


class Upkeep:
    """Follows the generations of the deployment; any number of replicas may do so.

    The vectors of a retired generation are dropped after longer than anybody remembers which generation serves,
    and than a search takes that has begun with it.
    """

    def __init__(
        self,
        database: Database,
        generations: Generations,
        shelf: Shelf,
        outages: Outages,
        drop_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._generations, self._shelf = database, generations, shelf
        self._outages = outages
        self._drop_after_seconds, self._clock = drop_after_seconds, clock
        self._drop_again = 0.0

    async def follow(self) -> None:
        """Until cancelled: open the models of new generations, and end those retired."""
        while True:
            try:
                live = await self._generations.refresh()
                await self._shelf.follow(live)
                await self._shelf.keep(live, max(_OPENING_SECONDS, self._drop_after_seconds))
                await self.drop_retired()
            except Unavailable as error:
                log.warning("generations: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def rouse(self) -> None:
        """Until cancelled: wake what waits for models; opening one, which may take long, holds up nobody."""
        while True:
            try:
                await self.wake(await self._generations.refresh())
            except Unavailable as error:
                log.warning("tasks that wait for models: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def wake(self, live: Sequence[Generation]) -> int:
        """Make the tasks due that waited for a model which is here, and may be asked; return how many."""
        here = [each.id for each in live if self._generations.encoder(each)]
        async with self._database.connection() as connection:
            woken = await store.wake_parked(connection, here, WOKEN_MAX)
            for generation in here:
                if most := self._outages.to_wake(generation):
                    woken += await store.wake_failing(connection, generation, most)
        if woken:
            log.info("generations: woke %d tasks that waited for a model which is here", woken)
        return woken

    async def drop_retired(self) -> Sequence[UUID]:
        """Drop the vectors of generations that were retired some time ago; return whose.

        Where somebody reads vectors for long, as a backup does, that is left for later: who waits to drop some holds
        up all who begin to read any.
        """
        if self._clock() < self._drop_again:
            return []
        async with self._database.connection() as connection:
            waiting = await store.undropped(connection)
        ready = [each for each, age in waiting.items() if age >= self._drop_after_seconds]
        for generation in ready:
            await store.forget_tasks(self._database, generation)
            try:
                async with self._database.connection() as connection:
                    await store.drop(connection, generation)
            except LockedTooLong:
                self._drop_again = self._clock() + _LOOK_SECONDS
                raise
            log.info("generation %s: dropped its vectors", generation)
        return ready
