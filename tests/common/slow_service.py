"""A service whose one stage takes its time, as a process: `python -m tests.common.slow_service SECONDS`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.common.bus import Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.outbox import TaskStore
from services.common.pipeline import pipeline_servicer
from services.common.relay import Relay, RelaySettings
from services.common.service import Service, run
from services.common.worker import Worker, WorkerSettings
from tests.common.stages import STAGE, Recorder


@asynccontextmanager
async def open_service() -> AsyncIterator[Service]:
    """Open everything that a service has."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as relay_database,
        Bus.open(BusSettings.read(), "slow") as bus,
    ):
        store = TaskStore(database, 60, 5)
        stage = Recorder(seconds=float(sys.argv[1]))
        worker = Worker(stage, bus.hints(STAGE, 8), store, database, WorkerSettings())
        relay = Relay(relay_database, bus, RelaySettings())
        yield Service("embedder", database, [pipeline_servicer(database)], [worker], [relay.run])


if __name__ == "__main__":
    asyncio.run(run({"embedder": open_service}))
