"""Kill -9 of any one process during an import: nothing is lost, nothing is doubled, nothing is dead."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_scratch
from tests.pipeline.up import Up, checks, export, up

MESSAGES = 600


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """One deployment for all kills, which closes windows soon and gives leases up soon."""
    with (
        make_scratch() as folder,
        up(
            folder / "data",
            task_lease_seconds="3",
            window_settle_seconds="1",
            extraction_engine="grounded",
            embed_reconcile_seconds="5",
        ) as deployment,
    ):
        yield deployment


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "victim", ["ingest", "extractor", "embedder", "search", "nats", "postgres"]
)
async def test_a_kill_during_an_import_loses_nothing(
    running: Up, scratch: Path, victim: str
) -> None:
    """The import goes on or is repeated; at the end rows = vectors, no duplicates, no dead tasks."""
    chat = abs(hash(victim)) % 10**9 + 1
    before = int(running.json("status")["messages"])
    file = export(scratch / "result.json", chat, MESSAGES)
    command = [sys.executable, "-m", "services", "import", "telegram", str(file)]
    importing = subprocess.Popen(
        [*command, "--data-dir", str(running.data), "--json"],
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.9)
    pid = running.pid(victim)
    running.kill(victim)
    importing.communicate(timeout=120)
    time.sleep(0.5)
    again = running.json("import", "telegram", str(file))
    assert again["created"] + again["unchanged"] == MESSAGES
    state = running.settled()
    assert int(state["messages"]) == before + MESSAGES
    assert running.pid(victim) != pid
    assert int(state["tasks_dead"]) == 0
    assert await checks(running) == dict.fromkeys(await checks(running), 0)
