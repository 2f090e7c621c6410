"""Models that are fetched by a command: an interruption ends it, however slowly they come."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.common.model_files import HUB_SOURCE, ZEROS
from tests.servers import answering

REGISTRY = f"""[[model]]
name = "tiny"
role = "embedding"
licence = "MIT"
sha256 = "{ZEROS}"
{HUB_SOURCE}"""


class Hub(ThreadingHTTPServer):
    """A model hub that sends a byte now and then, and never all."""

    def __init__(self) -> None:
        self.is_asked, self.is_over = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Trickle)


class Trickle(BaseHTTPRequestHandler):
    """What it answers."""

    server: Hub

    def do_GET(self) -> None:
        """Send the beginning of a file."""
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        self.wfile.write(b"GGUF")
        self.server.is_asked.set()
        while not self.server.is_over.wait(0.02):
            try:
                self.wfile.write(b"0")
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub that is asked for its model, and from then on sends it."""
    server = Hub()
    with answering(server):
        yield server
        server.is_over.set()


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", [("up",), ("demo",), ("models", "fetch")])
def test_an_interruption_ends_a_fetch(
    command: tuple[str, ...], number: signal.Signals, hub: Hub, tmp_path: Path
) -> None:
    """Who presses Ctrl-C, stops the machine or closes the terminal waits for no model; what had come is removed."""
    registry, cache = tmp_path / "registry.toml", tmp_path / "cache"
    registry.write_text(REGISTRY)
    environment = {
        **os.environ,
        "WINNOW_MODELS_FILE": str(registry),
        "WINNOW_MODELS_DIR": str(cache),
        "WINNOW_EMBEDDING_MODEL": "tiny",
        "WINNOW_DATA_DIR": str(tmp_path / "data"),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "services", *command],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        hub.is_asked.wait()
        process.send_signal(number)
        _, told = process.communicate()
    assert (process.returncode, told) == (130, "winnow: interrupted\n")
    assert [path.name for path in cache.iterdir()] == [".tiny.lock"]
