"""Servers as a production cluster has them, on loopback: three of NATS, and PostgreSQL with a synchronous replica."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import free_port
from tests.servers import BIN

ROOT = Path(__file__).parents[2]
NOBODY = 65534
MIGRATE = """
import asyncio, sys
from services.common.migrations import migrate
asyncio.run(migrate(sys.argv[1]))
"""
PASSWORD = "scale"


def until(what: str, holds: Callable[[], bool], seconds: float = 60) -> float:
    """Wait until something holds; return after how many seconds it did."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def listens(port: int) -> bool:
    """Whether something takes connections at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Nats:
    """Three servers that keep three copies of every stream."""

    def __init__(self, folder: Path) -> None:
        self._ports = [free_port() for _ in range(3)]
        self._monitors = [free_port() for _ in range(3)]
        self._routes = [free_port() for _ in range(3)]
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """All three, for a client that knows where to go next."""
        return ",".join(f"nats://127.0.0.1:{port}" for port in self._ports)

    @property
    def urls(self) -> list[str]:
        """The same as a list."""
        return self.url.split(",")

    def start(self) -> None:
        """Start all, and return when they have a leader."""
        for index in range(3):
            self.start_one(index)
        until("NATS", lambda: self._has_leader())

    def start_one(self, index: int) -> None:
        """Start a server on its own store."""
        routes = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in self._routes)
        file = self._folder / f"nats-{index}.conf"
        file.write_text(
            f'server_name: "n{index}"\nlisten: "127.0.0.1:{self._ports[index]}"\n'
            f'http: "127.0.0.1:{self._monitors[index]}"\n'
            f'jetstream {{ store_dir: "{self._folder / f"nats-{index}"}" }}\n'
            f'cluster {{ name: c, listen: "127.0.0.1:{self._routes[index]}", routes: [{routes}] }}\n'
        )
        binary = Path(sys.executable).with_name("nats-server")
        self._processes[index] = subprocess.Popen([binary, "-c", file], stderr=subprocess.DEVNULL)
        until("nats-server", lambda: listens(self._ports[index]))

    def _has_leader(self) -> bool:
        try:
            state = self._ask(0, "/jsz")
        except OSError:
            return False
        return (
            bool(state.get("meta_cluster", {}).get("leader"))
            and state["meta_cluster"]["cluster_size"] == 3
        )

    def _ask(self, index: int, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._monitors[index]}{path}", timeout=5
        ) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def leader_of(self, stream: str) -> int:
        """The server that leads a stream."""
        for account in self._ask(0, "/jsz?streams=true").get("account_details", []):
            for each in account.get("stream_detail", []):
                if each["name"] == stream:
                    return int(each["cluster"]["leader"].removeprefix("n"))
        raise RuntimeError(f"no stream {stream}")

    def kill(self, index: int) -> None:
        """Kill a server without warning."""
        self._processes[index].kill()
        self._processes[index].wait()

    def stop(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.terminate()
            process.wait(20)


class Postgres:
    """A primary and a replica that every commit waits for."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.ports = folder, [free_port(), free_port()]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._as: dict[str, Any] = {"cwd": "/"}
        if os.geteuid() == 0:
            self._as |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def url(self, login: str, database: str) -> str:
        """Both servers; a client goes to the one that writes."""
        places = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return (
            f"postgresql://{login}:{PASSWORD}@{places}/{database}?target_session_attrs=read-write"
        )

    def replica_url(self, login: str, database: str) -> str:
        """The server that begins as the replica."""
        return f"postgresql://{login}:{PASSWORD}@127.0.0.1:{self.ports[1]}/{database}"

    def start(self) -> None:
        """Make and start both."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        for index in range(2):
            data = self._data(index)
            data.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(data, NOBODY, NOBODY)
        locale = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C -E UTF8".split()
        login = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}"]
        self._run("initdb", "-D", self._data(0), *login, *locale)
        self._launch(0, ["-csynchronous_standby_names=*", "-csynchronous_commit=local"])
        place = f"host=127.0.0.1 port={self.ports[0]} user=postgres password={PASSWORD} application_name=copy"
        self._run(
            "pg_basebackup", "-D", self._data(1), "-R", "-X", "stream", "-c", "fast", "-d", place
        )
        self._launch(1, [])
        # Only now, when there is a replica that can answer, commits begin to wait for it.
        self.sql("alter role all set synchronous_commit = on")

    def _data(self, index: int) -> Path:
        return self._folder / f"postgres-{index}"

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(part) for part in (BIN / program, *arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._as)

    def _launch(self, index: int, more: list[str]) -> None:
        port = self.ports[index]
        settings = [
            "-clisten_addresses=127.0.0.1", f"-cport={port}", "-cunix_socket_directories=",
            "-cmax_connections=200", "-cshared_buffers=256MB", *more,
        ]  # fmt: skip
        with (self._folder / f"postgres-{index}.log").open("ab") as log:
            self._processes[index] = subprocess.Popen(
                [BIN / "postgres", "-D", self._data(index), *settings], stderr=log, **self._as
            )
        ready = [BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        until("postgres", lambda: subprocess.run(ready).returncode == 0)

    def sql(self, text: str, index: int = 0) -> str:
        """Run a statement as the owner."""
        url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.ports[index]}/postgres"
        done = subprocess.run(
            [BIN / "psql", "-XAtq", "-d", url, "-c", text],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def fail_over(self) -> None:
        """Kill the primary and promote the replica, as an operator does when it finds the primary gone."""
        self._processes[0].kill()
        self._processes[0].wait()
        self._run("pg_ctl", "promote", "-D", self._data(1), "-w")

    def stop(self) -> None:
        """End both."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(30)


@dataclass(frozen=True)
class Release:
    """The code that runs: of the folder that this is, or of another one that a commit was written to."""

    root: Path = ROOT

    @classmethod
    def of(cls, commit: str, folder: Path) -> "Release":
        """The release of a commit or a tag of this repository, in a folder of its own."""
        folder.mkdir()
        packed = subprocess.run(
            ["git", "-C", ROOT, "archive", commit, "services", "gen"],
            stdout=subprocess.PIPE,
            check=True,
        )
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        """What makes Python import this release and no other."""
        return {"PYTHONPATH": f"{self.root}{os.pathsep}{self.root / 'gen'}"}

    def migrate(self, url: str) -> None:
        """Bring a database to where this release wants it."""
        subprocess.run(
            [sys.executable, "-P", "-c", MIGRATE, url],
            env={**os.environ, **self.environment},
            check=True,
        )


class Services:
    """Replicas of services, each a process as a cluster would run it; those that start run the release that is set."""

    def __init__(self, folder: Path, environment: dict[str, str], release: Release) -> None:
        self._folder, self._environment, self.release = folder, environment, release
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.addresses: dict[str, str] = {}
        self._spent: dict[str, float] = {}

    def start(self, name: str, replica: int) -> None:
        """Start a replica at an address of its own, and return when it listens."""
        who = f"{name}-{replica}"
        port = int(self.addresses.get(who, f":{free_port()}").rpartition(":")[2])
        self.addresses[who] = f"127.0.0.1:{port}"
        embedder = self.addresses.get("embedder-0", "127.0.0.1:1")
        variables = {
            "WINNOW_EMBEDDER_ADDRESS": embedder,
            f"WINNOW_{name.upper()}_ADDRESS": self.addresses[who],
        }
        with (self._folder / f"{who}.log").open("ab") as log:
            self._processes[who] = subprocess.Popen(
                [sys.executable, "-P", "-m", "services", "run", name],
                env={**self._environment, **self.release.environment, **variables}, stderr=log, stdout=log,
            )  # fmt: skip
        process = self._processes[who]

        def is_up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(
                    f"{who} ended: {(self._folder / f'{who}.log').read_text()[-2000:]}"
                )
            return listens(port)

        until(who, is_up, 120)

    def replicas(self, name: str) -> list[str]:
        """The replicas of a service that run."""
        return [who for who in self._processes if who.rpartition("-")[0] == name]

    def target(self, name: str) -> str:
        """All replicas of a service as one name."""
        return "ipv4:" + ",".join(self.addresses[who] for who in self.replicas(name))

    def cpu_seconds(self) -> float:
        """What all processes have used so far."""
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0.0
        for who, process in self._processes.items():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            self._spent[who] = (int(fields[11]) + int(fields[12])) / ticks
            total += self._spent[who]
        return total

    def memory_bytes(self, name: str) -> int:
        """The largest resident memory of a service's replicas."""
        found = []
        for who in self.replicas(name):
            status = Path(f"/proc/{self._processes[who].pid}/status").read_text()
            found.append(int(status.partition("VmRSS:")[2].split()[0]) * 1024)
        return max(found)

    def stop(self, *names: str) -> None:
        """End replicas, or all, as a roll-out does, in order."""
        for who in names or tuple(self._processes):
            process = self._processes.pop(who)
            process.terminate()
            process.wait(60)


def clean(folder: Path) -> None:
    """Throw everything away."""
    shutil.rmtree(folder, ignore_errors=True)
