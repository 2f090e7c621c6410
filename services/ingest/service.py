"""Ingest, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self, TypeVar

import protovalidate
from pydantic import Field

from services.common.bus import Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.outbox import TaskStore
from services.common.pipeline import pipeline_servicer
from services.common.rates import QuotaSettings, Rate
from services.common.relay import Relay, RelaySettings
from services.common.service import Drainable, Service, Servicer
from services.common.settings import Settings
from services.common.watch import watching
from services.common.work import Stage
from services.common.worker import Worker, WorkerSettings
from services.ingest.erasing import Eraser, EraseStage
from services.ingest.gate import Gate
from services.ingest.intake import Intake
from services.ingest.limits import CommitSlots
from services.ingest.moving import Mover
from services.ingest.neighbours import Neighbours
from services.ingest.operations import Operations
from services.ingest.rescoring import RescoreStage
from services.ingest.rpc import SCOPES, IngestRpc
from services.ingest.saving import Saver
from services.ingest.scoring import DEFAULT_THRESHOLDS, Thresholds
from services.ingest.sources import Sources
from services.ingest.weights import VERSION
from winnow.ingest.v1.ingest_pb2_grpc import add_IngestServiceServicer_to_server

R = TypeVar("R")


class IngestSettings(Settings):
    """How much ingest does at once, and from which scores on a message is weak or a signal."""

    ingest_commits_max: int = Field(default=6, ge=1, le=100)
    ingest_wait_seconds: float = Field(default=5, gt=0)
    importance_weak: float = DEFAULT_THRESHOLDS.weak
    importance_signal: float = DEFAULT_THRESHOLDS.signal

    @classmethod
    def read(cls) -> Self:
        """Return the settings, or raise InvalidSetting if one of them is wrong by itself or beside another."""
        settings = super().read()
        settings.thresholds()
        return settings

    def thresholds(self) -> Thresholds:
        """The thresholds, or InvalidSetting that names the variables."""
        try:
            return Thresholds(self.importance_weak, self.importance_signal)
        except ValueError as error:
            raise InvalidSetting(f"WINNOW_IMPORTANCE_WEAK and _SIGNAL: {error}") from None


@asynccontextmanager
async def open_service() -> AsyncIterator[Service]:
    """Open the database, the bus and the relay."""
    settings, database_settings = IngestSettings.read(), DatabaseSettings.read()
    thresholds, quotas = settings.thresholds(), QuotaSettings.read()
    async with (
        Database.open(database_settings, "winnow_ingest", leaves_nothing=True) as database,
        Database.open(
            database_settings, "winnow_relay", size=2, leaves_nothing=True
        ) as relay_database,
        Bus.open(BusSettings.read(), "ingest") as bus,
    ):
        relay = Relay(relay_database, bus, RelaySettings.read())
        sources = Sources()
        slots = CommitSlots(settings.ingest_commits_max, settings.ingest_wait_seconds)
        neighbours = Neighbours(thresholds, VERSION)
        saver = Saver(database, sources, slots, VERSION, neighbours, relay)
        gate = Gate(database, sources, thresholds)
        validator = protovalidate.Validator()
        intake = Intake(database, sources, validator, gate, saver)
        operations = Operations(database, relay.kick)
        rate = Rate("messages", quotas.rate_messages_per_second, quotas.rate_burst_seconds)
        eraser = Eraser(neighbours)
        mover = Mover(database, sources)
        rpc = IngestRpc(database, intake, saver, operations, eraser, mover, VERSION, rate)
        rescoring = RescoreStage(database, thresholds, VERSION, neighbours, relay.kick)
        servicer = Servicer(
            "winnow.ingest.v1.IngestService", add_IngestServiceServicer_to_server, rpc, SCOPES
        )
        servicers = [servicer, pipeline_servicer(database)]
        erasing = EraseStage(eraser, relay.kick)
        workers: list[Drainable] = [
            _worker(rescoring, database, bus),
            _worker(erasing, database, bus),
        ]
        loops = [*watching(relay_database), relay.run]
        yield Service("ingest", database, servicers, workers, loops, validator)


def _worker(stage: Stage[R], database: Database, bus: Bus) -> Worker[R]:
    options = WorkerSettings.read()
    tasks = TaskStore(database, options.task_lease_seconds, options.task_attempts_max)
    reader = bus.hints(stage.name, waiting_max=16)
    return Worker(stage, reader, tasks, database, options, hints_max=1, batch_max=1)
