"""A relay on real servers that runs when a test wants it to."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import asyncpg

from services.common.bus import (
    EVENTS_STREAM,
    Bus,
    BusSettings,
)
from services.common.database import Database, DatabaseSettings
from services.common.outbox import announce
from services.common.relay import Relay, RelaySettings
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.meanwhile import meanwhile
from tests.servers import NatsServer
from winnow.events.v1.events_pb2 import AtomsExtracted, Event

LIMITS = RelaySettings(relay_again_seconds=250, relay_again_seconds_max=300)


@asynccontextmanager
async def relaying(
    settings: RelaySettings = LIMITS, **bus_settings: int
) -> AsyncIterator[tuple[Relay, Bus]]:
    """A relay that does not run yet, on the deployment's servers."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as database,
        Bus.open(BusSettings(**bus_settings), "test") as bus,
    ):
        yield Relay(database, bus, settings), bus


async def announced(deployment: Deployment, count: int) -> list[str]:
    """Announce facts, each with a run of its own."""
    runs = [str(uuid4()) for _ in range(count)]
    for run in runs:
        fact = AtomsExtracted(run_id=run, atom_ids=[str(uuid4())])
        await announce(deployment.admin, deployment.workspace, "atoms_extracted", fact)
    return runs


async def published(bus: Bus) -> list[Event]:
    """Every event that the broker has."""
    count = (await bus._js.stream_info(EVENTS_STREAM)).state.messages
    stored = [await bus._js.get_msg(EVENTS_STREAM, seq=n + 1) for n in range(count)]
    return [Event.FromString(message.data or b"") for message in stored]


async def waiting(admin: asyncpg.Connection) -> int:
    """How many facts wait to be published."""
    count: int = await admin.fetchval("select count(*) from spine.event")
    return count


async def until_quiet(relay: Relay, admin: asyncpg.Connection) -> None:
    """Run the relay until no fact waits."""
    async with meanwhile(relay.run()):
        await until_true(admin, "not exists (select from spine.event)")


async def lose_files(nats: NatsServer, bus: Bus, subject: str) -> None:
    """Remove a server's files while it runs, and write to a stream until that takes nothing any more."""
    shutil.rmtree(nats.store / "jetstream")
    with suppress(TimeoutError):
        while True:
            await bus._js.publish(subject, bytes(500_000), timeout=2)
