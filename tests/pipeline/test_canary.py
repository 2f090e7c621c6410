"""No secret of a running deployment shows anywhere: not in logs, replies, metrics, arguments, or files for others."""

import asyncio
import os
import signal
import stat
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest

from services.cli.embedded.paths import DataDirectory
from services.cli.running import Running, running
from tests.common.edge import METHODS, call, path_of, valid
from tests.conftest import free_port
from winnow.pipeline.v1.pipeline_pb2 import GetStatusRequest
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

NAMES = ("ingest", "search")
CANARY = "canary-6f1d2b7c9e"
PLANTED = ("WINNOW_GENERATION_API_KEY", "WINNOW_TELEGRAM_TOKEN", "WINNOW_TELEGRAM_WEBHOOK_SECRET")


def _arguments() -> str:
    """What every process of the machine shows of its command line."""
    shown = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                shown.append((folder / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(shown)


async def _everything_said(up: Running, metrics_port: int) -> str:
    """Replies and refusals of every method of the two services, with every kind of key, and the metrics."""
    said = []
    good = up.target.api_key
    for key in (good, f"wk_000000000000.{good.partition('.')[2]}", f"{good}x", CANARY):
        metadata = (("authorization", f"Bearer {key}"),)
        for name in NAMES:
            async with up.target.channel(name) as channel:
                for method in METHODS:
                    if method.containing_service.full_name.split(".")[1] not in (name, "pipeline"):
                        continue
                    try:
                        body = valid(method)
                        said += map(repr, await call(channel, path_of(method), metadata, body))
                    except grpc.aio.AioRpcError as error:
                        said += [str(error.details()), str(error.trailing_metadata())]
    for name in ("ingest", "search"):
        port = metrics_port + ("ingest", "extractor", "embedder", "search").index(name)
        address = f"http://127.0.0.1:{port}/metrics"
        reply = await asyncio.to_thread(urllib.request.urlopen, address)
        said.append(reply.read().decode())
    return "\n".join(said)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(300)
async def test_no_secret_is_shown(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything logged, each method called well and badly, and the servers killed: no secret is anywhere."""
    for variable in [name for name in os.environ if name.startswith("WINNOW_")]:
        if variable != "WINNOW_MODELS_DIR":
            monkeypatch.delenv(variable)
    for variable in PLANTED:
        monkeypatch.setenv(variable, CANARY)
    port = free_port()
    monkeypatch.setenv("WINNOW_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("WINNOW_METRICS_ADDRESS", f"127.0.0.1:{port}")
    data = DataDirectory(scratch / "data")
    async with running(data, {}, lambda event: None, NAMES) as up:
        said = await _everything_said(up, port)
        for server in ("nats", "postgres"):
            pid = int((data.path / "run" / f"{server}.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
        watching = asyncio.create_task(up.runtime.supervise())
        async with up.target.channel("ingest") as channel:
            stub = PipelineServiceStub(channel)
            for _ in range(40):
                try:
                    await stub.GetStatus(GetStatusRequest(), metadata=up.target.metadata, timeout=5)
                    break
                except grpc.aio.AioRpcError as error:
                    said += str(error.details()) + str(error.trailing_metadata())
                    await asyncio.sleep(0.5)
        said += _arguments()
        watching.cancel()
    logs = "".join(path.read_text(errors="replace") for path in data.logs.iterdir())
    assert "GetStatus" in said or len(said) > 1000
    assert len(logs) > 1000
    secrets = {path.name: path.read_text().strip() for path in data.secrets.iterdir()}
    assert len(secrets) >= 10
    # The public half of a key may be shown.
    secrets["api-key"] = secrets["api-key"].partition(".")[2]
    for name, secret in {**secrets, "planted": CANARY}.items():
        assert secret not in said, name
        assert secret not in logs, name
    for path in (*data.secrets.iterdir(), data.nats / "nats.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(data.secrets.stat().st_mode) == 0o700
