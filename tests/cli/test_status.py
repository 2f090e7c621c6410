"""`winnow dead` against tasks that failed, whatever their errors say."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.cli.status import told_services
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


async def test_a_service_that_does_not_serve_is_told(winnow: Command) -> None:
    """That ingest answers for the workspace must not look as if searches and vectors were there as well."""
    away = "extractor not reached; embedder not reached; search not reached"
    assert f"1 serving; {away}" in await winnow.said("status")
    services = (await winnow.json("status"))["services"]
    assert services.pop("ingest") == "serving"
    assert services == dict.fromkeys(("extractor", "embedder", "search"), "not reached")


def test_what_starts_is_told_from_what_is_away() -> None:
    """Who has just called `winnow up` must read that a service is on its way, and not look for what is wrong."""
    services = {"ingest": "serving", "embedder": "not reached", "search": "not serving"}
    assert told_services(services, restarted={"embedder"}) == (
        "1 serving; embedder not reached: `winnow up` is starting it; search not serving"
    )


async def test_dead_tasks_are_listed_with_their_errors(winnow: Command) -> None:
    """An error is shown as it is, marks and all; and as many as are asked for, also beyond one page."""
    _, table, beside = await winnow.run("dead", "list", "--limit", "2")
    assert table.count(ERROR) == 2
    assert "there are more" in beside
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


@pytest.mark.timeout(60)
async def test_a_terminal_that_cannot_be_drawn_on_gets_one_picture(
    deployment: Deployment, winnow: Command
) -> None:
    """Where nothing can be drawn over, as in Emacs, `winnow top` says what it sees and ends."""
    leader, follower = os.openpty()
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "top", "--interval", "0.2"),
        env=os.environ | {"TERM": "dumb", "WINNOW_API_KEY": deployment.api_key},
        stdout=follower,
    )
    assert await watching.wait() == 0
    os.close(follower)
    assert b"must be 0 at rest" in os.read(leader, 1 << 16)
    os.close(leader)
