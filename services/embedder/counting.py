"""How much a generation lacks, counted a part at a time: of some million rows one statement takes too long."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.common.database import Database
from services.embedder import generation_store, store
from services.embedder.specs import KINDS
from services.embedder.store import LATEST, Debt

# How many subjects are compared with their vectors in one statement, in some tenths of a second.
COUNTED_MAX: Final = 50_000


@dataclass(frozen=True)
class Lack:
    """What a generation lacks in all workspaces, and what of that waits for people: it is dead, or held back."""

    missing: int = 0
    dead: int = 0
    dead_workspaces: int = 0
    paused: int = 0
    paused_workspaces: int = 0


async def count(
    database: Database,
    workspace: UUID,
    generation: UUID,
    kinds: Sequence[str] = KINDS,
    until: UUID = LATEST,
) -> list[Debt]:
    """Count the subjects without a current vector among those that were there at a time (a UUIDv7), a kind each."""
    missing, dead = Counter[str](), Counter[str]()
    async for debts in _counted(database, workspace, generation, kinds, until):
        for each in debts:
            missing[each.kind] += each.missing
            dead[each.kind] += each.dead
    return [Debt(kind, missing[kind], dead[kind]) for kind in sorted(missing)]


async def _counted(
    database: Database, workspace: UUID, generation: UUID, kinds: Sequence[str], until: UUID
) -> AsyncIterator[Sequence[Debt]]:
    """Yield what is missing of one part of the subjects after another."""
    after = UUID(int=0)
    while after < until:
        async with database.transaction(workspace) as connection:
            last = await store.embeddable_until(connection, workspace, kinds, after, COUNTED_MAX)
            if last is None:
                return
            span = (after, min(last, until))
            found = await store.embedding_debt(connection, workspace, generation, kinds, span)
        yield found
        after = last


async def debt(database: Database, generation: UUID, until: UUID = LATEST) -> tuple[int, int]:
    """Return how many vectors a generation lacks in all workspaces, and for how many the task is dead.

    Only what was there at a time (a UUIDv7) is counted.
    """
    missing = dead = 0
    for workspace in await _workspaces(database):
        debts = await count(database, workspace, generation, KINDS, until)
        missing, dead = missing + sum_missing(debts), dead + sum_dead(debts)
    return missing, dead


async def lack(database: Database, generation: UUID) -> Lack:
    """Return what a generation lacks in all workspaces, and why."""
    found = Lack()
    for workspace in await _workspaces(database):
        debts = await count(database, workspace, generation)
        missing, dead = sum_missing(debts), sum_dead(debts)
        waits = missing > dead and await _is_paused(database, workspace)
        found = Lack(
            found.missing + missing,
            found.dead + dead,
            found.dead_workspaces + (dead > 0),
            found.paused + (missing - dead if waits else 0),
            found.paused_workspaces + waits,
        )
    return found


async def _workspaces(database: Database) -> Sequence[UUID]:
    async with database.connection() as connection:
        return await store.workspaces(connection)


async def _is_paused(database: Database, workspace: UUID) -> bool:
    async with database.transaction(workspace) as connection:
        return await generation_store.is_backfill_paused(connection, workspace)


def sum_missing(debts: Sequence[Debt]) -> int:
    """Return how many are missing of all kinds."""
    return sum(debt.missing for debt in debts)


def sum_dead(debts: Sequence[Debt]) -> int:
    """Return how many will stay missing until their dead tasks are replayed."""
    return sum(debt.dead for debt in debts)
