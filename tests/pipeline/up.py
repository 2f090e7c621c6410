"""`winnow up` as a user runs it, with a handle on its processes and its database."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc

from services.common.channels import CHANNEL_OPTIONS
from tests.conftest import free_port
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

NAMES = ("postgres", "nats", "nats_monitor", "ingest", "extractor", "embedder", "search")


@dataclass
class Up:
    """A running `winnow up`."""

    data: Path
    process: subprocess.Popen[str]
    environment: dict[str, str]

    def winnow(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run a command against it."""
        command = [sys.executable, "-m", "services", *arguments, "--data-dir", str(self.data)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=self.environment
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it says."""
        done = self.winnow(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pid(self, name: str) -> int:
        """The process of a child."""
        return int((self.data / "run" / f"{name}.pid").read_text().split()[0])

    def kill(self, name: str) -> None:
        """Kill a child without warning."""
        os.kill(self.pid(name), signal.SIGKILL)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection that may do everything."""
        ports = json.loads((self.data / "runtime.json").read_text())["ports"]
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=ports["postgres"],
            user="postgres",
            database="winnow",
            password=(self.data / "secrets" / "postgres.password").read_text().strip(),
        )
        try:
            yield connection
        finally:
            await connection.close()

    def settled(self, timeout_seconds: float = 240) -> dict[str, Any]:
        """Wait until nothing is left to do, and return the state.

        It asks over one channel: a command takes a second of the processors that the work needs.
        """
        port = json.loads((self.data / "runtime.json").read_text())["ports"]["ingest"]
        key = (self.data / "secrets" / "api-key").read_text().strip()
        deadline = time.monotonic() + timeout_seconds
        state = pb.GetStatusResponse()
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel:
            ask = PipelineServiceStub(channel).GetStatus
            while time.monotonic() < deadline:
                with contextlib.suppress(grpc.RpcError):
                    metadata = (("authorization", f"Bearer {key}"),)
                    state = ask(pb.GetStatusRequest(), metadata=metadata, timeout=30)
                    open_tasks = sum(s.ready + s.leased + s.scheduled for s in state.stages)
                    if not open_tasks and not state.vectors_missing:
                        return self.json("status")  # type: ignore[no-any-return]
                time.sleep(0.2)
        raise AssertionError(f"still busy: {state}")


@contextmanager
def up(data: Path, **settings: str) -> Iterator[Up]:
    """Start it on free ports, and stop it as Ctrl-C does."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")
    }
    if "WINNOW_MODELS_DIR" in os.environ:
        environment["WINNOW_MODELS_DIR"] = os.environ["WINNOW_MODELS_DIR"]
    environment |= {f"WINNOW_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "services", "up", "--json", "--data-dir", str(data)]
    for name in NAMES:
        command += ["--port", f"{name}={free_port()}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout
    assert process.stderr
    if not process.stdout.readline():
        raise AssertionError(process.stderr.read())
    try:
        yield Up(data, process, environment)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def export(path: Path, chat: int, count: int, distinct: int = 1 << 30) -> Path:
    """Write a Telegram export of `count` messages with `distinct` texts; the same text is encoded once a batch."""
    began = 1_780_000_000
    messages = [
        {
            "id": number,
            "type": "message",
            "date_unixtime": str(began + 20 * number),
            "date": "2026-06-01T00:00:00",
            "from": f"person {number % 5}",
            "from_id": f"user{number % 5}",
            "text": _text(chat, number % distinct),
        }
        for number in range(1, count + 1)
    ]
    chat_export = {
        "name": f"chat {chat}",
        "type": "private_group",
        "id": chat,
        "messages": messages,
    }
    path.write_text(json.dumps(chat_export, ensure_ascii=False))
    return path


def _text(chat: int, number: int) -> str:
    return (
        f"We fixed incident {chat}-{number}: the service on host-{number % 17} now retries, "
        f"because request {number * 7919} timed out after {number % 60} seconds. Should we alert on it?"
    )


async def checks(running: Up) -> dict[str, int]:
    """Counts that must all be 0 at rest."""
    async with running.admin() as connection:
        row = await connection.fetchrow(
            """select
                 (select count(*) from ingest.message m where not exists (
                    select from embedder.vector v where v.subject_id = m.id and v.text_sha256 = m.text_sha256)) as bare,
                 (select count(*) from (select 1 from ingest.message group by source_id, external_id
                                        having count(*) > 1) x) as twice,
                 (select count(*) from extractor.atom a where retired_at is null and not exists (
                    select from extractor.atom_evidence e where e.atom_id = a.id)) as ungrounded,
                 (select count(*) from ingest.message m where not exists (
                    select from extractor.window_message w where w.message_id = m.id)) as unwindowed,
                 (select count(*) from spine.task where state = 'dead') as dead"""
        )
    return dict(row)


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    for _ in range(1200):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            await asyncio.sleep(0.05)
            continue
        return
    raise AssertionError(f"process {pid} still runs")
