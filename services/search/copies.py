"""Copies of workspaces' vectors in search's memory: looking at all of them takes less than walking an index does.

A copy only proposes. What it proposes is looked up in the database, which knows what is live, what satisfies a filter
and how near it is; what was written since the copy's snapshot of the database is added there. So a copy may be behind,
and may still hold what is gone: neither changes an answer but in which of the nearest are looked at.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from services.common import metrics
from services.common.database import Database
from services.common.errors import WinnowError
from services.common.vectors import from_halfvec
from services.common.waiting import wait_at_most
from services.search import copying
from services.search.copying import Moment, Written
from services.search.sketch import Sketch
from services.search.store import Generation

log = logging.getLogger(__name__)

# From so many vectors on that a copy does not know, it is not asked: each would be compared.
FRESH_ROWS_MAX: Final = 2_000
# Where more than that was written at once, all is read again.
_FOLLOWED_ROWS_MAX: Final = 20_000
_FOLLOW_SECONDS: Final = 0.2
_CHECK_SECONDS: Final = 60.0
# Nobody asks a copy for so long: its memory is given back.
_IDLE_SECONDS: Final = 900.0
# A copy that has been used within so long is not given up for another.
_HELD_SECONDS: Final = 60.0
# What is gone stays in a copy until it is read again: after so long, or sooner if it is more than a tenth.
_GONE_SECONDS: Final = 600.0
_GONE_SHARE: Final = 0.1
# One that has grown so many times over was measured by too few: where its middle is, and how far vectors spread.
_GROWN_TIMES: Final = 3
_THREADS: Final = 2

Key = tuple[UUID, UUID]


@dataclass(eq=False, slots=True)
class Copy:
    """The vectors of a workspace in a generation, as a snapshot of the database shows them."""

    workspace: UUID
    generation: Generation
    threads: ThreadPoolExecutor
    moment: Moment
    sketches: dict[str, Sketch] = field(default_factory=dict)
    read_at: float = 0.0
    rows_read: int = 0
    used_at: float = 0.0

    def __len__(self) -> int:
        return sum(len(sketch) for sketch in self.sketches.values())

    @property
    def key(self) -> Key:
        """What it is a copy of."""
        return self.workspace, self.generation.id

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        return len(self) * Sketch.row_bytes(self.generation.dimensions)

    async def nearest(
        self, kinds: Sequence[str], vector: bytes, count: int, sure: int
    ) -> dict[str, list[UUID]]:
        """The subjects of each kind nearest to a vector (as vectors.to_halfvecs encodes it), best first.

        So many of each; of the first, as many as should be sure, hardly one is missed.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, self._nearest, kinds, vector, count, sure
        )

    def _nearest(
        self, kinds: Sequence[str], vector: bytes, count: int, sure: int
    ) -> dict[str, list[UUID]]:
        asked, sketches = from_halfvec(vector), self.sketches
        return {
            kind: sketches[kind].nearest(asked, count, breadth(len(sketches[kind]), sure))
            for kind in kinds
            if kind in sketches
        }

    async def nearest_among(
        self, listed: Mapping[str, bytes], vector: bytes, count: int
    ) -> tuple[dict[str, list[UUID]], bool]:
        """Of some subjects of each kind, ids of 16 bytes, so many of those nearest to a vector, best first.

        Return also whether these are surely all that there are.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, self._nearest_among, listed, vector, count
        )

    def _nearest_among(
        self, listed: Mapping[str, bytes], vector: bytes, count: int
    ) -> tuple[dict[str, list[UUID]], bool]:
        asked, sketches, is_all = from_halfvec(vector), self.sketches, True
        found = dict[str, list[UUID]]()
        for kind in listed.keys() & sketches.keys():
            found[kind], rows = sketches[kind].nearest_among(asked, listed[kind], count)
            is_all &= rows <= count
        return found, is_all

    async def add(self, written: Sequence[Written], room: int = 0) -> None:
        """Take in vectors, in a thread: a thousand take a few milliseconds."""
        for each in written:
            sketch = self.sketches.get(each.kind)
            if sketch is None:
                sketch = self.sketches[each.kind] = Sketch.of(each.vectors, room)
            await asyncio.get_running_loop().run_in_executor(
                self.threads, sketch.add, each.ids, each.vectors
            )


def breadth(rows: int, sure: int) -> int:
    """How many rows are ordered by their codes, so that hardly one of so many nearest is missed."""
    return 800 + rows // 200 + 10 * sure


class Copies:
    """The copies that there are; those that searches miss are made, if there is room, and all are kept up."""

    def __init__(
        self, database: Database, bytes_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database, self._bytes_max, self._clock = database, bytes_max, clock
        self._held: dict[Key, Copy] = {}
        self._missed: dict[Key, Generation] = {}
        # Until when each is not tried again that found no room.
        self._refused: dict[Key, float] = {}
        self._behind: set[Key] = set()
        self._asked = asyncio.Event()
        self._checked_at = clock()
        self._threads = ThreadPoolExecutor(_THREADS, "copy")

    def of(self, workspace: UUID, generation: Generation) -> Copy | None:
        """The copy of a workspace's vectors; None if there is none, which asks for it to be made."""
        key = workspace, generation.id
        if (copy := self._held.get(key)) is not None:
            copy.used_at = self._clock()
            return copy
        is_refused = not self._bytes_max or self._clock() < self._refused.get(key, 0.0)
        if key not in self._missed and not is_refused:
            self._missed[key] = generation
            self._asked.set()
        return None

    def fell_behind(self, copy: Copy) -> None:
        """Note that something was written since."""
        self._behind.add(copy.key)
        self._asked.set()

    async def run(self) -> None:
        """Make and keep up copies for as long as the service runs."""
        try:
            while True:
                await self.work()
                await asyncio.sleep(_FOLLOW_SECONDS)
                await self._wait()
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def work(self) -> None:
        """Do what is to be done now."""
        self._asked.clear()
        missed, behind = dict(self._missed), set(self._behind)
        self._behind.clear()
        for key, generation in missed.items():
            await self._safely(self._make(key[0], generation))
        for key in behind:
            if (copy := self._held.get(key)) is not None:
                await self._safely(self._follow(copy))
        if (now := self._clock()) >= self._checked_at + _CHECK_SECONDS:
            self._checked_at = now
            self._refused = {key: until for key, until in self._refused.items() if until > now}
            # To make one anew may take the room of another that was not used for longer.
            for copy in self._least_used():
                if self._held.get(copy.key) is copy:
                    await self._safely(self._check(copy))
        metrics.SEARCH_COPY_BYTES.set(self.bytes)

    @property
    def bytes(self) -> int:
        """The memory that the copies take."""
        return sum(copy.size_bytes for copy in self._held.values())

    def _least_used(self) -> list[Copy]:
        """All copies, the one first that was not used for the longest time."""
        return sorted(self._held.values(), key=lambda copy: copy.used_at)

    async def _wait(self) -> None:
        """Wait until something is asked for or to be checked."""
        left = self._checked_at + _CHECK_SECONDS - self._clock()
        await wait_at_most(self._asked, max(left, 0))

    async def _safely(self, work: Awaitable[None]) -> None:
        """Do something that may be done later as well."""
        try:
            await work
        except WinnowError as error:
            log.warning("a copy of vectors is not kept up: %s", error)

    async def _make(self, workspace: UUID, generation: Generation) -> None:
        """Read a workspace's vectors, if there are some and room for them."""
        copy: Copy | None = None
        async with self._database.transaction(workspace) as connection:
            rows = await copying.count(connection, workspace, generation)
            if rows and self._make_room(rows * Sketch.row_bytes(generation.dimensions)):
                async for moment, written in copying.everything(connection, workspace, generation):
                    if copy is None:
                        copy = Copy(workspace, generation, self._threads, moment)
                    await copy.add(written, rows)
        key = workspace, generation.id
        self._missed.pop(key, None)
        if copy is None:
            self._refused[key] = self._clock() + _CHECK_SECONDS
            return
        copy.read_at = copy.used_at = self._clock()
        copy.rows_read = len(copy)
        self._held[key] = copy
        log.info("copied %d vectors of a workspace", len(copy))

    def _make_room(self, wanted: int) -> bool:
        """Give up copies that were not used lately if that makes room for so many bytes; tell whether there is."""
        before, lacking = self._clock() - _HELD_SECONDS, self.bytes + wanted - self._bytes_max
        given_up: list[Copy] = []
        for copy in self._least_used():
            if lacking <= 0 or copy.used_at > before:
                break
            given_up.append(copy)
            lacking -= copy.size_bytes
        if lacking > 0:
            return False
        for copy in given_up:
            del self._held[copy.key]
        return True

    async def _follow(self, copy: Copy) -> None:
        """Take in what was written since a copy's snapshot."""
        where = (copy.workspace, copy.generation, copy.moment, _FOLLOWED_ROWS_MAX)
        async with self._database.transaction(copy.workspace) as connection:
            moment, written = await copying.since(connection, *where)
        rows = sum(len(each.vectors) for each in written)
        if rows >= _FOLLOWED_ROWS_MAX or moment.server != copy.moment.server:
            await self._make_anew(copy)
            return
        await copy.add(written)
        copy.moment = moment

    async def _check(self, copy: Copy) -> None:
        """Give a copy up that nobody asks or that has no room; make it anew once it holds too much that is gone."""
        now = self._clock()
        if copy.used_at < now - _IDLE_SECONDS or self.bytes > self._bytes_max:
            del self._held[copy.key]
            return
        async with self._database.transaction(copy.workspace) as connection:
            rows = await copying.count(connection, copy.workspace, copy.generation)
        gone = len(copy) - rows
        much = gone > rows * _GONE_SHARE or len(copy) > _GROWN_TIMES * copy.rows_read
        if much or (gone > 0 and copy.read_at < now - _GONE_SECONDS):
            await self._make_anew(copy)

    async def _make_anew(self, copy: Copy) -> None:
        """Read everything again, and let go of what was read before."""
        del self._held[copy.key]
        await self._make(copy.workspace, copy.generation)
