"""Finds what was never compared though it could be, and asks for it: seen from the rows, not from the tasks.

All rows are looked at once in each generation that serves; from then on, only those whose vectors were written since.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.common.database import Database
from services.common.errors import (
    DatabaseUnavailable,
    LockedTooLong,
    StatementTooSlow,
    TransactionConflict,
)
from services.common.outbox import enqueue
from services.extractor.merging import QUERIES

log = logging.getLogger(__name__)

BATCH: Final = 1000
_WORKSPACES = "select workspace_id from spine.workspaces()"
_ASK = "select spine.ask_for_forgotten_merges($1, $2)"


@dataclass(frozen=True, slots=True)
class Horizon:
    """What was looked at: the vectors of a generation that transactions before one of a server have written."""

    generation: UUID
    server: datetime
    until: str

    def continues(self, other: "Horizon") -> bool:
        """Whether it adds only what was written since another one; numbers of transactions are a server's own."""
        return (self.generation, self.server) == (other.generation, other.server)


class MergeReconciliation:
    """One pass over all workspaces every so many seconds."""

    def __init__(self, database: Database, seconds: float, kick: Callable[[], None]) -> None:
        self._database, self._seconds, self._kick = database, seconds, kick
        # Up to where each workspace was looked at.
        self._seen: dict[UUID, Horizon] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseUnavailable as error:
                log.warning("merges: %s", error)
            await asyncio.sleep(self._seconds)

    async def look(self) -> int:
        """Ask for all that is missing; return how many tasks are new.

        A workspace that is locked or takes too long is left to the next pass, and keeps none behind it waiting.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(QUERIES["horizon"])
            workspaces = await connection.fetch(_WORKSPACES)
        if row is None:
            return 0
        horizon = Horizon(**dict(row))
        made = sum([await self._try_in(each["workspace_id"], horizon) for each in workspaces])
        if made:
            log.info("merges: %d atoms and topics are compared that never were", made)
            self._kick()
        return made

    async def _try_in(self, workspace: UUID, horizon: Horizon) -> int:
        seen = self._seen.get(workspace)
        try:
            if seen is not None and horizon.continues(seen):
                made = await self._look_since(workspace, seen)
            else:
                made = await self._look_through(workspace)
        except (LockedTooLong, StatementTooSlow, TransactionConflict) as error:
            log.warning("merges: workspace %s: %s", workspace, error)
            return 0
        self._seen[workspace] = horizon
        return made

    async def _look_since(self, workspace: UUID, seen: Horizon) -> int:
        place = (workspace, seen.generation, seen.until)
        async with self._database.transaction(workspace) as connection:
            rows = await connection.fetch(QUERIES["embedded_since"], *place)
            subjects = [row["subject_id"] for row in rows]
            specs = [f"{row['kind']}:{row['text_sha256'].hex()}" for row in rows]
            return await enqueue(connection, workspace, "merge", subjects, specs) if rows else 0

    async def _look_through(self, workspace: UUID) -> int:
        made = 0
        while True:
            async with self._database.transaction(workspace) as connection:
                batch: int = await connection.fetchval(_ASK, workspace, BATCH)
            made += batch
            if batch < BATCH:
                return made
