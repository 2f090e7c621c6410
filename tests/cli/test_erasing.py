"""`winnow erase`, `rescore` and `operations` against services that run."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from services.cli.erasing import follow, progress
from services.cli.extracting import _wait
from services.cli.failures import USAGE
from services.common.service import serving
from services.common.testing import FakeEncoder
from services.embedder.service import open_service as open_embedder
from tests.cli.test_knowledge import Command
from tests.conftest import Deployment
from tests.embedder.conftest import fake_models
from tests.extractor.saved import TALK, say, settled
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.pipeline.v1 import pipeline_pb2


@pytest.fixture
async def winnow(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Command]:
    """A command, and services that have worked on a conversation."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    async with (
        open_embedder(fake_models(FakeEncoder(8))) as embedder,
        serving(embedder),
        deployment.serving("extractor"),
        deployment.serving("ingest"),
    ):
        await say(deployment, TALK)
        await settled(deployment)
        yield Command(deployment)


@pytest.mark.parametrize(
    ("receipt", "told"),
    [
        (pb.ErasureReceipt(), ""),
        (
            pb.ErasureReceipt(messages=1, waiting=2_000),
            "1 message is erased, 2,000 are still to be and not shown any more",
        ),
        (
            pb.ErasureReceipt(messages=2_000, vectors=1_500, window_memberships=12),
            "2,000 messages are erased, and of what was made of them 1,500 vectors and 12 places in windows",
        ),
    ],
)
def test_an_erasure_tells_how_far_it_is(receipt: pb.ErasureReceipt, told: str) -> None:
    """Once all messages have gone, what was made of them must be seen to go: it takes longer."""
    assert progress(receipt) == told


async def test_an_erasure_prints_its_receipt(winnow: Command, deployment: Deployment) -> None:
    """Without a terminal --yes is needed; with it the receipt is printed, and shown again by its id."""
    code, _, err = await winnow.run("erase", "author", "bob")
    assert code == USAGE
    assert "--yes" in err
    assert "verified by query: nothing is left" in await winnow.said(
        "erase", "author", "bob", "--yes"
    )
    (operation,) = (await winnow.json("operations", "list"))["operations"]
    shown = await winnow.json("operations", "show", operation["id"])
    assert shown["receipt"]["messages"] == sum(author == "bob" for author, _ in TALK)
    assert shown["receipt"]["verified"] is True
    assert operation["id"] in await winnow.said("operations", "list")
    (listed,) = (await winnow.json("sources", "list"))["sources"]
    source = listed["id"]
    assert source in await winnow.said("sources", "list")
    by_key = await winnow.json("erase", "messages", "0", "--source", source, "--yes")
    assert by_key["receipt"]["messages"] == 1
    rest = await winnow.json("erase", "source", source, "--yes")
    assert rest["receipt"]["messages"] == sum(author == "ann" for author, _ in TALK) - 1
    unknown = {
        "`winnow authors list`": ("author", "nobody"),
        "`winnow search --json`": ("messages", "x", "--source", source),
        "the source had no messages any more": ("source", source),
    }
    for hint, asked in unknown.items():
        said = await winnow.said("erase", *asked, "--yes")
        assert [each for each in unknown if each in said] == [hint]
    assert not await deployment.admin.fetchval(
        "select count(*) from ingest.message where text <> ''"
    )


async def test_a_rescore_prints_what_changed(winnow: Command) -> None:
    """A dry run says so and needs no answer; a real one changes what the dry run counted."""
    assert "nothing was changed" in await winnow.said("rescore", "--dry-run")
    code, _, err = await winnow.run("rescore")
    assert (code, "--yes" in err) == (USAGE, True)
    done = await winnow.json("rescore", "--yes", "--after", "2020-01-01")
    assert done["rescore_receipt"]["scores_changed"] == len(TALK)
    again = await winnow.json("rescore", "--yes")
    assert again["rescore_receipt"]["scores_changed"] == 0
    _, begun, _ = await winnow.run("rescore", "--yes", "--no-wait")
    assert "rescore" in begun


ERASURE = pb.Operation(id="7", kind=pb.OPERATION_KIND_ERASE, state=pb.OPERATION_STATE_RUNNING)


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        (lambda session: follow(session, ERASURE, no_wait=False), "`winnow operations show 7`"),
        (_wait, "`winnow top`"),
    ],
)
async def test_an_interruption_says_that_the_work_goes_on(
    wait: Callable[[Any], Coroutine[Any, Any, None]], told: str
) -> None:
    """Whoever presses Ctrl-C must not take it for the end of what is erased or read, and learns where to see that."""
    printed, waits = io.StringIO(), asyncio.Event()

    async def call(*request: Any) -> Any:
        if any(isinstance(each, pipeline_pb2.GetStatusRequest) for each in request):
            return pipeline_pb2.GetStatusResponse()
        waits.set()
        return await asyncio.Event().wait()

    console = Console(file=printed, width=200)
    waiting = asyncio.create_task(
        wait(SimpleNamespace(progress=console, shows_progress=False, call=call))
    )
    await waits.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert " goes on: " in printed.getvalue()
    assert told in printed.getvalue()
