"""Waiting until conversations are read ends with what was asked for, whatever others ask meanwhile."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from rich.console import Console

from services.cli.embedded.paths import DataDirectory
from services.cli.options import Session
from services.cli.reading import Step, read_through
from tests.conftest import Deployment


@pytest.fixture
async def session(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Session]:
    """The session of a command, and an extractor."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    async with deployment.serving("extractor"):
        yield Session(DataDirectory(tmp_path), True, Console(), Console(stderr=True))


async def add(deployment: Deployment, stage: str, state: str, spec: str = "") -> UUID:
    """Add a task that nobody in the test works on: somebody else has it, or it is for later."""
    identity: UUID = await deployment.admin.fetchval(
        """insert into spine.task (workspace_id, id, stage, subject_id, spec, state, lease_until, available_at, hint_at)
           values ($1, gen_random_uuid(), $2, gen_random_uuid(), $3, $4, case $4 when 'leased' then $5::timestamptz end,
             case $4 when 'leased' then now() else $5 end, $5) returning id""",
        deployment.workspace,
        stage,
        spec or str(uuid4()),
        state,
        datetime.now(UTC) + timedelta(hours=1),
    )
    return identity


async def end(deployment: Deployment, task: UUID, state: str = "done") -> None:
    """End a task as its worker would."""
    await deployment.admin.execute(
        "update spine.task set state = $2, lease_until = null, hint_at = null where id = $1",
        task,
        state,
    )


async def test_what_comes_later_is_not_waited_for(session: Session, deployment: Deployment) -> None:
    """Reading that is asked for after the beginning, planned looks and old dead tasks keep nobody waiting."""
    await add(deployment, "window", "ready", "tail:1")
    await end(deployment, await add(deployment, "extract", "leased"), "dead")
    task, retried = (
        await add(deployment, "extract", "leased"),
        await add(deployment, "extract", "ready"),
    )
    steps = read_through(session)
    assert await anext(steps) == Step(0, 2)
    await add(deployment, "extract", "leased")
    await end(deployment, task)
    assert await anext(steps) == Step(1, 2)
    await end(deployment, retried)
    assert [step async for step in steps] == [Step(2, 2)]


async def test_what_died_meanwhile_is_told(session: Session, deployment: Deployment) -> None:
    """Cutting comes before reading, whose tasks are only known then; of both it is told what died."""
    window = await add(deployment, "window", "leased", "close:1")
    steps = read_through(session)
    assert await anext(steps) == Step(0, 1)
    task = await add(deployment, "extract", "leased")
    await end(deployment, window)
    assert await anext(steps) == Step(1, 2)
    await end(deployment, task, "dead")
    assert [step async for step in steps] == [Step(1, 2, 1)]
