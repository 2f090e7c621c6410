"""Looks at the task table and at rows and vectors, over all workspaces, and keeps what it saw as metrics."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from services.common import metrics
from services.common.database import Database
from services.common.errors import DatabaseUnavailable
from services.common.gauges import read_gauges
from services.common.metrics import MetricsSettings
from services.common.stages import STAGES

log = logging.getLogger(__name__)

# Reading all tasks or rows may take one tenth of the time; an alert says after ten minutes that nobody has.
_REST_FACTOR, _REST_SECONDS_MAX = 9, 300.0
STATES = ("ready", "scheduled", "leased", "dead")
KINDS = ("messages", "atoms", "topics", "vectors")
COMPARED = (
    "vectors_missing",
    "vectors_stale",
    "extractions_inconsistent",
    "leases_expired",
    "messages_unwindowed",
)


def watching(
    database: Database, *, rows: bool = False
) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
    """The loops that a service adds to its own; none where no metrics are served.

    Comparing rows and vectors reads whole indexes, so one kind of service does it for all.
    """
    settings = MetricsSettings.read()
    if not settings.metrics_address:
        return ()
    watch = Watch(database)
    loops = [every(settings.metrics_backlog_seconds, watch.look_at_backlog)]
    if rows:
        loops.append(every(settings.metrics_reconcile_seconds, watch.look_at_rows))
    return loops


def every(
    seconds: float,
    look: Callable[[], Coroutine[Any, Any, None]],
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Look again and again, leaving the database alone for nine times as long as that takes, up to five minutes."""

    async def loop() -> None:
        while True:
            started = clock()
            try:
                await look()
            except DatabaseUnavailable as error:
                log.warning("metrics: %s", error)
            rest = min(_REST_FACTOR * (clock() - started), _REST_SECONDS_MAX)
            await asyncio.sleep(max(seconds, rest))

    return loop


class Watch:
    """Reads what the role of the relay may see of every workspace: counts alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look_at_backlog(self) -> None:
        """Keep how many tasks of each stage are open, and the age of the oldest."""
        async with self._database.connection() as connection:
            rows = await connection.fetch("select * from spine.backlog()")
        found = {row["stage"]: row for row in rows}
        for stage in {*STAGES, *found}:
            row = found.get(stage)
            for state in STATES:
                metrics.TASKS.labels(stage, state).set(row[state] if row else 0)
            age = max(0.0, row["oldest_seconds"]) if row else 0
            metrics.OLDEST_TASK_AGE.labels(stage).set(age)
        metrics.BACKLOG_SEEN.set(time.time())

    async def look_at_rows(self) -> None:
        """Keep what is stored, and what of it does not fit together."""
        async with self._database.connection() as connection:
            rows = await connection.fetch("select workspace_id from spine.workspaces()")
        total = Counter[str]()
        for row in rows:
            gauges = await read_gauges(self._database, row["workspace_id"])
            total.update({name: gauges[name] for name in (*KINDS, *COMPARED)})
        for kind in KINDS:
            metrics.ROWS.labels(kind).set(total[kind])
        for compared in COMPARED:
            metrics.RECONCILIATION.labels(compared).set(total[compared])
        metrics.ROWS_SEEN.set(time.time())
