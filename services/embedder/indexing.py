"""Builds the graphs of generations beside searches and writes, and drops what no search asks for any more."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from services.common.database import Connection, Database, allowed, translated
from services.common.errors import NotFound, Unavailable
from services.common.ids import uuid7
from services.embedder import counting, segments
from services.embedder.generations import Generation, Generations
from services.embedder.segments import Build, Segment, Sizes
from services.embedder.store import LATEST, QUERIES

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
# While vectors come in.
_SHORT_PAUSE_SECONDS: Final = 0.25
# Counting reads every row: it may take one tenth of the time. So may builds that fail.
_REST_FACTOR: Final = 9
_LOOK_SECONDS: Final = 60.0
# A build reads and compares vectors, of many millions for hours.
_BUILD_SECONDS_MAX: Final = 86400.0
# A chat that is alive always has a few texts that have no vector yet.
_MISSING_MAX: Final = 1000
# So many vectors are numbered anew in a transaction.
_NUMBERED_MAX: Final = 10_000
# Of what is in no graph so many times a segment is counted; of more the statistics know.
_COUNTED: Final = 16


class Indexing:
    """Follows the graphs of all live generations; of any number of replicas one builds at a time."""

    def __init__(
        self,
        database: Database,
        generations: Generations,
        sizes: Sizes,
        memory_mb: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._generations = database, generations
        self._sizes, self._memory_mb, self._clock = sizes, memory_mb, clock
        # When what a generation lacks may be counted again, and what had come in at the last look.
        self._looks: dict[UUID, tuple[float, UUID]] = {}
        # When a graph may be built again, after a build that failed.
        self._build_again: dict[UUID, float] = {}
        # How many vectors were in no graph at the last look.
        self._outside: dict[UUID, int] = {}

    async def run(self) -> None:
        """Until cancelled: build what is missing, invalid or scattered, one after another."""
        while True:
            acted, before = False, dict(self._outside)
            try:
                for generation in await self._generations.refresh():
                    acted |= await self.index(generation)
            except Unavailable as error:
                log.warning("indexes: %s", error)
            if not acted:
                is_idle = self._outside == before
                await asyncio.sleep(_PAUSE_SECONDS if is_idle else _SHORT_PAUSE_SECONDS)

    async def index(self, generation: Generation) -> bool:
        """Build the next graph of a generation if one is due and nobody else builds; return whether it did."""
        if self._clock() < self._build_again.get(generation.id, 0.0):
            return False
        async with self._database.connection() as connection:
            if not await connection.fetchval(QUERIES["try_lock_build"], generation.id):
                return False
            try:
                return await self._index(connection, generation)
            finally:
                if not connection.is_closed():
                    await connection.execute(QUERIES["unlock_build"], generation.id)

    async def _index(self, connection: Connection, generation: Generation) -> bool:
        if await connection.fetchval(QUERIES["has_foreign"], generation.id):
            await self._number_anew(connection, generation.id)
        known, outside, horizon = await self._read(connection, generation.id)
        build = None
        if known or generation.state != "building":
            is_quiet = segments.waits_for_quiet(known, outside, self._sizes)
            is_quiet = is_quiet and await self._is_quiet(generation.id)
            build = segments.choose(known, outside, horizon, self._sizes, is_quiet=is_quiet)
        elif outside >= self._sizes.segment_rows and await self._is_full(generation.id):
            build = segments.choose(known, outside, horizon, self._sizes, is_quiet=True)
        if build is None:
            await self._drop_strays(connection, generation.id)
            return False
        await self._build(connection, generation, build)
        return True

    async def _read(
        self, connection: Connection, generation: UUID
    ) -> tuple[list[Segment], int, int]:
        """Return the segments of a generation, how many vectors are in none, and where the next one may end."""
        limit = _COUNTED * self._sizes.segment_rows
        (row,) = await connection.fetch(QUERIES["outside"], generation, limit)
        known = [
            Segment(int(each["until"]), each["rows"], each["m"], each["is_valid"])
            for each in await connection.fetch(QUERIES["segments"], generation)
        ]
        outside = self._outside[generation] = row["rows"]
        if outside == limit:
            rows = await connection.fetchval(QUERIES["table_rows"], generation) or 0
            outside = max(limit, rows - sum(each.rows for each in known))
        return known, outside, int(row["horizon"])

    async def _build(self, connection: Connection, generation: Generation, build: Build) -> None:
        """Build a graph; one that fails, as on a disk that it fills, is left alone for longer than it took."""
        begun = self._clock()
        try:
            with_help = "0" if generation.state != "building" else "2"
            async with translated():
                await self._create(connection, generation, build, with_help)
        except NotFound:
            # Retired meanwhile, and dropped.
            return
        except Unavailable:
            ended = self._clock()
            rest = max(_LOOK_SECONDS, _REST_FACTOR * (ended - begun))
            self._build_again[generation.id] = ended + rest
            raise
        log.info(
            "generation %s: built a graph of %d vectors in %.1f s",
            generation.id,
            build.rows,
            self._clock() - begun,
        )

    async def _create(
        self, connection: Connection, generation: Generation, build: Build, workers: str
    ) -> None:
        partition = f"vector_{generation.id.hex}"
        name = f"{partition}_{secrets.token_hex(4)}"
        size, density = generation.model.dimensions, build.density
        async with allowed(generation.id), self._as_owner(connection, workers):
            await connection.execute(
                f'create index concurrently "{name}" on embedder."{partition}"'
                f" using hnsw ((embedding::halfvec({size})) halfvec_cosine_ops)"
                f" with (m = {density.m}, ef_construction = {density.ef_construction})"
                f" where written >= '{build.since}'::xid8 and written < '{build.until}'::xid8",
                timeout=_BUILD_SECONDS_MAX,
            )
        span = (str(build.since), str(build.until))
        await connection.execute(QUERIES["replace_segments"], generation.id, *span, name, density.m)
        await self._drop_strays(connection, generation.id)

    async def _number_anew(self, connection: Connection, generation: UUID) -> None:
        """Number vectors anew that have numbers of the server from which a dump was restored.

        What is written here would go into the graphs that hold these numbers, and what has them would never get one.
        """
        log.warning(
            "generation %s: its vectors come from another server; numbering them", generation
        )
        await connection.execute(QUERIES["forget_foreign_segments"], generation)
        await self._drop_strays(connection, generation)
        for row in await connection.fetch(QUERIES["workspaces"]):
            workspace, numbered = row["workspace_id"], _NUMBERED_MAX
            while numbered == _NUMBERED_MAX:
                async with self._database.transaction(workspace) as writing:
                    place = (workspace, generation, _NUMBERED_MAX)
                    numbered = len(await writing.fetch(QUERIES["number_anew"], *place))

    async def _drop_strays(self, connection: Connection, generation: UUID) -> None:
        names = [r["relname"] for r in await connection.fetch(QUERIES["stray_indexes"], generation)]
        if names:
            async with self._as_owner(connection, "0"):
                for name in names:
                    await connection.execute(
                        f'drop index concurrently if exists embedder."{name}"',
                        timeout=_BUILD_SECONDS_MAX,
                    )

    @asynccontextmanager
    async def _as_owner(self, connection: Connection, workers: str) -> AsyncIterator[None]:
        """Be the owner of the vectors within; the session's settings are changed, for the pool to forget."""
        await connection.execute(QUERIES["building"], self._memory_mb, workers)
        try:
            yield
        finally:
            if not connection.is_closed():
                await connection.execute(QUERIES["built"])

    async def _is_quiet(self, generation: UUID) -> bool:
        """Whether little waits for its vector; looked at now and then."""
        begun = self._clock()
        again, until = self._looks.get(generation, (begun, LATEST))
        if begun < again:
            return False
        try:
            missing, dead = await counting.debt(self._database, generation)
        finally:
            self._rest(generation, begun, until, _LOOK_SECONDS)
        return missing - dead <= _MISSING_MAX

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
            self._rest(generation, begun, next_until, 0.0)
        return missing <= dead

    def _rest(self, generation: UUID, begun: float, until: UUID, seconds_min: float) -> None:
        ended = self._clock()
        again = ended + max(seconds_min, _REST_FACTOR * (ended - begun))
        self._looks[generation] = (again, until)
