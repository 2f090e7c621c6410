"""Compares rows with vectors again and again, so that whatever was lost, however it was lost, is mended."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from services.common.errors import LockedTooLong, StatementTooSlow, Unavailable
from services.common.waiting import wait_at_most
from services.embedder.debts import Debts
from services.embedder.generations import Generations

log = logging.getLogger(__name__)

_BATCH: Final = 1000
_STALE_PER_PASS_MAX: Final = 5000
_FIRST_PASS_SECONDS: Final = 1.0
# A pass over a large workspace reads all its rows: it may take one fiftieth of the time.
_REST_FACTOR: Final = 50


class Reconciliation:
    """Mends every workspace in every live generation."""

    def __init__(
        self,
        debts: Debts,
        generations: Generations,
        interval_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._debts, self._generations = debts, generations
        self._interval, self._clock = interval_seconds, clock
        self._kicked = asyncio.Event()

    def kick(self) -> None:
        """Mend soon: a generation has been started."""
        self._kicked.set()

    async def run(self) -> None:
        """Mend until cancelled, at jittered times so that replicas do not meet."""
        wait = min(_FIRST_PASS_SECONDS, self._interval)
        while True:
            await self._rest(wait * random.uniform(0.8, 1.2))  # noqa: S311
            started = self._clock()
            try:
                await self.mend()
            except Unavailable as error:
                log.warning("reconciliation: %s", error)
            wait = max(self._interval, _REST_FACTOR * (self._clock() - started))

    async def _rest(self, seconds: float) -> None:
        await wait_at_most(self._kicked, seconds)
        self._kicked.clear()

    async def mend(self) -> int:
        """Ask for everything that is missing or stale and that nobody works on; return how many tasks it took.

        A workspace whose rows are locked, or take too long to compare, holds up no other.
        """
        made = 0
        for generation in await self._generations.refresh():
            for workspace in await self._debts.workspaces():
                try:
                    made += await self._mend_workspace(workspace, generation.id)
                except (LockedTooLong, StatementTooSlow) as error:
                    log.warning("reconciliation: workspace %s: %s", workspace, error)
        return made

    async def _mend_workspace(self, workspace: UUID, generation: UUID) -> int:
        batches = self._debts.ask_for_missing(workspace, generation, _BATCH)
        missing = sum([made async for made in batches])
        stale = await self._debts.ask_for_removal(workspace, generation, _STALE_PER_PASS_MAX)
        if missing or stale:
            log.info(
                "reconciliation: workspace %s: asked for %d missing vectors, and to remove %d stale ones",
                workspace,
                missing,
                stale,
            )
        return missing + stale
