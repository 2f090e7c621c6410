"""Brings a database to the schema of this release: plain SQL files, forward only, each in one transaction."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import asyncpg

from services.common.database import check_versions, explained, permitted, translated
from services.common.errors import InvalidSetting
from services.common.pools import wanted_server
from services.common.settings import OWNER_LOGIN

SCHEMA_DIRECTORY = Path(__file__).with_name("schema")
_LOCK = 0x77696E6E6F77

# Of a login that is no superuser PostgreSQL demands that it is a member of the roles that it gives functions to, and
# that these may create in the functions' schemas.
_JOIN = """
do $$
declare name text;
begin
  foreach name in array array['winnow_spine', 'winnow_workspace'] loop
    if not exists (select from pg_roles where rolname = name) then
      execute format('create role %I nologin noinherit nosuperuser nobypassrls nocreatedb nocreaterole', name);
    end if;
    execute format('grant %I to %I with inherit true, set true', name, current_user);
  end loop;
end $$"""
_CREATING = """
do $$
declare place text;
begin
  alter default privileges {give} create on schemas {to} winnow_spine, winnow_workspace;
  for place in select nspname from pg_namespace where nspowner = current_user::regrole and nspname <> 'public' loop
    execute format('{give} create on schema %I {to} winnow_spine, winnow_workspace', place);
  end loop;
end $$"""


@dataclass(frozen=True)
class Migration:
    """One file of the sequence."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The hash that proves an applied migration was not edited since."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(directory: Path = SCHEMA_DIRECTORY) -> list[Migration]:
    """Return the migrations in order; a gap or a repeated number is an error."""
    files = sorted(directory.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    found = [Migration(int(f.stem[:4]), f.stem[5:], f.read_text(encoding="utf-8")) for f in files]
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise InvalidSetting(f"{directory}: migrations are not numbered 0001, 0002, …")
    return found


def release() -> str:
    """Which release this is, with its schema: between versions a checkout changes that alone."""
    return f"{version('winnow')} with schema {read()[-1].version:04}"


def unsaid(known: int, wanted: int) -> None:
    """Tell nobody."""


async def migrate(
    database_url: str,
    directory: Path = SCHEMA_DIRECTORY,
    setting: str = OWNER_LOGIN,
    tell: Callable[[int, int], None] = unsaid,
) -> list[Migration]:
    """Apply what is missing, as a login that may create roles and extensions that are not there; return what was.

    `setting` is where the URL was given, for errors. `tell` is called before anything is applied to a database that
    another release migrated: with the last migration of that and of this one.
    """
    migrations = read(directory)
    async with translated():
        async with explained(setting):
            connection = await asyncpg.connect(
                database_url, timeout=10, target_session_attrs=wanted_server(database_url)
            )
        try:
            async with permitted(setting):
                await connection.execute("select pg_advisory_lock($1)", _LOCK)
                await _check_versions(connection)
                applied = await _applied(connection)
                known, wanted = max(applied, default=0), migrations[-1].version
                if known not in (0, wanted):
                    tell(known, wanted)
                is_complete = all(m.version in applied for m in migrations)
                async with nullcontext() if is_complete else _giving_functions(connection):
                    return [m for m in migrations if await _apply(connection, m, applied)]
        finally:
            await connection.close(timeout=5)


@asynccontextmanager
async def _giving_functions(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Let a login that is no superuser give functions to the roles that own them."""
    if await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
        yield
        return
    await connection.execute(_JOIN)
    await connection.execute(_CREATING.format(give="grant", to="to"))
    try:
        yield
    finally:
        await connection.execute(_CREATING.format(give="revoke", to="from"))


async def _applied(connection: asyncpg.Connection) -> dict[int, str]:
    await connection.execute(
        """create table if not exists public.winnow_migration (
             version int primary key, name text not null, sha256 text not null,
             applied_at timestamptz not null default now())"""
    )
    rows = await connection.fetch("select version, sha256 from public.winnow_migration")
    return {row["version"]: row["sha256"] for row in rows}


async def _apply(
    connection: asyncpg.Connection, migration: Migration, applied: dict[int, str]
) -> bool:
    known = applied.get(migration.version)
    if known == migration.sha256:
        return False
    if known is not None:
        raise InvalidSetting(
            f"migration {migration.version:04} is another one here than the database was migrated with: "
            "run the build of Winnow that migrated it, or restore a backup from before and migrate that"
        )
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into public.winnow_migration (version, name, sha256) values ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.sha256,
        )
    return True


async def _check_versions(connection: asyncpg.Connection) -> None:
    """Check the server, and the pgvector that it has or would install, before anything is changed."""
    major = int(await connection.fetchval("show server_version_num")) // 10000
    pgvector = await connection.fetchval(
        """select coalesce((select extversion from pg_extension where extname = 'vector'),
             (select default_version from pg_available_extensions where name = 'vector'))"""
    )
    if pgvector is None:
        raise InvalidSetting("PostgreSQL has no pgvector: install the extension on its server")
    check_versions(major, pgvector)
