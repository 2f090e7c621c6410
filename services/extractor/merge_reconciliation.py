"""Finds what was never compared though it could be, and asks for it: seen from the rows, not from the tasks."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final
from uuid import UUID

from services.common.database import Database
from services.common.errors import (
    DatabaseUnavailable,
    LockedTooLong,
    StatementTooSlow,
    TransactionConflict,
)

log = logging.getLogger(__name__)

BATCH: Final = 1000
_WORKSPACES = "select workspace_id from spine.workspaces()"
_ASK = "select spine.ask_for_forgotten_merges($1, $2)"


class MergeReconciliation:
    """One pass over all workspaces every so many seconds."""

    def __init__(self, database: Database, seconds: float, kick: Callable[[], None]) -> None:
        self._database, self._seconds, self._kick = database, seconds, kick

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
            rows = await connection.fetch(_WORKSPACES)
        made = sum([await self._try_in(row["workspace_id"]) for row in rows])
        if made:
            log.info("merges: %d atoms and topics are compared that never were", made)
            self._kick()
        return made

    async def _try_in(self, workspace: UUID) -> int:
        try:
            return await self._look_in(workspace)
        except (LockedTooLong, StatementTooSlow, TransactionConflict) as error:
            log.warning("merges: workspace %s: %s", workspace, error)
            return 0

    async def _look_in(self, workspace: UUID) -> int:
        made = 0
        while True:
            async with self._database.transaction(workspace) as connection:
                batch: int = await connection.fetchval(_ASK, workspace, BATCH)
            made += batch
            if batch < BATCH:
                return made
