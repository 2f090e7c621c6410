"""A service under the supervisor is ready when it serves itself."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from services.cli.embedded.errors import ChildFailed, EmbeddedError
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.runtime import EmbeddedRuntime, silent
from services.cli.embedded.supervisor import Event, Supervisor
from services.cli.failures import USAGE, Failure, explained
from services.cli.health import SERVING, tell_health
from services.cli.running import running, running_briefly, service_child
from services.common.migrations import SCHEMA_DIRECTORY, migrate, read
from services.common.models import ModelStore
from services.common.rpc import OPTIONS
from tests.conftest import Deployment
from tests.forked import winnow


@asynccontextmanager
async def another_answers(address: str) -> AsyncIterator[None]:
    """Another program that serves at an address."""
    status = health.HealthServicer()
    await status.set("", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.aio.server(options=OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    server.add_insecure_port(address)
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


async def test_it_says_so_for_as_long_as_it_serves(deployment: Deployment, tmp_path: Path) -> None:
    """What an earlier process left is not believed; a service that serves is told by its id, until it stops."""
    file = tmp_path / "search.ready"
    file.write_text("1\n")
    supervisor = Supervisor(tmp_path, tmp_path, silent)
    await supervisor.start(service_child("search", os.environ, tmp_path))
    pid = (tmp_path / "search.pid").read_text().split()[0]
    assert file.read_text().strip() == pid != "1"
    await supervisor.stop()
    assert not file.exists()


async def test_a_newer_release_ends_all_with_what_to_do(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Whoever updates Winnow under a running `winnow up` is not left with a service that dies again and again."""
    for version in (1, 2):
        (tmp_path / f"{version:04}_x.sql").touch()
    supervisor = Supervisor(tmp_path, tmp_path, silent)
    await supervisor.start(service_child("search", os.environ, tmp_path, tmp_path))
    (tmp_path / "0003_x.sql").touch()
    os.kill(int((tmp_path / "search.ready").read_text()), signal.SIGKILL)
    with pytest.raises(EmbeddedError, match="from 0002 to 0003: start `winnow up` again"):
        await supervisor.watch()


async def test_data_of_another_release_is_told(tmp_path: Path) -> None:
    """Who starts a newer release reads why the start takes long; who goes back, on what not every release runs."""
    schema = Path(shutil.copytree(SCHEMA_DIRECTORY, tmp_path / "schema"))
    last = read(schema)[-1]
    (schema / f"{last.version:04}_{last.name}.sql").unlink()
    told = list[str]()

    def tell(event: Event) -> None:
        if event.child == "database":
            told.append(str(event))

    with TemporaryDirectory(prefix="winnow-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - for the servers' account
        data = DataDirectory(Path(folder, "data"))
        async with EmbeddedRuntime.open(data) as runtime:
            await migrate(runtime.admin_database_url, schema)
        newer = "insert into public.winnow_migration (version, name, sha256) values (9999, 'x', '')"
        async with running(data, {}, tell, ()) as up_now:
            connection = await asyncpg.connect(up_now.runtime.admin_database_url)
            await connection.execute(newer)
            await connection.close()
        async with running(data, {}, tell, ()):
            pass
    upgraded, gone_back = told
    assert upgraded.startswith(
        f"database: is migrated from {last.version - 1:04} to {last.version:04}, "
    )
    assert gone_back.startswith(
        f"database: was migrated by a newer release (9999; this one has {last.version:04}): only "
    )


async def test_who_else_answers_at_its_address_is_not_it(
    deployment: Deployment, tmp_path: Path
) -> None:
    """A service that cannot listen is given up at once, and says why, though its address is answered."""
    supervisor = Supervisor(tmp_path, tmp_path, silent)
    async with another_answers(deployment.address("search")):
        with pytest.raises(ChildFailed, match=r"(?s)search cannot run.*WINNOW_SEARCH_ADDRESS"):
            await supervisor.start(service_child("search", os.environ, tmp_path))
    await supervisor.stop()


async def test_paths_in_settings_are_meant_from_where_the_user_is(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service finds what `winnow up` finds by the same setting, and takes no file of the user's for a part of it."""
    (tmp_path / "models").symlink_to(ModelStore.open().directory)
    (tmp_path / "grpc.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "WINNOW_MODELS_DIR": "models"}
    supervisor = Supervisor(tmp_path, tmp_path, silent)
    await supervisor.start(service_child("embedder", environment, tmp_path))
    await supervisor.stop()


async def test_what_is_brief_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo runs beside a deployment whose addresses of metrics and health are set for it, too."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("WINNOW_METRICS_ADDRESS", place)
        monkeypatch.setenv("WINNOW_RPC_HEALTH_ADDRESS", place)
        async with running_briefly(silent, ("ingest",)) as up_now:
            assert (await tell_health(up_now.target))["ingest"] == SERVING


def test_an_evaluation_that_is_told_to_stop_leaves_nothing(tmp_path: Path) -> None:
    """The servers of an evaluation that somebody gives up are stopped, and their data is removed."""
    message = {"chat": "a", "message_id": 1, "text": "the deploy failed"}
    query = {"query": "deploy", "chat": "a", "relevant_ids": [1]}
    (tmp_path / "x.messages.jsonl").write_text(json.dumps(message))
    (tmp_path / "x.queries.jsonl").write_text(json.dumps(query))
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's servers run under another account
        judging = subprocess.Popen(
            [sys.executable, "-m", "services", "evaluate", "retrieval", "--data", str(tmp_path)],
            env=os.environ | {"TMPDIR": name},
            stderr=subprocess.PIPE,
            text=True,
        )
        while not list(folder.glob("winnow-*/data/run/postgres.pid")):
            time.sleep(0.02)
        judging.terminate()
        _, said = judging.communicate()
        assert (judging.returncode, list(folder.iterdir())) == (130, []), said


async def test_a_wrong_setting_ends_all_with_its_code(tmp_path: Path) -> None:
    """A script tells by the exit code of `winnow up` that a setting of a service is wrong, as it does of its own."""
    supervisor = Supervisor(tmp_path, tmp_path, silent)
    environment = {**os.environ, "WINNOW_SEARCH_MEMORY_MB": "-1"}
    with pytest.raises(Failure, match="WINNOW_SEARCH_MEMORY_MB") as ended, explained():
        await supervisor.start(service_child("search", environment, tmp_path))
    assert ended.value.exit_code == USAGE
    await supervisor.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINNOW_SEARCH_MEMORY_MB", "-1"),
        ("WINNOW_IMPORTANCE_WEAK", "0.9"),
        ("WINNOW_NATS_REPLICAS", "several"),
        ("WINNOW_FAILPOINTS", "nowhere=die"),
    ],
)
@pytest.mark.parametrize("command", ["up", "demo"])
def test_settings_are_read_before_anything_is_made(
    command: str, name: str, value: str, tmp_path: Path
) -> None:
    """A wrong setting of a service is told before servers are started for it, or even a folder is made."""
    data = tmp_path / "data"
    environment = {name: value, "WINNOW_LOG_FORMAT": "json", "WINNOW_DATA_DIR": str(data)}
    ended = winnow(command, environment=os.environ | environment)
    assert ended.returncode == USAGE
    assert ended.stderr.startswith(f"winnow: {name}")
    assert ended.stderr.count("\n") == 1
    assert not data.exists()


def test_settings_can_be_checked_alone() -> None:
    """Whoever writes a deployment learns what is wrong with it without a database or a broker."""
    right = {"WINNOW_DATABASE_URL": "postgresql://x@nowhere/x", "WINNOW_NATS_URL": "nats://nowhere"}
    checked = winnow("run", "search", "--check", environment=os.environ | right)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    wrong = right | {"WINNOW_EMBED_RECONCILE_SECONDS": "often"}
    checked = winnow("run", "--check", environment=os.environ | wrong)
    assert (checked.returncode, checked.stdout) == (USAGE, "")
    assert checked.stderr.startswith("winnow: WINNOW_EMBED_RECONCILE_SECONDS: ")
