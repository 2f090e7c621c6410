"""The guide's way to servers of one's own: what an operator types installs it, and keys are rotated as it says."""

import asyncio
import json
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from services.common.addresses import NAMES
from tests.common.stages import until_true
from tests.conftest import PASSWORD, free_port, make_scratch
from tests.docs.shell import Shell, shell
from tests.servers import NatsServer, postgres
from tools.guide import run_by

SAID = "The nightly backup failed because the disk of db-2 is full."
SECOND_HALF = "export WINNOW_DATABASE_URL"  # from here on a service's own settings

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]


@dataclass
class Installed:
    """Servers of one's own, the operator's shell, and the key that the guide's lines have made."""

    operator: Shell
    folder: Path
    owner: str
    key: str = ""

    def winnow(self, command: str, key: str, code: int = 0) -> str:
        """Call it as a client with a key, and judge how that ends."""
        call = f"WINNOW_API_KEY={key} winnow {command} 2>&1; test $? = {code}"
        return self.operator.run(call)

    def until(self, line: str, key: str) -> None:
        """Repeat a line of a client's until it ends well."""
        repeated = f"until {line}; do sleep 0.2; done"
        self.operator.run(f"WINNOW_API_KEY={key} timeout 180 bash -c {shlex.quote(repeated)}")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the operator stands: beside the passwords that the services shall have."""
    with make_scratch() as path:
        (path / "passwords").mkdir()
        for name in NAMES:
            (path / "passwords" / name).write_text(f"secret-of-{name}\n")
        yield path


@pytest.fixture(scope="module")
def owner() -> Iterator[str]:
    """The URL of an empty database's owner, who may create roles."""
    with postgres(free_port(), PASSWORD) as url:
        asyncio.run(make_owner(url))
        yield f"{url.replace('postgres:', 'owner:', 1)}/winnow"


async def make_owner(url: str) -> None:
    """Make what the page starts from: a database with pgvector, of a login that may create roles and not much else."""
    connection = await asyncpg.connect(f"{url}/postgres")
    await connection.execute(f"create role owner login createrole password '{PASSWORD}'")
    await connection.execute("create database winnow owner owner")
    await connection.close()
    connection = await asyncpg.connect(f"{url}/winnow")
    await connection.execute("create extension vector")
    await connection.close()


@pytest.fixture(scope="module")
def installed(folder: Path, owner: str) -> Iterator[Installed]:
    """Every line of the block, typed; and those of a service once for each of the four, which drain at SIGTERM."""
    (block,) = run_by("servers")
    own = next(n for n, line in enumerate(block.lines) if line.startswith(SECOND_HALF))
    addresses = {f"WINNOW_{name.upper()}_ADDRESS": f"127.0.0.1:{free_port()}" for name in NAMES}
    settings = {"WINNOW_EXTRACTION_ENGINE": "grounded", "WINNOW_WINDOW_SETTLE_SECONDS": "0.5"}
    with ExitStack() as stack:
        operator = stack.enter_context(shell(folder, **addresses))
        printed = {line: operator.run(here(line, owner)) for line in block.lines[:own]}
        nats = stack.enter_context(broker(told(printed, "winnow broker users")))
        services = []
        for name in NAMES:
            services.append(stack.enter_context(shell(folder, **addresses, **settings)))
            *lines, last = (here(line, owner, nats, name) for line in block.lines[own:])
            for line in lines if name == "ingest" else filter(needed_by(name), lines):
                services[-1].run(line)
            services[-1].begin(last)
        yield Installed(operator, folder, owner, told(printed, "winnow keys create"))
        assert [service.end(signal.SIGTERM) for service in services] == [0] * len(NAMES)


def needed_by(name: str) -> Callable[[str], bool]:
    """Which lines another service than ingest needs: the models are there by then, and search needs no NATS."""
    unneeded = ("winnow models", "export WINNOW_NATS") if name == "search" else ("winnow models",)
    return lambda line: not line.startswith(unneeded)


def told(printed: dict[str, str], command: str) -> str:
    """What the line with a command has printed."""
    (text,) = [text for line, text in printed.items() if line.startswith(command)]
    return text.strip()


def here(line: str, owner: str, nats: str = "", name: str = "ingest") -> str:
    """A line with what the page leaves open: passwords, where the two servers are, and which service is meant."""
    line = line.replace("ingest", name) if nats else line
    line = line.replace(f"winnow_{name}_app:…@", f"winnow_{name}_app:secret-of-{name}@")
    line = line.replace("owner:…@", f"owner:{PASSWORD}@")
    return line.replace("@db:5432/winnow", f"@{owner.partition('@')[2]}").replace(
        "nats://nats:4222", nats
    )


@contextmanager
def broker(users: str) -> Iterator[str]:
    """A nats-server that knows the users that the guide's command has printed."""
    server = NatsServer(free_port(), more=users)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
        server.remove()


def test_what_is_installed_works(installed: Installed) -> None:
    """The key stores and finds and may do no more, and each service came in to the database by its own login."""
    said = {"id": "1", "text": SAID, "sent_at": 1772434817}
    (installed.folder / "said.jsonl").write_text(json.dumps(said))
    installed.until("winnow import jsonl said.jsonl", installed.key)
    installed.until("winnow search backup | grep 'disk of db-2'", installed.key)
    assert "admin" in installed.winnow("audit list", installed.key, 1)
    asyncio.run(until_connected(installed.owner, {f"winnow_{name}_app" for name in NAMES}))


def test_who_owns_functions_may_create_nothing(installed: Installed) -> None:
    """To be given them they had to be allowed to, by a login that is no superuser; who owns the vectors may."""
    assert asyncio.run(creators(installed.owner)) == ["winnow_vectors"]


async def creators(owner: str) -> list[str]:
    """Which roles of ours may create anything in any schema."""
    connection = await asyncpg.connect(owner)
    rows = await connection.fetch(
        """select r.rolname from pg_roles r cross join pg_namespace n
           where r.rolname like 'winnow\\_%' and has_schema_privilege(r.oid, n.oid, 'create')"""
    )
    await connection.close()
    return [row["rolname"] for row in rows]


async def until_connected(owner: str, logins: set[str]) -> None:
    """Wait until just these are connected to the database besides its owner: what is found needs no extractor yet."""
    connection = await asyncpg.connect(owner)
    names = "array_agg(distinct usename::text order by usename::text)"
    others = "pg_stat_activity where datname = 'winnow' and usename <> 'owner'"
    wanted = ",".join(sorted(logins))
    await until_true(connection, f"(select {names} from {others}) = '{{{wanted}}}'::text[]")
    await connection.close()


def test_keys_are_rotated(installed: Installed) -> None:
    """The new key does what the old one did, and the old one is refused within the time that the page names."""
    (block,) = run_by("keys")
    (old,) = re.findall(r"^wk_(\w+)\.", installed.key)
    create, show, revoke = block.lines
    new = installed.operator.run(create).strip()
    shown = installed.operator.run(show)
    assert re.search(rf"^ *{old} .* backend .*\n.* backend-2 ", shown, re.MULTILINE), shown
    assert f"revoked {old}" in installed.operator.run(revoke.replace("PREFIX", old))
    installed.winnow("sources list", new)
    installed.until("! winnow sources list", installed.key)
    assert "API key" in installed.winnow("sources list", installed.key, 1)
