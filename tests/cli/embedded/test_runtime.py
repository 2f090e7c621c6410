"""The embedded runtime with the real servers."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import nats
import pytest

from services.cli.embedded.errors import (
    ChildFailed,
    DataDirectoryBusy,
    EmbeddedError,
    PortUnavailable,
)
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import Ports
from services.cli.embedded.process import Account, minimal_environment, server_account, spawn, until
from services.cli.embedded.runtime import EmbeddedRuntime
from services.cli.embedded.supervisor import Child, RestartPolicy, State
from services.cli.running import service_environment
from tests.cli.embedded.conftest import ROOT, Events, free_ports, is_up, servers_of, up

INTERPRETER = Path(sys.executable).resolve()
NOTES = "create table note (text text primary key)"


async def fetch(url: str, sql: str) -> list[object]:
    """The first column of what a query returns."""
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def test_fresh_start(data: DataDirectory, ports: dict[str, int]) -> None:
    """A first start gives a durable PostgreSQL with pgvector and a NATS with JetStream; nothing runs after it."""
    async with EmbeddedRuntime.open(data, ports=ports) as runtime:
        url = runtime.admin_database_url
        connection = await asyncpg.connect(url)
        await connection.execute("create extension vector")
        version = await connection.fetchval(
            "select extversion from pg_extension where extname = 'vector'"
        )
        assert tuple(map(int, version.split("."))) >= (0, 8, 4)
        assert await connection.fetchval("select current_database()") == "winnow"
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert await connection.fetchval("select current_setting($1)", name) == "on"
        await connection.close()

        client = await nats.connect(runtime.nats_url)
        await client.jetstream().add_stream(name="kept", subjects=["kept"])
        assert (await client.jetstream().publish("kept", b"1")).seq == 1
        await client.close()

        state = data.runtime_state()
        assert state
        assert (state.pid, state.ports.model_dump()) == (os.getpid(), ports)
    assert data.runtime_state() is None
    assert servers_of(data) == []


async def test_a_port_that_is_taken_is_told(made: DataDirectory, ports: dict[str, int]) -> None:
    """Who finds a server elsewhere than at the last start is told at once why, and how to say where it should be."""
    made.remember_ports(Ports(**ports))
    requested = {name: port for name, port in ports.items() if name != "nats"}
    seen = Events()
    with socket.create_server(("127.0.0.1", ports["nats"])):
        async with EmbeddedRuntime.open(made, ports=requested, on_event=seen) as runtime:
            moved = runtime.ports.nats
    assert str(seen.seen[0]) == (
        f"nats: moved to port {moved}, since {ports['nats']} is in use; --port nats=PORT sets another"
    )
    assert seen.count("nats", State.MOVED) == 1
    assert {event.child for event in seen.seen if event.state == State.MOVED} == {"nats"}


async def test_strangers_are_refused(made: DataDirectory, ports: dict[str, int]) -> None:
    """Without the password nobody gets in, and the passwords are in files that others cannot read."""
    async with EmbeddedRuntime.open(made, ports=ports) as runtime:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(runtime.admin_database_url, password="guess")
        with pytest.raises(Exception, match="Authorization Violation"):
            await nats.connect(f"nats://127.0.0.1:{ports['nats']}", allow_reconnect=False)
        names = ["secrets/postgres.password", "secrets/nats.password", "nats/nats.conf"]
        for file in [made.path / name for name in (*names, "runtime.json")]:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        secrets = {
            runtime.admin_database_url.split(":")[2].split("@")[0],
            made.secret("nats.password"),
        }
        for pid in servers_of(made):
            assert not any(secret in " ".join(arguments_of(pid)) for secret in secrets)


async def test_what_is_set_for_other_servers_holds_for_them_alone(
    made: DataDirectory, ports: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works on servers that want TLS, or on standbys, has a server here all the same."""
    others = {
        "PGHOST": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "somebody",
        "PGPASSWORD": "other",
        "PGDATABASE": "elsewhere",
        "PGSERVICE": "elsewhere",
        "PGSSLMODE": "require",
        "PGSSLNEGOTIATION": "direct",
        "PGTARGETSESSIONATTRS": "standby",
    }
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    async with EmbeddedRuntime.open(made, ports=ports) as runtime:
        admin = runtime.admin_database_url
        service = service_environment(runtime, "search", {})["WINNOW_DATABASE_URL"]
        assert await fetch(admin, "select current_database()") == ["winnow"]
        assert service.partition("?")[2] == admin.partition("?")[2]


async def test_postmaster_killed(
    made: DataDirectory, ports: dict[str, int], events: Events
) -> None:
    """After kill -9 of the postmaster, with a backend busy, it is started again and committed rows survive."""
    async with EmbeddedRuntime.open(made, ports=ports, on_event=events) as runtime:
        url = runtime.admin_database_url
        await fetch(url, NOTES)
        await fetch(url, "insert into note values ('committed')")
        busy = await asyncpg.connect(url)
        endless = asyncio.create_task(
            busy.fetch("select count(*) from generate_series(1, 10000000000)")
        )
        await until(lambda: is_busy(url))
        first = _pid(made, "postgres")
        os.kill(first, signal.SIGKILL)
        await until(lambda: serves(made, after=first))
        os.kill(_pid(made, "postgres"), signal.SIGKILL)  # again, while its readiness is checked
        await events.happened("postgres", State.DIED, 2)
        await events.is_last("postgres", State.READY)
        assert await fetch(url, "select text from note") == ["committed"]
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await endless
        busy.terminate()
    assert servers_of(made) == []


async def test_broker_killed(made: DataDirectory, ports: dict[str, int], events: Events) -> None:
    """After kill -9 of nats-server it is started again with its streams."""
    async with EmbeddedRuntime.open(made, ports=ports, on_event=events) as runtime:
        client = await nats.connect(runtime.nats_url, reconnect_time_wait=0.05)
        await client.jetstream().add_stream(name="kept", subjects=["kept"])
        os.kill(_pid(made, "nats"), signal.SIGKILL)
        await events.happened("nats", State.READY, 2)
        await client.close()
        client = await nats.connect(runtime.nats_url)
        assert (await client.jetstream().stream_info("kept")).config.name == "kept"
        await client.close()


async def test_supervisor_killed(made: DataDirectory, ports: dict[str, int]) -> None:
    """After kill -9 of the supervisor the next start has the same ports and the committed rows."""
    async with up(made, ports) as process:
        assert await is_up(process)
        url = f"postgresql://postgres:{made.secret('postgres.password')}@127.0.0.1:{ports['postgres']}/winnow"
        await fetch(url, NOTES)
        await fetch(url, "insert into note values ('committed')")
        process.kill()
        await process.wait()
        assert made.runtime_state() is None
        async with EmbeddedRuntime.open(made) as runtime:
            assert runtime.ports.model_dump() == ports
            assert await fetch(runtime.admin_database_url, "select text from note") == ["committed"]


async def test_initialisation_killed(data: DataDirectory, ports: dict[str, int]) -> None:
    """A start that was killed in the middle of initdb is made good by the next one."""
    async with up(data, ports) as process:
        await until(lambda: is_initialising(data))
        process.kill()
        await process.wait()
    assert not data.postgres.exists()
    async with EmbeddedRuntime.open(data, ports=ports) as runtime:
        assert await fetch(runtime.admin_database_url, "select 1") == [1]
    assert list(data.path.glob(".initdb-*")) == []


async def test_leftovers(made: DataDirectory, ports: dict[str, int]) -> None:
    """A server that was left running is ended; a process that only has the pid of an old one is not touched."""
    async with EmbeddedRuntime.open(made, ports=ports):
        arguments = arguments_of(_pid(made, "postgres"))
    orphan = await _start(arguments)
    await until(lambda: serves(made))
    bystander = await _start(["/bin/sleep", "60"])
    (made.records / "ingest.pid").write_text(f"{bystander.pid} another boot\n")
    async with EmbeddedRuntime.open(made, ports=ports) as runtime:
        assert await orphan.wait() == 0
        assert await fetch(runtime.admin_database_url, "select 1") == [1]
        os.kill(_pid(made, "postgres"), signal.SIGKILL)
    status = made.postgres / "postmaster.pid"
    old = status.read_text().splitlines() if status.exists() else [""] * 8
    status.write_text("\n".join([str(bystander.pid), *old[1:]]) + "\n")
    async with EmbeddedRuntime.open(made, ports=ports) as runtime:
        assert await fetch(runtime.admin_database_url, "select 1") == [1]
        assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


async def test_a_copy_is_not_what_it_was_made_of(
    made: DataDirectory, home: Path, ports: dict[str, int], events: Events
) -> None:
    """What was copied while it ran leads no command to the original, and its start ends nothing that runs there."""
    copy = DataDirectory(home / "copy")
    _copy(made.path, copy.path)
    sleeper = Child(name="ingest", command=lambda: ["/bin/sleep", "600"], environment={})
    async with EmbeddedRuntime.open(made, ports=ports, on_event=events) as runtime:
        await runtime.start(sleeper)
        for name in ("run", "runtime.json"):
            _copy(made.path / name, copy.path)
        assert made.runtime_state()
        assert copy.runtime_state() is None
        async with EmbeddedRuntime.open(copy, ports=free_ports()):
            assert copy.runtime_state()
        assert events.count("ingest", State.DIED) == 0
        moved = DataDirectory(made.path.rename(home / "moved"))
        assert moved.runtime_state()
        moved.path.rename(made.path)


async def test_second_start(made: DataDirectory, ports: dict[str, int]) -> None:
    """A second start on the same directory fails with the holder's pid and harms nothing."""
    async with EmbeddedRuntime.open(made, ports=ports) as runtime:
        with pytest.raises(DataDirectoryBusy, match=f"in use by process {os.getpid()}"):
            async with EmbeddedRuntime.open(made):
                pass
        assert made.runtime_state()
        assert await fetch(runtime.admin_database_url, "select 1") == [1]


async def test_port_in_use(made: DataDirectory, ports: dict[str, int]) -> None:
    """A requested port that is taken is named in the error; one that was not requested is moved."""
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", ports["search"])
    with pytest.raises(PortUnavailable, match=f"port {ports['search']} for search: already in use"):
        async with EmbeddedRuntime.open(made, ports=ports):
            pass
    wishes = {name: port for name, port in ports.items() if name != "search"}
    async with EmbeddedRuntime.open(made, ports=wishes) as runtime:
        assert runtime.ports.search != ports["search"]
        assert made.ports() == runtime.ports
    taken.close()


async def test_server_that_cannot_start(made: DataDirectory, ports: dict[str, int]) -> None:
    """A server that dies at every start is given up with the end of its log, and the other is stopped."""
    settings = made.postgres / "postgresql.conf"
    settings.write_text(settings.read_text() + "\nshared_buffers = 'plenty'\n")
    policy = RestartPolicy(delay_seconds=0.01)
    with pytest.raises(ChildFailed, match=r"(?s)postgres died 5 times.*shared_buffers") as failure:
        async with EmbeddedRuntime.open(made, ports=ports, policy=policy):
            pass
    assert failure.value.tail
    assert isinstance(failure.value, EmbeddedError)
    assert servers_of(made) == []


async def test_ordinary_user(
    data: DataDirectory,
    ports: dict[str, int],
    home: Path,
    ordinary_user: Account | None,
    readable: Callable[[Path], Path],
) -> None:
    """Without privileges the servers run as the user who starts them, and SIGTERM stops them cleanly."""
    who: dict[str, object] = {}
    if ordinary_user:
        os.chown(home, ordinary_user.uid, ordinary_user.gid)
        who = {"user": ordinary_user.uid, "group": ordinary_user.gid, "extra_groups": []}
    prefix = readable(Path(sys.base_prefix))
    python = prefix / "bin" / INTERPRETER.name
    installed = Path(asyncpg.__file__).parents[1]
    venv = installed.parents[2]
    packages = readable(venv) / installed.relative_to(venv)
    source = readable(ROOT)
    path = os.pathsep.join(map(str, [source, source / "gen", packages]))
    environment = {"PYTHONPATH": path, "LD_LIBRARY_PATH": str(prefix / "lib")}
    async with up(data, ports, str(python), env=environment, cwd="/", **who) as process:
        assert await is_up(process)
        owner = ordinary_user.uid if ordinary_user else os.geteuid()
        assert owners_of(servers_of(data)) == {owner}
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert servers_of(data) == []


def owners_of(pids: list[int]) -> set[int]:
    """Whose processes they are; a backend of the database may have ended meanwhile."""
    owners = set[int]()
    for pid in pids:
        with suppress(FileNotFoundError):
            owners.add(os.stat(f"/proc/{pid}").st_uid)
    return owners


def arguments_of(pid: int) -> list[str]:
    """The command line of a process, as everybody can see it; none of a backend that has ended meanwhile."""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 0 or not Path(f"/proc/{pid}").exists()
    return shown.stdout.split()


async def is_busy(url: str) -> bool:
    """Whether the endless query has begun."""
    return bool(
        await fetch(
            url, "select 1 from pg_stat_activity where query ~ '^select count' and state = 'active'"
        )
    )


async def is_initialising(data: DataDirectory) -> bool:
    """Whether initdb has begun to write."""
    return bool(list(data.path.glob(".initdb-*/cluster/base")))


async def serves(data: DataDirectory, after: int = 0) -> bool:
    """Whether a later postmaster has said in its status file that it takes connections."""
    status = data.postgres / "postmaster.pid"
    lines = status.read_text().splitlines() if status.exists() else []
    return len(lines) > 7 and lines[0] != str(after) and lines[7].strip() == "ready"


async def _start(command: list[str]) -> asyncio.subprocess.Process:
    return await spawn(
        command,
        minimal_environment(),
        account=server_account(),
        death_signal=signal.SIGKILL,
        output=asyncio.subprocess.DEVNULL,
    )


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)


def _pid(data: DataDirectory, name: str) -> int:
    return int((data.records / f"{name}.pid").read_text().split()[0])
