"""Kill -9 of any one process during an import: nothing is lost, nothing is doubled, nothing is dead."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_scratch
from tests.pipeline.up import Up, checks, export, gone, up

MESSAGES = 800


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """One deployment for all kills, which closes windows soon and gives leases up soon."""
    with (
        make_scratch() as folder,
        up(
            folder / "data",
            task_lease_seconds="10",
            nats_ack_wait_seconds="5",
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
    before = int(running.json("status")["messages"])
    file = export(scratch / "result.json", 1000 + sum(map(ord, victim)), MESSAGES, distinct=10)
    pid = running.pid(victim)
    async with running.admin() as connection:
        importing = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services", "import", "telegram", str(file), "--json"),
            *("--data-dir", str(running.data)),
            env=running.environment,
            stdout=asyncio.subprocess.PIPE,
        )
        while True:
            is_over = importing.returncode is not None
            if await connection.fetchval("select count(*) from ingest.message") > before:
                break
            assert not is_over
            await asyncio.sleep(0.01)
        running.kill(victim)
    await importing.communicate()
    await gone(pid)
    again = running.json("import", "telegram", str(file))
    assert again["created"] + again["unchanged"] == MESSAGES
    state = running.settled()
    assert int(state["messages"]) == before + MESSAGES
    assert running.pid(victim) != pid
    assert int(state["tasks_dead"]) == 0
    assert set((await checks(running)).values()) == {0}
