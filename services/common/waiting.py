"""Waits that hear a cancellation, and the end of tasks that may not hear it.

Before Python 3.12 asyncio.wait_for forgets a cancellation that comes together with what it waits for. The client of
NATS uses it.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, but no longer than so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def end(tasks: Iterable[asyncio.Task[Any]], again_seconds: float = 0.5) -> None:
    """Cancel tasks, again after every so many seconds, until all have ended."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_seconds)
