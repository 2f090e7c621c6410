"""What language models may cost a workspace a day: beyond it extraction waits, and nothing is lost."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.common.database import Database
from services.common.errors import Postponed

# How long it may take until a quota that was raised is noticed.
WAIT_SECONDS_MAX = 900.0


def now() -> datetime:
    """The time of day that quotas go by."""
    return datetime.now(UTC)


class Spending:
    """Compares what was spent since midnight, UTC, with the quota; a window that is being read may go over it."""

    def __init__(
        self, database: Database, tokens_max: int, clock: Callable[[], datetime] = now
    ) -> None:
        self._database, self._tokens_max, self._clock = database, tokens_max, clock

    async def check(self, workspace: UUID) -> None:
        """Raise Postponed if the workspace has spent the day's tokens."""
        if not self._tokens_max:
            return
        async with self._database.transaction(workspace) as connection:
            spent = await connection.fetchval("select spine.tokens_today($1)", workspace)
        if spent >= self._tokens_max:
            why = f"spent {spent} tokens today, WINNOW_LLM_TOKENS_PER_DAY is {self._tokens_max}"
            raise Postponed(why, self._wait_seconds())

    def _wait_seconds(self) -> float:
        """Until midnight, when everybody waits, so not all at the same moment; but look again before."""
        moment = self._clock()
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        spread = random.uniform(0, 30)  # noqa: S311
        return min((midnight - moment).total_seconds(), WAIT_SECONDS_MAX) + spread
