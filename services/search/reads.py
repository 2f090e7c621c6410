"""Where searches read: on a replica of PostgreSQL while it is near enough to the primary, else on the primary.

Now and then the place of the primary in its log is noted. A replica that has replayed a note shows nothing older than
the note, so its staleness is the age of the newest one it has replayed: a bound that holds also when the stream between
the two is cut. What the replica cannot answer, because it fell behind, failed or does not know yet, the primary does.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

from pydantic import Field, SecretStr

from services.common import metrics
from services.common.database import Connection, Database, DatabaseSettings
from services.common.errors import (
    DatabaseUnavailable,
    InvalidSetting,
    NoServingGeneration,
    NotFound,
    StatementTooSlow,
)
from services.common.reading import Local
from services.common.settings import Settings
from services.search.query_vectors import GenerationGone

T = TypeVar("T")

_SETTING: Final = "WINNOW_SEARCH_REPLICA_URL"
LOOK_SECONDS: Final = 0.5
_LEFT_ALONE_SECONDS: Final = 5.0
_NOTES_MAX: Final = 1_000
_PRIMARY_PLACE: Final = "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"
_REPLICA_PLACE: Final = """select case when pg_is_in_recovery()
  then (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint else -1 end"""
# What the primary may know by now, or has never let anybody see.
_NOT_YET: Final = (NotFound, NoServingGeneration, GenerationGone)

log = logging.getLogger(__name__)


class ReplicaSettings(Settings):
    """A replica that may answer searches, and how old what it shows may be."""

    search_replica_url: SecretStr = Field(
        default=SecretStr(""), description="postgresql:// URL of a streaming replica; empty: none"
    )
    search_replica_staleness_seconds_max: float = Field(
        default=5, ge=1, description="a replica that is further behind is not read"
    )


class ReplicaLost(Exception):
    """The replica failed in the middle of an answer."""


class Replica:
    """A replica, and how old what it shows may be; it need not be up from the beginning."""

    def __init__(
        self,
        open_database: Callable[[], Awaitable[Database]],
        primary: Database,
        staleness_seconds_max: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_database, self._primary, self._clock = open_database, primary, clock
        self._database: Database | None = None
        self._staleness_max = staleness_seconds_max
        self._notes: deque[tuple[float, int]] = deque()
        self._shows_all_until = self._left_alone_until = -math.inf

    @property
    def database(self) -> Database | None:
        """What to read, None if it must not be read now."""
        fit = self.staleness_seconds <= self._staleness_max
        return self._database if fit and self._clock() >= self._left_alone_until else None

    @property
    def staleness_seconds(self) -> float:
        """How old what it shows is at most; infinite until that is known."""
        return self._clock() - self._shows_all_until

    def leave_alone(self) -> None:
        """Do not read it for a while: it has failed."""
        self._left_alone_until = self._clock() + _LEFT_ALONE_SECONDS

    async def watch(self) -> None:
        """Look at both again and again, for as long as the service runs."""
        while True:
            try:
                await self.look()
            except InvalidSetting as error:
                # It was down when the service began, and lets nobody in now; the primary answers meanwhile.
                log.warning("%s", error)
            metrics.SEARCH_REPLICA_STALENESS.set(self.staleness_seconds)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Note where the primary is, and find the newest note that the replica has replayed.

        Raises InvalidSetting if the server that is set cannot be searched.
        """
        at = self._clock()
        try:
            self._notes.append((at, await _place(self._primary, _PRIMARY_PLACE)))
        except DatabaseUnavailable as error:
            log.warning("the primary does not tell its place in the log: %s", error)
        if len(self._notes) > _NOTES_MAX:
            # Of a replica that is far behind every other one tells enough; the oldest is the first that it reaches.
            self._notes = deque(islice(self._notes, 0, None, 2))
        try:
            self._database = self._database or await self._open_database()
            replayed = await _place(self._database, _REPLICA_PLACE)
        except DatabaseUnavailable as error:
            log.warning("the replica does not tell its place in the log: %s", error)
            return
        if replayed < 0:
            log.warning("%s: the server is no replica, so it is not read", _SETTING)
            self._notes.clear()
            self._shows_all_until = -math.inf
        while self._notes and self._notes[0][1] <= replayed:
            self._shows_all_until = self._notes.popleft()[0]


async def _place(database: Database, query: str) -> int:
    async with database.connection() as connection:
        place: int = await connection.fetchval(query)
        return place


_elsewhere: ContextVar[Database | None] = ContextVar("elsewhere", default=None)


class Reads:
    """The transactions in which searches read; within `run`, those of the replica if it is fit."""

    def __init__(self, primary: Database, replica: Replica | None = None) -> None:
        self._primary, self._replica = primary, replica

    async def run(self, work: Callable[[], Awaitable[T]], *, of_now: bool = False) -> T:
        """Return what some work reads; what must be of now is read on the primary.

        The work is done again there if the replica fails or lacks what is asked for.
        """
        database = None if self._replica is None or of_now else self._replica.database
        if self._replica is None or database is None:
            return await _counted("primary", work())
        token = _elsewhere.set(database)
        try:
            return await _counted("replica", work())
        except ReplicaLost as error:
            log.warning("a search goes to the primary: %s", error.__cause__)
            self._replica.leave_alone()
        except _NOT_YET as error:
            log.debug("a search goes to the primary: %s", error)
        finally:
            _elsewhere.reset(token)
        return await _counted("primary", work())

    @asynccontextmanager
    async def reading(self, workspace: UUID, local: Local = ()) -> AsyncIterator[Connection]:
        """Lend a connection as Database.reading does."""
        replica = _elsewhere.get()
        try:
            async with (replica or self._primary).reading(workspace, local) as connection:
                yield connection
        except DatabaseUnavailable as error:
            # What takes too long on a replica that answers takes as long on the primary: the caller has no time for it.
            if replica is None or isinstance(error, StatementTooSlow):
                raise
            raise ReplicaLost from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection of the primary that sees no workspace."""
        async with self._primary.connection() as connection:
            yield connection


async def _counted(server: str, work: Awaitable[T]) -> T:
    found = await work
    metrics.SEARCH_READS.labels(server).inc()
    return found


@asynccontextmanager
async def open_replica(
    primary: Database, database_settings: DatabaseSettings, server_settings: dict[str, str]
) -> AsyncIterator[Replica | None]:
    """Open the replica that is set, None if none is."""
    settings = ReplicaSettings.read()
    if not settings.search_replica_url.get_secret_value():
        yield None
        return
    elsewhere = database_settings.model_copy(update={"database_url": settings.search_replica_url})
    async with AsyncExitStack() as stack:

        async def open_database() -> Database:
            return await stack.enter_async_context(
                Database.open(
                    elsewhere,
                    "winnow_search",
                    server_settings=server_settings,
                    leaves_nothing=True,
                    is_replica=True,
                    setting=_SETTING,
                )
            )

        replica = Replica(open_database, primary, settings.search_replica_staleness_seconds_max)
        await replica.look()
        yield replica
