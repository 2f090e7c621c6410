"""A served search with an empty library."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conftest import Deployment
from tests.search.library import Client, Library


@dataclass
class Desk:
    """Search as a caller sees it, and the library behind it."""

    deployment: Deployment
    library: Library
    client: Client


@pytest.fixture
async def desk(deployment: Deployment) -> AsyncIterator[Desk]:
    """A library with a serving generation, and search running over it; no embedder."""
    library = await Library(deployment.admin, deployment.workspace).open()
    async with deployment.serving("search") as channel:
        yield Desk(deployment, library, Client(channel, deployment.metadata))
