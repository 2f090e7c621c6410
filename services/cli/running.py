"""Brings the whole of Winnow up on this machine: embedded servers, schema, key, models, four services."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from services.cli.embedded.errors import EmbeddedError
from services.cli.embedded.files import read_word, write_private
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import LOOPBACK
from services.cli.embedded.process import run, until
from services.cli.embedded.runtime import EmbeddedRuntime
from services.cli.embedded.supervisor import Child, Event, State
from services.cli.failures import MISSING, USAGE, Failure
from services.cli.target import KEY_SECRET, Target
from services.common.addresses import NAMES
from services.common.bootstrap import bring_up, login_of
from services.common.bus_access import SERVICES
from services.common.migrations import SCHEMA_DIRECTORY, read
from services.common.settings import PREFIX

CLIENT_ONLY = ("WINNOW_API_KEY",)
_OF_NO_SERVICE = {"WINNOW_DATA_DIR", *CLIENT_ONLY}
# Where a process serves something beside its calls: one deployment of a machine can.
_BESIDE = (f"{PREFIX}METRICS_ADDRESS", f"{PREFIX}RPC_HEALTH_ADDRESS")


@dataclass(frozen=True)
class Running:
    """A deployment that runs: its servers, and how clients reach it."""

    runtime: EmbeddedRuntime
    target: Target


@asynccontextmanager
async def running(
    data: DataDirectory,
    ports: Mapping[str, int],
    on_event: Callable[[Event], None],
    names: Sequence[str] = NAMES,
    *,
    is_brief: bool = False,
) -> AsyncIterator[Running]:
    """Start the servers and the named services and lend them; stop everything at the end.

    What is brief serves its calls alone, and so is in the way of no deployment that shows its metrics.
    """
    async with EmbeddedRuntime.open(data, ports=ports, on_event=on_event) as runtime:
        path = data.secrets / KEY_SECRET
        known = read_word(path)
        tell = partial(_tell_schema, on_event)
        key = await bring_up(runtime.admin_database_url, passwords(runtime.data), known, tell)
        if key != known:
            write_private(path, key + "\n")
        addresses = {name: f"127.0.0.1:{getattr(runtime.ports, name)}" for name in NAMES}
        without = _BESIDE if is_brief else ()
        children = []
        for name in names:
            environment = service_environment(runtime, name, addresses, without)
            children.append(service_child(name, environment, runtime.data.records))
        await runtime.start(*children)
        yield Running(runtime, Target(addresses, key, frozenset(names)))


def _tell_schema(on_event: Callable[[Event], None], known: int, wanted: int) -> None:
    """Say that data of another release is found, and what becomes of it."""
    if known < wanted:
        told = f"from {known:04} to {wanted:04}, which takes minutes where there is much"
        on_event(Event("database", State.MIGRATED, told))
    else:
        told = f"({known:04}; this one has {wanted:04}): only the release just before that one is sure to run on it"
        on_event(Event("database", State.NEWER, told))


@asynccontextmanager
async def running_briefly(
    on_event: Callable[[Event], None], names: Sequence[str] = NAMES
) -> AsyncIterator[Running]:
    """The same on a data directory that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
        # Root runs the servers under another account, which has to pass through.
        os.chmod(folder, 0o755)  # noqa: S103
        data = DataDirectory(Path(folder, "data"))
        async with running(data, {}, on_event, names, is_brief=True) as up_now:
            yield up_now


async def check_settings() -> None:
    """Have the services' settings read before anything is made or started. Raises Failure for one that is wrong."""
    if not any(name.startswith(PREFIX) for name in os.environ.keys() - _OF_NO_SERVICE):
        return  # the defaults are right, and to have them read takes seconds
    unknown = {f"{PREFIX}DATABASE_URL": "postgresql://", f"{PREFIX}NATS_URL": "nats://"}
    code, said = await run(_command("--check"), None, {**_kept(), **unknown})
    if code == USAGE:
        raise Failure(said.removeprefix("winnow: "), USAGE)


def passwords(data: DataDirectory) -> dict[str, str]:
    """The password of each service's login to the database, made at the first call and then kept."""
    return {login_of(name): data.secret(f"postgres.{name}.password") for name in NAMES}


def service_environment(
    runtime: EmbeddedRuntime, name: str, addresses: Mapping[str, str], without: Collection[str] = ()
) -> dict[str, str]:
    """The settings of a service: the user's own but for some, where everything is, and its own way in."""
    admin = urlsplit(runtime.admin_database_url)
    password = quote(passwords(runtime.data)[login_of(name)], safe="")
    login = f"{login_of(name)}:{password}@{admin.hostname}:{admin.port}"
    placed = {f"{PREFIX}{name.upper()}_ADDRESS": address for name, address in addresses.items()}
    return {
        **_kept(without),
        **placed,
        f"{PREFIX}DATABASE_URL": admin._replace(netloc=login).geturl(),
        f"{PREFIX}NATS_URL": f"nats://{LOOPBACK}:{runtime.ports.nats}",
        **_bus_key(runtime.data, name),
        "PYTHONUNBUFFERED": "1",
    }


def _kept(without: Collection[str] = ()) -> dict[str, str]:
    """What services get of our environment."""
    left_out = {*CLIENT_ONLY, *without}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def _command(argument: str) -> list[str]:
    """What runs a service."""
    # Safe: nothing is imported from the folder in which it runs.
    return [sys.executable, "-P", "-m", "services", "run", argument]


def _bus_key(data: DataDirectory, name: str) -> dict[str, str]:
    if name not in SERVICES:
        return {}
    return {f"{PREFIX}NATS_NKEY_FILE": str(data.nats_seed_file(name))}


def service_child(
    name: str, environment: Mapping[str, str], records: Path, schema: Path = SCHEMA_DIRECTORY
) -> Child:
    """A service as a child of the supervisor, by the same command that a cluster runs.

    That it serves is told by a file in `records`: who answers at its address may be somebody else who was there before.
    It is started again as long as its release needs no other schema than now.
    """
    file = records / f"{name}.ready"
    told = {f"{PREFIX}RPC_READY_FILE": str(file)}
    return Child(
        name=name,
        command=partial(_command, name),
        environment={**environment, **_ports_of(name, environment), **told},
        directory=None,  # the paths in settings are meant from where the user is
        before_start=partial(_prepare, file, schema, _newest(schema)),
        ready=partial(_serves, file),
        final_statuses=frozenset({USAGE, MISSING}),
    )


def _ports_of(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """A port of its own for what each process serves beside its calls, counted from the one that is set."""
    ports = {}
    for variable in _BESIDE:
        host, _, port = environment.get(variable, "").rpartition(":")
        if port.isdigit():
            ports[variable] = f"{host}:{int(port) + NAMES.index(name)}"
    return ports


async def _prepare(file: Path, schema: Path, migrated: int) -> None:
    """Remove what a process that was killed left behind: ids of processes are given again.

    Raises EmbeddedError where a newer release, which would refuse the database, has taken the place of what runs.
    """
    await asyncio.to_thread(file.unlink, missing_ok=True)
    newest = await asyncio.to_thread(_newest, schema)
    if newest > migrated:
        raise EmbeddedError(
            f"a newer release of Winnow was installed while this one ran, for which the database must be migrated "
            f"from {migrated:04} to {newest:04}: start `winnow up` again, which does it"
        )


def _newest(schema: Path) -> int:
    """The number of the last migration of the release that is installed now."""
    return read(schema)[-1].version


async def _serves(file: Path, pid: int) -> None:
    """Wait until the process says that it serves."""

    async def says_so() -> bool:
        return _named_in(file) == str(pid)

    await until(says_so)


def _named_in(file: Path) -> str:
    """The id of the process that serves; empty if none says so."""
    return file.read_text().strip() if file.is_file() else ""
