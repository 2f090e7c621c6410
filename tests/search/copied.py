"""A library whose vectors are copied, and the semantic leg that reads it."""

from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from services.common.database import Database
from services.common.vectors import Matrix, to_halfvecs
from services.search import aims
from services.search.copies import Copies
from services.search.semantic import Plan, SemanticCandidates, SemanticLeg
from services.search.sketch import Sketch
from services.search.statistics import Statistics
from services.search.store import Filter, Generation, Scope
from tests.search.library import DIMENSIONS, Library, unit

MANY = 300
ROW = Sketch.row_bytes(DIMENSIONS)


@dataclass
class Reader:
    """The semantic leg over a library, with copies whose loop does not run by itself."""

    library: Library
    database: Database
    generation: Generation
    copies: Copies
    now: list[float] = field(default_factory=lambda: [0.0])

    async def find(
        self, *wanted: float, chosen: Filter | None = None, kinds: tuple[str, ...] = ("message",)
    ) -> SemanticCandidates:
        """Search by a vector."""
        leg = SemanticLeg(Statistics(), self.copies)
        sought = aims.plain(to_halfvecs(unit(*wanted).reshape(1, -1)))
        scope = self.scope(kinds, chosen or Filter())
        async with self.database.reading(scope.workspace) as connection:
            return await leg.find(connection, scope, sought, 10)

    def scope(self, kinds: tuple[str, ...], chosen: Filter) -> Scope:
        """What is looked at."""
        return Scope(self.library.workspace, self.generation, chosen, kinds)

    async def nearest(self, *wanted: float) -> list[UUID]:
        """Search a copy by a vector."""
        found = await self.find(*wanted)
        assert found.plan is Plan.MEMORY
        return [near.subject.id for near in found.nearest]

    async def copied(self) -> None:
        """Have a copy made."""
        assert (await self.find(1)).plan is Plan.HNSW
        await self.copies.work()

    @property
    def held(self) -> int:
        """How many vectors the copies hold."""
        return self.copies.bytes // ROW


def some_vectors() -> list[Matrix]:
    """Vectors that have little to do with those that tests look for."""
    return [unit(0, 0, 0, *each) for each in np.random.default_rng(3).standard_normal((MANY, 5))]
