"""Cancellations are heard, or repeated until they are."""

import asyncio

import pytest

from services.common.waiting import end, wait_at_most
from tests.common.test_service import served
from tests.conftest import Deployment


async def forget(cancellations: int) -> None:
    """Wait for ever, and forget so many cancellations."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if not cancellations:
                raise
            cancellations -= 1


async def test_tasks_that_forget_end_all_the_same() -> None:
    """They are cancelled again, beside those that hear it at once and those that have ended."""
    tasks = [asyncio.create_task(forget(times)) for times in (0, 1, 3)]
    ended = asyncio.create_task(asyncio.sleep(0))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await end([*tasks, ended], again_seconds=0.01)
    assert all(task.cancelled() for task in tasks)


async def test_a_service_whose_loop_forgets_stops(deployment: Deployment) -> None:
    """Its end waits for no loop that missed that it was cancelled."""
    async with asyncio.timeout(60):
        async with served(loops=(lambda: forget(1),)):
            await asyncio.sleep(0)


async def test_a_wait_ends_with_the_event_or_in_time() -> None:
    """Whichever comes first; an event that is set is not waited for."""
    event = asyncio.Event()
    await wait_at_most(event, 0.01)
    waiting = asyncio.create_task(wait_at_most(event, 3600))
    await asyncio.sleep(0)
    event.set()
    await waiting
    await wait_at_most(event, 0)


async def test_a_wait_hears_a_cancellation_that_comes_with_the_event() -> None:
    """A loop that is kicked at the moment it is cancelled does not go on."""
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_at_most(event, 3600))
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
