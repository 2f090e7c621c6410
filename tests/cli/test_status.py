"""`winnow dead` against tasks that failed, whatever their errors say."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.cli.test_knowledge import Command
from tests.conftest import Deployment

ERROR = "the provider said [/b] and [bold] of [red]nothing"


@pytest.fixture
async def winnow(deployment: Deployment) -> AsyncIterator[Command]:
    """A command, and more dead tasks than a page of the service holds."""
    await deployment.admin.execute(
        """insert into spine.task (workspace_id, id, stage, subject_id, spec, state, attempts, error_class, error)
           select $1, gen_random_uuid(), 'extract', $2, n::text, 'dead', 5, 'ItemFailed', $3
           from generate_series(1, 520) n""",
        deployment.workspace,
        uuid4(),
        ERROR,
    )
    async with deployment.serving("ingest"):
        yield Command(deployment)


async def test_dead_tasks_are_listed_with_their_errors(winnow: Command) -> None:
    """An error is shown as it is, marks and all; and as many as are asked for, also beyond one page."""
    table = await winnow.said("dead", "list", "--limit", "2")
    assert table.count(ERROR) == 2
    assert "there are more" in table
    listed = await winnow.json("dead", "list", "--limit", "1000")
    assert len({task["id"] for task in listed}) == 520


async def test_named_tasks_that_are_not_dead_are_told(winnow: Command) -> None:
    """Those that are dead are tried again; that others were not is a failure, whatever the format."""
    (first, _) = await winnow.json("dead", "list", "--limit", "2")
    for more in ((), ("--json",)):
        code, _, err = await winnow.run("dead", "replay", str(uuid4()), *more)
        assert code == 1
        assert "not all that were named are dead tasks" in err
    assert (await winnow.json("dead", "replay", first["id"])) == {"replayed": 1}
