"""What is missing or stale in a generation, seen from the rows, and the tasks that mend it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from services.common.database import Database
from services.common.outbox import enqueue_backfill
from services.embedder import counting, store
from services.embedder.specs import KINDS
from services.embedder.store import LATEST, Debt

_FIRST = UUID(int=0)
# How many subjects are compared with their vectors in one statement, which takes some tenths of a second.
COMPARED_MAX = 20_000
# Earlier than any task is due.
_EVER = datetime.fromtimestamp(0, UTC)
# A rate may be so small that the second batch would be due after the last date there is.
_WAIT_SECONDS_MAX = 10 * 365 * 86400.0


class Debts:
    """Compares the rows of a workspace with its vectors, and asks for what should be there."""

    def __init__(self, database: Database, after_commit: Callable[[], None]) -> None:
        self._database, self._after_commit = database, after_commit

    async def workspaces(self) -> Sequence[UUID]:
        """Return the ids of all workspaces."""
        async with self._database.connection() as connection:
            return await store.workspaces(connection)

    async def count(
        self,
        workspace: UUID,
        generation: UUID,
        kinds: Sequence[str] = KINDS,
        until: UUID = LATEST,
    ) -> list[Debt]:
        """Count the subjects without a current vector among those that were there at a time (a UUIDv7)."""
        return await counting.count(self._database, workspace, generation, kinds, until)

    async def ask_for_missing(
        self,
        workspace: UUID,
        generation: UUID,
        batch_size: int,
        kinds: Sequence[str] = KINDS,
        rate_per_second: float = 0,
        *,
        take_over: bool = False,
    ) -> AsyncIterator[int]:
        """Make the tasks that nobody has made, a transaction a batch; yields how many each batch made.

        With a rate each batch becomes available that much after the one before. Who takes over plans what waits for
        its first attempt as well: with a rate all of it, without one what was put off. Each batch is of the kinds that
        are listed by then.
        """
        after, total, begun = _FIRST, 0, await self._now()
        due_after = (_EVER if rate_per_second else begun) if take_over else None
        while True:
            wait = min(total / rate_per_second, _WAIT_SECONDS_MAX) if rate_per_second else 0.0
            start = begun + timedelta(seconds=wait) if rate_per_second else None
            made, last = await self._ask_for_batch(
                workspace, generation, batch_size, kinds, after, start, due_after
            )
            if last is None:
                return
            if made is not None:
                self._after_commit()
                yield made
            after, total = last, total + (made or 0)

    async def _now(self) -> datetime:
        """The time by the database's clock, by which tasks are due."""
        async with self._database.connection() as connection:
            return await store.now(connection)

    async def _ask_for_batch(
        self,
        workspace: UUID,
        generation: UUID,
        limit: int,
        kinds: Sequence[str],
        after: UUID,
        available_at: datetime | None,
        due_after: datetime | None,
    ) -> tuple[int | None, UUID | None]:
        """Return how many tasks are new, None if nothing was missing, and the last subject, None if there was none."""

        async def attempt() -> tuple[int | None, UUID | None]:
            async with self._database.transaction(workspace) as connection:
                until = await store.embeddable_until(
                    connection, workspace, kinds, after, COMPARED_MAX
                )
                if until is None:
                    return None, None
                missing = await store.vectors_to_ask_for(
                    connection, workspace, generation, kinds, (after, until), limit, due_after
                )
                if not missing:
                    return None, until
                made = 0
                for kind, ids in store.by_kind(missing).items():
                    hashes = [missing[kind, subject] for subject in ids]
                    made += await enqueue_backfill(
                        connection,
                        workspace,
                        generation,
                        kind,
                        ids,
                        hashes,
                        available_at,
                        due_after,
                    )
            is_cut = len(missing) >= limit
            return made, max(subject for _, subject in missing) if is_cut else until

        return await self._database.retrying(attempt)

    async def ask_for_removal(self, workspace: UUID, generation: UUID, limit: int) -> int:
        """Make the tasks that remove about `limit` stale vectors, a transaction a part; return how many are new."""
        made = found = 0
        for kind in KINDS:
            after: UUID | None = _FIRST
            while after is not None and found < limit:
                of_part = partial(
                    self._remove_of_part, workspace, generation, kind, after, limit - found
                )
                stale, new, after = await self._database.retrying(of_part)
                found, made = found + stale, made + new
        if made:
            self._after_commit()
        return made

    async def _remove_of_part(
        self, workspace: UUID, generation: UUID, kind: str, after: UUID, limit: int
    ) -> tuple[int, int, UUID | None]:
        """Return how many of the next vectors are stale, how many tasks that takes, and the last of them."""
        async with self._database.transaction(workspace) as connection:
            stale, last = await store.stale_vectors(
                connection, workspace, generation, kind, after, COMPARED_MAX
            )
            stale, made = stale[:limit], 0
            if stale:
                hashes: list[bytes | None] = [None] * len(stale)
                made = await enqueue_backfill(
                    connection, workspace, generation, kind, stale, hashes
                )
        return len(stale), made, last


def missing_by_kind(debts: Sequence[Debt]) -> Mapping[str, int]:
    """Return how many are missing of each kind that misses any."""
    return {debt.kind: debt.missing for debt in debts if debt.missing}
