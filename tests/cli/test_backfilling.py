"""What `winnow backfill` says of work that goes on without it."""

import asyncio
import io
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from services.cli.backfilling import _follow
from winnow.embedder.v1 import embedder_pb2 as pb


class Endless:
    """An embedder whose backfill does not end."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()

    async def Backfill(self, request: Any, metadata: Any) -> AsyncIterator[pb.BackfillResponse]:
        """Answer once."""
        yield pb.BackfillResponse(missing_total=3)
        self.has_begun.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0, "the work goes on; `winnow backfill --pause` holds it back"),
        (2.5, "the work goes on at 2.5 texts a second; `winnow backfill --pause` holds it back, "),
    ],
)
async def test_an_interruption_says_that_the_work_goes_on(rate: float, said: str) -> None:
    """Whoever leaves is told that the tasks stay, with their pace, and how to hold them back or hurry them."""
    printed = io.StringIO()
    session: Any = SimpleNamespace(
        progress=Console(file=printed, width=200),
        shows_progress=False,
        target=SimpleNamespace(metadata=()),
    )
    stub: Any = Endless()
    following = asyncio.create_task(
        _follow(session, stub, pb.BackfillRequest(rate_per_second=rate))
    )
    await stub.has_begun.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert printed.getvalue().startswith(said)
    assert ("without --rate hurries it" in printed.getvalue()) == (rate > 0)
