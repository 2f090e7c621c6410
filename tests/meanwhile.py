"""Runs something while a test does something else."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from services.common.waiting import end


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Run something until the block ends; what it fails with fails the test."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await end([task])
        with suppress(asyncio.CancelledError):
            task.result()
