"""PostgreSQL: a pool under one role, transactions bound to a workspace, and errors in our own words."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
from asyncpg.exceptions import OutdatedSchemaCacheError
from pydantic import Field, SecretStr

from services.common import metrics, tracing
from services.common.errors import (
    DatabaseUnavailable,
    InvalidSetting,
    LockedTooLong,
    NotFound,
    StatementTooSlow,
    TransactionConflict,
    UnfitGeneration,
)
from services.common.pools import acquire, wanted_server
from services.common.reading import Local, Readings
from services.common.settings import Settings

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
T = TypeVar("T")

_TRIES: Final = 4
_POSTGRES_MIN = 18
_PGVECTOR_MIN = (0, 8, 4)
# The server went away, refuses us, or cannot write: the request is not at fault.
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # Of a login that was let in before: its password is being changed.
    asyncpg.InvalidAuthorizationSpecificationError,
)
Duplicate = asyncpg.UniqueViolationError
"""A row with this key is there already."""
LockTimeout = asyncpg.LockNotAvailableError
"""Another transaction held what a statement waited for, for longer than it may."""
WrongValue = asyncpg.InvalidParameterValueError
"""A function of the schema refuses what it is given."""
# Another transaction was in the way, on a replica the log of the primary, or a plan is older than the schema.
_CONFLICT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,
    OutdatedSchemaCacheError,
)
# What a database that answers lacks; what is not told here does not answer, or says no more than that.
_LACKING: tuple[tuple[type[Exception], str], ...] = (
    (asyncpg.DiskFullError, "the database's disk is full: nothing is saved until there is room"),
    (asyncpg.TooManyConnectionsError, "the database takes no further connection now"),
    (asyncpg.OutOfMemoryError, "the database has no memory left"),
    (asyncpg.ReadOnlySQLTransactionError, "the database only reads: it is a replica, or set so"),
    (
        asyncpg.TargetServerAttributeNotMatched,
        "only a replica of the database answers, which cannot write",
    ),
)
_NOT_THERE = ("P0002", "42P01")
_NOT_MIGRATED = "the database is not migrated: run `winnow migrate` first"
_OUTDATED = (
    "the database is migrated to {}, and this release needs {:04}: run `winnow migrate` first"
)
# The number of the last migration that this release has.
_SCHEMA_VERSION: Final = max(
    int(file.name[:4])
    for file in Path(__file__).with_name("schema").glob("[0-9][0-9][0-9][0-9]_*.sql")
)
# The server answers, and does not let us in.
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidParameterValueError,
    asyncpg.InsufficientPrivilegeError,
    # An older PostgreSQL does not know what we set.
    asyncpg.UndefinedObjectError,
)


# The environment's word on what a URL leaves open, and of what only some values are any.
_READ_BESIDE = (
    "PGPORT",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGTARGETSESSIONATTRS",
)
# Nobody answers at the place that a URL names, or only to say that nobody is let in now.
_NO_WAY_IN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TargetServerAttributeNotMatched,
)


class DatabaseSettings(Settings):
    """Where the database is."""

    database_url: SecretStr = Field(
        min_length=1, description="postgresql:// URL of a login that may SET ROLE"
    )
    database_pool_size: int = Field(default=8, ge=1, le=200)
    statement_timeout_seconds: float = Field(default=30, gt=0)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Raise DatabaseUnavailable for every error that is the database's own state, or what it is of these if known."""
    try:
        yield
    except _CONFLICT as error:
        raise TransactionConflict("another transaction was in the way") from error
    except _UNAVAILABLE as error:
        if isinstance(error, asyncpg.QueryCanceledError):
            raise StatementTooSlow(
                "the database took longer for a statement than WINNOW_STATEMENT_TIMEOUT_SECONDS"
            ) from error
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise LockedTooLong(
                "another transaction locked for too long what the database needed"
            ) from error
        told = (text for kind, text in _LACKING if isinstance(error, kind))
        text = next(told, "the database does not answer or cannot write")
        raise DatabaseUnavailable(text) from error


@asynccontextmanager
async def explained(setting: str) -> AsyncIterator[None]:
    """Raise InvalidSetting if the server refuses the login, database or role of a URL, or the URL is none.

    Raises DatabaseUnavailable, with what the system or the server says of it, if there is no way in at the moment.
    """
    try:
        yield
    except _REFUSED as error:
        raise InvalidSetting(f"{setting}: PostgreSQL refuses: {error.args[0]}") from error
    except ssl.SSLCertVerificationError as error:
        text = f"{setting}: the server cannot prove who it is: {error.verify_message}"
        raise InvalidSetting(text) from error
    except ValueError as error:
        wrong = " or ".join(
            ["", *(f"{name} is wrong" for name in _READ_BESIDE if name in os.environ)]
        )
        raise InvalidSetting(f"{setting}: not a postgresql:// URL{wrong}") from error
    except _NO_WAY_IN as error:
        why = getattr(error, "strerror", None) or str(error) or "no answer in time"
        if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
            why = "only a replica answers, which cannot write"
        raise DatabaseUnavailable(f"{setting}: PostgreSQL cannot be reached: {why}") from error


@asynccontextmanager
async def permitted(setting: str) -> AsyncIterator[None]:
    """Raise InvalidSetting if the login of a URL may not do what only the owner may."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        text = f"{setting}: PostgreSQL refuses: {error.args[0]}; it takes the owner's login"
        raise InvalidSetting(text) from error


@asynccontextmanager
async def migrated() -> AsyncIterator[None]:
    """Raise InvalidSetting if a database does not have our tables."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise InvalidSetting(_NOT_MIGRATED) from error


@asynccontextmanager
async def allowed(generation: UUID) -> AsyncIterator[None]:
    """Raise UnfitGeneration or NotFound when a generation may not be changed, or it or its table is not there."""
    try:
        yield
    except asyncpg.LockNotAvailableError:
        raise
    except asyncpg.ObjectNotInPrerequisiteStateError as error:
        raise UnfitGeneration(error.args[0]) from error
    except asyncpg.PostgresError as error:
        if error.sqlstate not in _NOT_THERE:
            raise
        raise NotFound("generation", str(generation)) from error


class Database:
    """A pool of connections that act under one role."""

    def __init__(self, pool: asyncpg.Pool, role: str) -> None:
        self._pool, self._readings = pool, Readings(pool, role)
        self._waits = metrics.POOL_WAIT_SECONDS.labels(role)
        self._transactions = metrics.TRANSACTION_SECONDS.labels(role)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: DatabaseSettings,
        role: str,
        *,
        size: int | None = None,
        server_settings: dict[str, str] | None = None,
        leaves_nothing: bool = False,
        is_replica: bool = False,
        setting: str = "WINNOW_DATABASE_URL",
    ) -> AsyncIterator["Database"]:
        """Connect under a role, check the server, and close at the end.

        Who leaves nothing in a session, since all it sets is of a transaction, has its connections return to the pool
        without being asked to forget it, which would be a round trip a call. `setting` is the name of the setting that
        holds the URL, for errors. Of several servers, or of one that may have changed its part, only that which writes
        will do unless it `is_replica`, or the URL says otherwise.
        """
        timeout, url = settings.statement_timeout_seconds, settings.database_url.get_secret_value()
        async with translated(), explained(setting):
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size or settings.database_pool_size,
                timeout=5,
                command_timeout=timeout + 5,
                init=_prepare_connection,
                reset=_leave_as_is if leaves_nothing else None,
                target_session_attrs=None if is_replica else wanted_server(url),
                server_settings={
                    "role": role,
                    "application_name": role,
                    "statement_timeout": str(int(timeout * 1000)),
                    # What others hold is told from what takes too long.
                    "lock_timeout": str(int(min(timeout * 500, 10_000))),
                    "idle_in_transaction_session_timeout": "60000",
                    "transaction_timeout": "0",
                    "jit": "off",
                    # Whatever is the default of the database or of the login: our statements are written for it.
                    "default_transaction_isolation": "read committed",
                    # A plan that was made while a table was empty reads all of it later, once for each row that is
                    # wanted, until the table is analysed; our statements handle batches, so planning is cheap.
                    "plan_cache_mode": "force_custom_plan",
                    **(server_settings or {}),
                },
            )
        try:
            database = cls(pool, role)
            await _check_server(database)
            await _check_schema(database)
            with metrics.POOLS.watching(role, pool):
                yield database
        finally:
            await _close(pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection that sees no workspace."""
        async with translated():
            with metrics.timed(self._waits):
                connection = await acquire(self._pool)
            try:
                yield connection
            except asyncpg.ReadOnlySQLTransactionError:
                # The server has become a replica, or its sessions were told to read only: others may write again.
                await self._pool.expire_connections()
                raise
            finally:
                await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self, workspace: UUID) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction that sees one workspace."""
        async with self._begun(workspace) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self, workspace: UUID) -> AsyncIterator[Connection]:
        """Lend a connection inside a read-only transaction that sees one workspace, all of it as of one moment."""
        async with self._begun(workspace, isolation="repeatable_read", readonly=True) as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, workspace: UUID, **kind: Any) -> AsyncIterator[Connection]:
        with tracing.span("sql transaction"):
            async with self.connection() as connection:
                with metrics.timed(self._transactions):
                    async with connection.transaction(**kind):
                        await _enter(connection, workspace)
                        yield connection

    @asynccontextmanager
    async def reading(self, workspace: UUID, local: Local = ()) -> AsyncIterator[Connection]:
        """Lend a connection inside a read-only transaction that sees one workspace, under some settings of its own.

        Several calls may read in it one after another (see services.common.reading).
        """
        with tracing.span("sql transaction"), metrics.timed(self._transactions):
            async with translated():
                reading = await self._readings.take(workspace, local)
                try:
                    yield reading.connection
                except BaseException:
                    await self._readings.end(reading)
                    raise
                await self._readings.give_back(reading)

    async def retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run a whole transaction again that conflicted."""
        for tried in range(1, _TRIES + 1):
            try:
                return await attempt()
            except TransactionConflict as error:
                if tried == _TRIES:
                    raise DatabaseUnavailable("the transaction kept conflicting") from error
                await asyncio.sleep(0.02 * tried)
        raise AssertionError("unreachable")


async def _enter(connection: Connection, workspace: UUID) -> None:
    """Bind the transaction to a workspace and, if one is followed, to a trace: the tasks that it makes belong to it."""
    sql, values = "select set_config('winnow.workspace_id', $1, true)", [str(workspace)]
    if parent := tracing.traceparent():
        sql += ", set_config('winnow.traceparent', $2, true)"
        values.append(parent)
    await connection.execute(sql, *values)


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    """Pass halfvec values as the bytes of services.common.vectors, which one numpy call makes for a whole batch."""
    try:
        await connection.set_type_codec(
            "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
        )
    except ValueError:
        check_versions(_POSTGRES_MIN, None)


async def _leave_as_is(connection: asyncpg.Connection) -> None:
    """Do nothing more than the pool itself does, which is to roll back."""


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _check_server(database: Database) -> None:
    async with database.connection() as connection:
        row = await connection.fetchrow(
            """select current_setting('server_version_num')::int / 10000 as postgres,
                 (select extversion from pg_extension where extname = 'vector') as pgvector,
                 r.rolsuper or r.rolbypassrls as unbound
               from pg_roles r where r.rolname = current_user"""
        )
    if row is None or row["unbound"]:
        raise InvalidSetting("the role of the connection could read every workspace: not safe")
    check_versions(row["postgres"], row["pgvector"])


async def _check_schema(database: Database) -> None:
    """Raise DatabaseUnavailable unless everything that this release asks for is there; on a replica it soon will be."""
    try:
        async with database.connection() as connection:
            version = await connection.fetchval("select max(version) from public.winnow_migration")
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        # Before 0068 nobody but the owner could read it.
        version = None
    if version is None or version < _SCHEMA_VERSION:
        known = "an older release" if version is None else f"{version:04}"
        raise DatabaseUnavailable(_OUTDATED.format(known, _SCHEMA_VERSION))


def check_versions(postgres: int, pgvector: str | None) -> None:
    """Raise InvalidSetting unless the server is new enough; older pgvector can corrupt HNSW indexes on vacuum."""
    if postgres < _POSTGRES_MIN:
        raise InvalidSetting(f"PostgreSQL {postgres} is too old: {_POSTGRES_MIN} is needed")
    if pgvector is None:
        raise InvalidSetting(_NOT_MIGRATED)
    if tuple(int(part) for part in pgvector.split(".")) < _PGVECTOR_MIN:
        wanted = ".".join(map(str, _PGVECTOR_MIN))
        raise InvalidSetting(f"pgvector {pgvector} is too old: {wanted} is needed")
