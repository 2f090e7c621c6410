"""The `winnow` command: bad input is one clear line, a non-zero exit, and nothing half-done."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.cli.options import as_dict
from tests.conftest import free_port, run_winnow
from tests.pipeline.terminal import own_terminal
from winnow.pipeline.v1.pipeline_pb2 import GetStatusResponse

UP = (sys.executable, "-m", "services", "up", "--data-dir")


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Check the exit code, that one line was said and no traceback, and return the line."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_nothing_runs(scratch: Path) -> None:
    """A command without a deployment says how to start one and exits with 3."""
    line = one_line(run_winnow("status", "--data-dir", str(scratch / "none")), 3)
    assert "winnow up" in line


def test_unknown_flag() -> None:
    """A flag that does not exist is named, with exit code 2."""
    done = run_winnow("status", "--frobnicate")
    assert done.returncode == 2
    assert "--frobnicate" in done.stderr


def test_port_in_use(scratch: Path) -> None:
    """A requested port that is taken is named, and nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_winnow("up", "--data-dir", str(scratch / "data"), "--port", f"ingest={port}")
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert not (scratch / "data" / "runtime.json").exists()


def test_misspelt_setting(scratch: Path) -> None:
    """A variable with our prefix that means nothing is refused by name."""
    environment = {"WINNOW_EMBEDING_MODEL": "x", "PATH": "/usr/bin:/bin"}
    done = run_winnow("run", "search", env=environment)
    assert "WINNOW_EMBEDING_MODEL" in one_line(done, 2)


@pytest.mark.parametrize(
    ("setting", "code"),
    [("WINNOW_EMBEDING_MODEL", 2), ("WINNOW_DATABASE_POOL_SIZE", 2), ("WINNOW_METRICS_ADDRESS", 2)],
)
def test_a_service_that_gives_up_says_so_as_it_logs(setting: str, code: int) -> None:
    """Where a program reads the log, the last line, which says why a process ended, is an event like the others."""
    environment = os.environ | {
        setting: "none",
        "WINNOW_LOG_FORMAT": "json",
        "WINNOW_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }
    told = json.loads(one_line(run_winnow("run", "search", env=environment), code))
    assert setting in told["message"]
    assert told["level"] == "error"


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"not json at all", "JSON"), (b"{}", "")]
)
def test_not_an_export(scratch: Path, content: bytes, said: str) -> None:
    """A file that is no export is refused in one line, without a running deployment being needed to say so."""
    file = scratch / "result.json"
    file.write_bytes(content)
    environment = {
        "WINNOW_API_KEY": "wk_000000000000." + "x" * 43,
        "WINNOW_INGEST_ADDRESS": f"127.0.0.1:{free_port()}",
        "PATH": "/usr/bin:/bin",
    }
    done = run_winnow("import", "telegram", str(file), env=environment)
    assert said in one_line(done, 4)


def test_wrong_model_file(scratch: Path) -> None:
    """A file that is not GGUF is named, with exit code 5."""
    file = scratch / "model.gguf"
    file.write_bytes(b"not a model")
    environment = {"WINNOW_EMBEDDING_MODEL": str(file), "PATH": "/usr/bin:/bin"}
    done = run_winnow("up", "--data-dir", str(scratch / "data"), env=environment)
    assert "model.gguf" in one_line(done, 5)


def test_interrupt_leaves_nothing(scratch: Path) -> None:
    """Ctrl-C during start ends the command and all its children."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services", "up", "--data-dir", str(scratch / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    while "postgres: ready" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert not (scratch / "data" / "runtime.json").exists()
    assert not list((scratch / "data" / "run").glob("*.pid"))


@pytest.mark.usefixtures("hangups")
def test_a_closed_terminal_stops_all_in_order(scratch: Path) -> None:
    """Who closes the window that `winnow up` runs in stops it as Ctrl-C does, and leaves nothing behind."""
    data = scratch / "data"
    with own_terminal([*UP, str(data)], scratch) as (process, close):
        _wait_for(data / "runtime.json", process)
        close()
        assert process.wait(60) == 0
    assert not (data / "runtime.json").exists()
    assert not list((data / "run").glob("*.pid"))


def test_what_is_to_outlive_its_terminal_does(scratch: Path) -> None:
    """Under `nohup` it goes on keeping its servers after the window was closed, until it is told to stop."""
    data = scratch / "data"
    with own_terminal(["nohup", *UP, str(data)], scratch) as (process, close):
        _wait_for(data / "runtime.json", process)
        close()
        broker = data / "run" / "nats.pid"
        first = int(broker.read_text().split()[0])
        broker.unlink()
        os.kill(first, signal.SIGKILL)
        _wait_for(broker, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not (data / "runtime.json").exists()


def _wait_for(file: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a running command has written a file."""
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.02)


def test_status_json_has_its_keys() -> None:
    """The keys that programs rely on are fields of the contract."""
    keys = {"messages", "atoms", "vectors_missing", "tasks_dead", "oldest_task_age_seconds"}
    assert keys <= as_dict(GetStatusResponse()).keys()
    assert json.dumps(as_dict(GetStatusResponse()))
