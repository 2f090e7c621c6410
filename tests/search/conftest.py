"""A served search with an empty library, and a library whose vectors are copied."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.vectors import INDEX_SETTINGS
from services.search import semantic
from services.search.copies import Copies
from services.search.store import Generation
from tests.conftest import Deployment
from tests.search.copied import MANY, Reader, some_vectors
from tests.search.library import DIMENSIONS, Client, Library


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


@pytest.fixture
async def reader(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    """A reader of a library whose every search is over too much to compare it all."""
    for least in ("EXACT_ROWS_MAX", "COMPARED_ROWS_MAX", "COPIED_ROWS_MIN"):
        monkeypatch.setattr(semantic, least, -1)
    library = await Library(deployment.admin, deployment.workspace).open()
    assert library.generation
    await library.add_messages([f"m {i}" for i in range(MANY)], some_vectors())
    now = [0.0]
    async with Database.open(
        DatabaseSettings.read(), "winnow_search", server_settings=INDEX_SETTINGS
    ) as database:
        generation = Generation(library.generation, "test", DIMENSIONS)
        copies = Copies(database, 100_000, lambda: now[0])
        yield Reader(library, database, generation, copies, now)
