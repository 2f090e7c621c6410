"""One stack for all schedules of the tests, since starting it takes longer than a schedule."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.conftest import make_scratch
from tests.faults.stack import Stack


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Real servers and two replicas of every service, watched over."""
    with make_scratch() as folder:
        async with Stack.open(folder) as running:
            yield running
