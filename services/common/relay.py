"""The relay turns open tasks into hints and facts into events."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from pydantic import Field

from services.common import metrics, tracing
from services.common.bus import Bus, BusUnavailable
from services.common.clocks import DatabaseClock
from services.common.database import Database
from services.common.errors import DatabaseUnavailable
from services.common.facts import events
from services.common.failpoints import reach
from services.common.looks import Look, Looks
from services.common.outbox import FACTS, traces
from services.common.settings import Settings
from services.common.stages import FRESH, PLACES, consumer_of
from services.common.waiting import wait_at_most

log = logging.getLogger(__name__)

EVENTS_MAX = 100
CHECK_SECONDS = 2.0
# How long facts wait after one was not stored: hints, on which work waits, are not to wait for each try.
FACTS_PAUSE_SECONDS = 5.0
# How long facts are published before those that were are forgotten: hints wait meanwhile, and the server ends a session
# without a statement after a minute.
FACTS_SECONDS = 5.0
# How long a hint that was taken may take to be published.
PUBLISHING = timedelta(seconds=2)
# How many lost hints of a stage and lane are repeated at a look: some tens of microseconds each.
REPEATED_MAX = 20_000
# How many hints may wait to be published; the relay finds what is beyond in the table, later.
HANDED_MAX = 100_000


class RelaySettings(Settings):
    """How often the relay looks, and how long a hint may stay unanswered."""

    relay_idle_seconds: float = Field(default=0.25, gt=0)
    relay_hints_max: int = Field(default=2000, ge=1, le=10000)
    relay_backfill_max: int = Field(
        default=1024, ge=64, le=100_000, description="tasks of backfills hinted at a time"
    )
    relay_again_seconds: float = Field(
        default=300,
        gt=0,
        description="the last resort: hints that are seen to be lost are repeated within seconds",
    )
    relay_again_seconds_max: float = Field(
        default=300, gt=0, description="each further repetition waits twice as long, up to this"
    )


@dataclass(frozen=True)
class Hints:
    """Tasks of one workspace, stage and lane whose hints are to be published."""

    workspace: UUID
    stage: str
    ids: Sequence[UUID]
    lane: int = FRESH


class Relay:
    """One loop that is relay, sweeper and retry: safe with any number of replicas."""

    def __init__(self, database: Database, bus: Bus, settings: RelaySettings) -> None:
        self._database, self._bus, self._settings = database, bus, settings
        self._kicked = asyncio.Event()
        self._looks, self._clock = Looks(), DatabaseClock()
        self._handed: list[Hints] = []
        self._facts_wait_until = 0.0

    @property
    def again_seconds(self) -> float:
        """After how long a first hint is repeated."""
        return self._settings.relay_again_seconds

    def hand(self, hints: Hints) -> None:
        """Publish the hints of tasks that were committed as hinted already; what is lost on the way is hinted again."""
        if sum(len(each.ids) for each in self._handed) < HANDED_MAX:
            self._handed.append(hints)
        self.kick()

    def kick(self) -> None:
        """Look at once: a transaction has just made tasks."""
        self._kicked.set()

    async def run(self) -> None:
        """Publish until cancelled; whatever fails is tried again, since the table keeps it."""
        while True:
            try:
                await self._prepare()
                await self._publish_for(CHECK_SECONDS)
            except (BusUnavailable, DatabaseUnavailable) as error:
                log.warning("relay: %s", error)
                await asyncio.sleep(1)

    async def _publish_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            busy = await self._pass()
            if not busy:
                await self._wait()

    async def _wait(self) -> None:
        await wait_at_most(self._kicked, self._settings.relay_idle_seconds)
        self._kicked.clear()

    async def _prepare(self) -> None:
        """Look at the broker, and hint again what it has lost: the database knows which stream it last hinted on."""
        # What the makers of tasks have handed over would be missed in the stream.
        await self._publish_handed()
        look = Look(await self._now(), await self._bus.declare())
        await reach("relay.declared")
        query = "select spine.note_hint_stream($1) as is_another"
        [row] = await self._fetch(query, look.hints.created_at)
        await reach("relay.noted")
        self._looks.add(look)
        await self._find_lost(
            dict.fromkeys(PLACES, look.at) if row["is_another"] else self._gone_before()
        )

    async def _now(self) -> datetime:
        """The time by the database's clock; that it was put back is told, since tasks wait longer for that."""
        self._clock.ask()
        [row] = await self._fetch("select now() as now")
        now: datetime = row["now"]
        if back := self._clock.answer(now):
            log.warning(
                "relay: the database's clock went back by %s: what was due by it until then waits as much longer",
                timedelta(seconds=round(back.total_seconds())),
            )
        return now

    def _gone_before(self) -> dict[tuple[str, int], datetime]:
        """Before when hints were given that are neither in the stream any more nor on their way there."""
        seen = {place: self._looks.gone_before(consumer_of(*place)) for place in PLACES}
        return {place: at - PUBLISHING for place, at in seen.items() if at}

    async def _find_lost(self, gone_before: Mapping[tuple[str, int], datetime]) -> None:
        """Hint again what was hinted before a time, by stage and lane, and nobody has taken; the next look goes on."""
        if not gone_before:
            return
        settings = self._settings
        [row] = await self._fetch(
            "select spine.repeat_lost_hints($1, $2, $3, $4, $5, $6) as count",
            *zip(*((*place, at) for place, at in gone_before.items()), strict=True),
            timedelta(seconds=settings.relay_again_seconds),
            timedelta(seconds=settings.relay_again_seconds_max),
            REPEATED_MAX,
        )
        await reach("relay.found_lost")
        if row["count"]:
            log.warning("relay: %d hints are lost and published again", row["count"])

    async def _pass(self) -> bool:
        """Publish one batch of hints and events; tell whether there may be more."""
        await self._publish_handed()
        hinted = await self._relay_hints()
        announced = await self._relay_facts()
        return hinted >= self._settings.relay_hints_max or announced >= EVENTS_MAX

    async def _relay_hints(self) -> int:
        settings = self._settings
        rows = await self._fetch(
            "select * from spine.take_hints($1, $2, $3, $4)",
            settings.relay_hints_max,
            timedelta(seconds=settings.relay_again_seconds),
            timedelta(seconds=settings.relay_again_seconds_max),
            settings.relay_backfill_max,
        )
        await reach("relay.taken")
        await self._publish(
            Hints(row["workspace_id"], row["stage"], [row["id"]], row["lane"])
            for row in sorted(rows, key=itemgetter("id"))
        )
        return len(rows)

    async def _publish_handed(self) -> None:
        handed, self._handed = self._handed, []
        await self._publish(handed)

    async def _publish(self, hints: Iterable[Hints]) -> None:
        """Publish hints, those that go the same way together and what is fresh first."""
        grouped = _grouped(hints)
        try:
            for each in grouped:
                await self._publish_hint(each)
        except BusUnavailable:
            # Otherwise every failure would double the time to the next hint.
            keys = [(each.workspace, task) for each in grouped for task in each.ids]
            workspaces, ids = [key[0] for key in keys], [key[1] for key in keys]
            await self._fetch("select spine.return_hints($1, $2)", workspaces, ids)
            await reach("relay.returned")
            raise

    async def _publish_hint(self, hints: Hints) -> None:
        workspace, stage, ids = hints.workspace, hints.stage, hints.ids
        await self._bus.publish_hint(workspace, consumer_of(stage, hints.lane), ids)
        await reach("relay.hinted", stage)
        metrics.HINTS_PUBLISHED.labels(stage).inc(len(ids))
        if tracing.is_on():
            await self._mark(workspace, stage, ids)

    async def _mark(self, workspace: UUID, stage: str, ids: Sequence[UUID]) -> None:
        """Record in their traces that tasks are hinted; not being able to tell these holds up no further hint."""
        try:
            async with self._database.connection() as connection:
                tracing.mark(f"hint {stage}", await traces(connection, workspace, ids))
        except DatabaseUnavailable as error:
            log.warning("relay: traces: %s", error)

    async def _relay_facts(self) -> int:
        if time.monotonic() < self._facts_wait_until:
            return 0
        try:
            return await self._relay_events()
        except BusUnavailable:
            self._facts_wait_until = time.monotonic() + FACTS_PAUSE_SECONDS
            raise

    async def _relay_events(self) -> int:
        end, published = time.monotonic() + FACTS_SECONDS, list[UUID]()
        async with self._database.connection() as connection, connection.transaction():
            rows = await connection.fetch(
                "select * from spine.take_events($1, $2)", EVENTS_MAX, FACTS
            )
            await reach("relay.facts_taken")
            for row in rows:
                for event in events(row, self._bus.event_bytes_max):
                    await self._bus.publish_event(
                        row["workspace_id"],
                        row["fact"],
                        event.SerializeToString(),
                        UUID(event.id),
                    )
                await reach("relay.fact_published")
                metrics.EVENTS_PUBLISHED.labels(row["fact"]).inc()
                published.append(row["id"])
                if time.monotonic() > end:
                    break
            if published:
                await connection.execute("select spine.forget_events($1)", published)
            await reach("relay.facts_forgotten")
        await reach("relay.facts_committed")
        return len(rows)

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        async with self._database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


def _grouped(hints: Iterable[Hints]) -> list[Hints]:
    """Hints of one lane, workspace and stage as one, their ids in order as they came; by lane first."""
    groups: dict[tuple[int, UUID, str], list[UUID]] = defaultdict(list)
    for each in hints:
        groups[each.lane, each.workspace, each.stage] += each.ids
    return [
        Hints(workspace, stage, ids, lane)
        for (lane, workspace, stage), ids in sorted(groups.items())
    ]
