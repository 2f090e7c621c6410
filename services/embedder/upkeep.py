"""Keeps what belongs to generations in order: models open, indexes valid, vectors of retired generations gone."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.common.database import Database
from services.common.errors import LockedTooLong, Unavailable
from services.common.ids import uuid7
from services.embedder import counting
from services.embedder import generation_store as store
from services.embedder.generations import Generation, Generations
from services.embedder.outages import WOKEN_MAX, Outages
from services.embedder.shelf import Shelf

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
# Counting reads every row: it may take one tenth of the time. So may builds that fail.
_REST_FACTOR: Final = 9
# A model is opened before its generation is there, in a call of at most a minute.
_OPENING_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 60.0
# A build that failed has cost minutes of a processor.
_AGAIN_SECONDS: Final = 3600.0
# A chat that is alive always has a few texts that have no vector yet.
_MISSING_MAX: Final = 1000


@dataclass(frozen=True)
class Building:
    """How indexes are built: with how much memory, and from how many vectors on one that grew is built anew, denser.

    `dense_rows_min` of 0 leaves it as it is.
    """

    memory_mb: int
    dense: store.Density = store.IndexSettings.built
    dense_rows_min: int = 0


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
        building: Building,
        drop_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._generations, self._shelf = database, generations, shelf
        self._outages, self._building = outages, building
        self._drop_after_seconds, self._clock = drop_after_seconds, clock
        # When a generation that is being filled may be looked at again, and what had come in at the last look.
        self._looks: dict[UUID, tuple[float, UUID]] = {}
        self._drop_again = 0.0
        # When an index may be built again, after a build that failed.
        self._build_again: dict[UUID, float] = {}

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

    async def mend(self) -> None:
        """Until cancelled: build the indexes that are missing or invalid."""
        while True:
            try:
                for generation in await self._generations.refresh():
                    await self.mend_index(generation)
            except Unavailable as error:
                log.warning("indexes: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def thicken(self) -> None:
        """Until cancelled: build the index that searches use anew, denser, once it has grown by inserts."""
        pause = _LOOK_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = _LOOK_SECONDS
            try:
                for generation in await self._generations.refresh():
                    await self.thicken_index(generation)
            except Unavailable as error:
                log.warning("a denser index: %s", error)
                pause = _AGAIN_SECONDS

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

    async def mend_index(self, generation: Generation) -> bool:
        """Build the index of a generation if it is broken, or lacking though the vectors are there."""
        async with self._database.connection() as connection:
            found = await store.index_state(connection, generation.id)
        if found.state in ("ready", "building"):
            return False
        if self._clock() < self._build_again.get(generation.id, 0.0):
            return False
        is_left_for_later = generation.state == "building" and found.state == "none"
        if is_left_for_later and not await self._is_full(generation.id):
            return False
        log.warning(
            "generation %s: its index is %s; building it",
            generation.id,
            "invalid" if found.state == "invalid" else "not there",
        )
        built = await self._build(generation.id)
        if built:
            log.info("generation %s: its index is ready", generation.id)
        return built

    async def _build(self, generation: UUID) -> bool:
        """Build an index; one that fails, as on a disk that it fills, is left alone for longer than it took."""
        begun = self._clock()
        try:
            async with self._database.connection() as connection:
                return await store.build_index(connection, generation, self._building.memory_mb)
        except Unavailable:
            ended = self._clock()
            self._build_again[generation] = ended + max(
                _LOOK_SECONDS, _REST_FACTOR * (ended - begun)
            )
            raise

    async def _is_full(self, generation: UUID) -> bool:
        """Whether a generation has all vectors that it will get of what was there when it was last looked at.

        What has come in since is not waited for, or a busy chat would put its index off for ever. False as well while
        the last look is too young.
        """
        begun, seen = self._clock(), uuid7()
        again, until = self._looks.get(generation, (begun, seen))
        if begun < again:
            return False
        # A database that is too busy to count is asked again no sooner.
        next_until = until
        try:
            missing, dead = await counting.debt(self._database, generation, until)
            next_until = seen
        finally:
            ended = self._clock()
            self._looks[generation] = (ended + _REST_FACTOR * (ended - begun), next_until)
        return missing <= dead

    async def thicken_index(self, generation: Generation) -> bool:
        """Build the index of a generation anew if it serves, has outgrown its density, and little waits for a vector.

        Searches and writes go on meanwhile.
        """
        wanted = self._building
        if not wanted.dense_rows_min:
            return False
        if not await self._is_outgrown(generation.id):
            return False
        missing, dead = await counting.debt(self._database, generation.id)
        if missing - dead > _MISSING_MAX:
            return False
        # Counting takes long: another generation may serve by now, and this one be dropped.
        if not await self._is_outgrown(generation.id):
            return False
        log.info("generation %s: its index grew large; building it denser", generation.id)
        async with self._database.connection() as connection:
            built = await store.reindex(connection, generation.id, wanted.dense, wanted.memory_mb)
        if built:
            log.info("generation %s: its denser index is ready", generation.id)
        return built

    async def _is_outgrown(self, generation: UUID) -> bool:
        wanted = self._building
        async with self._database.connection() as connection:
            return await store.is_outgrown(
                connection, generation, wanted.dense.m, wanted.dense_rows_min
            )
