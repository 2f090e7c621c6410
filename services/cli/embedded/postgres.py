"""The embedded PostgreSQL: durable, on loopback TCP, with a password from the first moment."""

import asyncio
import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import asyncpg

from services.cli.embedded.errors import DataDirectoryUnusable, EmbeddedError
from services.cli.embedded.files import give, make_private, sync_directory, write_private
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import LOOPBACK, Ports
from services.cli.embedded.process import (
    Account,
    RunningProcess,
    end,
    minimal_environment,
    run,
    running,
    until,
)
from services.cli.embedded.supervisor import Child

DATABASE = "winnow"
USER = "postgres"
# Who is at home on other servers has PGSSLMODE and the like set, which hold for all that a URL does not say.
_WHATEVER_IS_SET = {
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "target_session_attrs": "any",
}

# Not to be had otherwise: the product's promise rests on them.
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
# Written once, into postgresql.conf, where the user may change them.
_TUNING = {
    "max_connections": "200",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "16MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_compression": "on",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u %a ",
}
# One call a file system instead of one a file: a third of the time.
_SYNC_METHOD = "syncfs" if sys.platform == "linux" else "fsync"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only measured
_SHARED_MEMORY_BYTES_MIN = 1 << 30
_STOP_SECONDS = 20.0
# What a client sees of a server that dies under it; the supervisor sees the death itself.
_GOING_DOWN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_STATUS_LINE = 7
_STAGING = ".initdb-"


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server over one data directory."""

    data: DataDirectory
    program: Path
    ports: Ports
    account: Account | None

    @property
    def url(self) -> str:
        """Return the superuser's URL of the product's database, password included."""
        return self._url(DATABASE)

    def child(self) -> Child:
        """Return the server as a child to supervise."""
        return Child(
            name="postgres",
            command=self._command,
            environment=minimal_environment(),
            ready=self._serving,
            before_start=self._prepare,
            account=self.account,
            stop_signal=signal.SIGINT,  # fast: disconnects clients and writes a checkpoint
            death_signal=signal.SIGINT,
            ready_timeout_seconds=600,  # replaying the log after a crash takes what it takes
            stop_timeout_seconds=_STOP_SECONDS,
        )

    async def _prepare(self) -> None:
        await reclaim(self.data)
        for leftover in self.data.path.glob(f"{_STAGING}*"):
            await asyncio.to_thread(shutil.rmtree, leftover)
        if not self.data.postgres.exists():
            await self._initialise()
        make_private(self.data.postgres, self.account)
        await self._check_version()

    async def _initialise(self) -> None:
        """Make the cluster aside and move it into place whole, so that an interruption leaves nothing behind."""
        _check_known(self.account)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.data.path))
        give(staging, self.account)
        write_private(staging / "password", self.data.owner_password() + "\n", self.account)
        status, said = await run(self._initdb(staging), self.account)
        if status != 0:
            raise EmbeddedError(f"initdb failed: {' '.join(said.split())[-500:]}")
        (staging / "cluster").rename(self.data.postgres)
        sync_directory(self.data.path)
        await asyncio.to_thread(shutil.rmtree, staging)

    def _initdb(self, staging: Path) -> list[str]:
        tuning = {**_TUNING, "shared_buffers": f"{_shared_buffers_mb()}MB"}
        options = [f"--set={name}={value}" for name, value in tuning.items()]
        return [
            *(str(self.program.with_name("initdb")), "-D", str(staging / "cluster"), "-U", USER),
            *("-A", "scram-sha-256", f"--pwfile={staging / 'password'}", "-E", "UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--data-checksums", "--no-instructions", f"--sync-method={_SYNC_METHOD}", *options),
        ]

    async def _check_version(self) -> None:
        """Raise DataDirectoryUnusable when another major version made the cluster."""
        made_by = (self.data.postgres / "PG_VERSION").read_text().strip()
        _, said = await run([str(self.program), "--version"], self.account)
        version = said.split()[-1]
        if version.split(".")[0] != made_by:
            raise DataDirectoryUnusable(
                f"{self.data.postgres} was made by PostgreSQL {made_by} and this is {version}: "
                "dump and restore it, or pass another with --data-dir"
            )

    def _command(self) -> Sequence[str]:
        settings = {
            **DURABLE,
            "listen_addresses": LOOPBACK,
            "port": str(self.ports.postgres),
            "unix_socket_directories": "",
            "recovery_init_sync_method": _SYNC_METHOD,
            "dynamic_shared_memory_type": _shared_memory_type(),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.program), "-D", str(self.data.postgres), *options]

    async def _serving(self, pid: int) -> None:
        """Return when this very server takes connections, is durable and has the product's database."""
        await until(lambda: self._settled(pid))

    async def _settled(self, pid: int) -> bool:
        if not _is_ready(self.data, pid):
            return False
        try:
            async with self._connected("postgres") as connection:
                await _check_durable(connection)
                await _create_database(connection)
        except _GOING_DOWN:
            return False
        except asyncpg.InvalidPasswordError:
            file = self.data.secrets / "postgres.password"
            raise EmbeddedError(f"PostgreSQL refuses the password in {file}: restore it") from None
        return True

    @asynccontextmanager
    async def _connected(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._url(database), timeout=10, command_timeout=30)
        try:
            yield connection
        finally:
            connection.terminate()

    def _url(self, database: str) -> str:
        return owner_url(self.data, self.ports, database)


def owner_url(data: DataDirectory, ports: Ports, database: str = DATABASE) -> str:
    """The superuser's login to the embedded PostgreSQL."""
    password = data.owner_password()
    place = f"{LOOPBACK}:{ports.postgres}/{database}"
    return f"postgresql://{USER}:{password}@{place}?{urlencode(_WHATEVER_IS_SET)}"


async def reclaim(data: DataDirectory) -> None:
    """End what a killed supervisor or postmaster left on the data directory, then its lock file."""
    postmasters = [p.identity for p in _ours(data) if "-D" in p.arguments]
    await end(postmasters, signal.SIGINT, _STOP_SECONDS)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        await end([p.identity for p in _ours(data)], number, _STOP_SECONDS)
    # Nobody is left, yet the server would refuse to start if its old pid were another process's now.
    (data.postgres / "postmaster.pid").unlink(missing_ok=True)


def _ours(data: DataDirectory) -> list[RunningProcess]:
    """Return the servers of this cluster: they work in its directory, the first one also names it."""
    home, staging = str(data.postgres), str(data.path / _STAGING)
    return [
        process
        for process in running("postgres")
        if str(process.directory) == home
        or str(process.directory).startswith(staging)
        or home in process.arguments
    ]


def _is_ready(data: DataDirectory, pid: int) -> bool:
    """Return whether the server's own status file says that it takes connections."""
    try:
        lines = (data.postgres / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return (
        len(lines) > _STATUS_LINE
        and lines[0].strip() == str(pid)
        and lines[_STATUS_LINE].strip() == "ready"
    )


def _check_known(account: Account | None) -> None:
    """Raise EmbeddedError for a user without a name, as containers may have: initdb refuses it."""
    uid = account.uid if account else os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedError(
            f"uid {uid} has no line in /etc/passwd, which PostgreSQL insists on: add one"
        ) from None


async def _check_durable(connection: asyncpg.Connection) -> None:
    """Raise EmbeddedError when a setting that durability rests on is off."""
    for name in (*DURABLE, "data_checksums"):
        value = await connection.fetchval("select current_setting($1)", name)
        if value != "on":
            raise EmbeddedError(f"PostgreSQL runs with {name}={value}: on is needed")


async def _create_database(connection: asyncpg.Connection) -> None:
    known = await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE)
    if not known:
        await connection.execute(f"create database {DATABASE}")


def _shared_memory_type() -> str:
    """Return mmap where /dev/shm is too small for parallel index builds, as in most containers."""
    if not _SHARED_MEMORY.is_dir():
        return "posix"
    total = shutil.disk_usage(_SHARED_MEMORY).total
    return "posix" if total >= _SHARED_MEMORY_BYTES_MIN else "mmap"


def _shared_buffers_mb() -> int:
    """An eighth of the memory, within bounds: pages that do not fit are copied to and from the system's cache."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return min(max(memory // 8, 128), 1024)
