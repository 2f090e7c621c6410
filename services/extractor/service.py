"""Opens the extractor: settings, the engine with its model, and the workers on its stages."""

import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from services.common.breaker import Breaker
from services.common.bus import Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting, WinnowError
from services.common.llama import GenerationModel
from services.common.models import ModelStore
from services.common.openai import OpenAIModel, ProviderSettings
from services.common.outbox import TaskStore
from services.common.pipeline import pipeline_servicer
from services.common.rates import QuotaSettings
from services.common.relay import Relay, RelaySettings
from services.common.service import Service, Servicer
from services.common.settings import Settings
from services.common.stages import FRESH, HISTORY, backfill_of
from services.common.watch import watching
from services.common.worker import Worker, WorkerSettings
from services.extractor.aptitude import Aptitude, AptitudeNotes
from services.extractor.combined import Capability, CombinedEngine
from services.extractor.erasing import EraseStage
from services.extractor.extraction import Engine, Model
from services.extractor.feed import Feed
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.manual import Reading
from services.extractor.merge_reconciliation import MergeReconciliation
from services.extractor.merging import MergeStage
from services.extractor.probing import Probed
from services.extractor.providing import Provider
from services.extractor.rpc import SCOPES, ExtractorRpc
from services.extractor.rules import ApprovalRule
from services.extractor.spending import Metered, Spending
from services.extractor.subscriptions import ExtractStage, WindowStage
from services.extractor.windows import WindowLimits
from winnow.extractor.v1.extractor_pb2_grpc import add_ExtractorServiceServicer_to_server

log = logging.getLogger(__name__)

# What no doctor has measured is trusted by its size: smaller models were measured to be no help.
GENERATES_FROM_BYTES = 800 << 20


class ExtractorSettings(Settings):
    """Which engine reads, with which model, and when a window closes."""

    extraction_engine: Literal["grounded", "combined", "generative"] = "combined"
    extraction_capability: Literal["auto", "none", "choices", "generate"] = "auto"
    generation_model: str = Field(
        default="smollm2-135m-instruct",
        min_length=1,
        description="a known name or a GGUF file, or what the provider behind a URL calls it",
    )
    generation_threads: int = Field(default=1, ge=1, le=64)
    feed_poll_seconds: float = Field(default=0.5, gt=0)
    window_messages_max: int = Field(default=36, ge=1, le=500)
    window_idle_seconds: float = Field(default=1800, gt=0)
    window_settle_seconds: float = Field(default=20, ge=0)
    window_age_seconds: float = Field(default=7200, gt=0)
    window_overlap: int = Field(default=4, ge=0, le=50)
    merge_reconcile_seconds: float = Field(default=60, gt=0)
    approval_confidence_min: float = Field(default=0.8, ge=0, le=1)
    approval_evidence_min: int = Field(
        default=0, ge=0, description="messages that approve an atom by rule; 0: none ever do"
    )

    def limits(self) -> WindowLimits:
        """When a window closes; noise may make a run four times as long."""
        return WindowLimits(
            messages_max=self.window_messages_max,
            run_max=4 * self.window_messages_max,
            idle=timedelta(seconds=self.window_idle_seconds),
            settle=timedelta(seconds=self.window_settle_seconds),
            age_max=timedelta(seconds=self.window_age_seconds),
            overlap=self.window_overlap,
        )

    def rule(self) -> ApprovalRule:
        """What is approved without a person."""
        return ApprovalRule(self.approval_confidence_min, self.approval_evidence_min)


@dataclass(frozen=True)
class Reader:
    """An engine and the name of the model it may call."""

    engine: Engine
    model_name: str
    capability: Capability | Literal["extract"] = "none"
    breaker: Breaker = field(default_factory=Breaker)

    def provider(self, settings: ExtractorSettings) -> Provider:
        """What it reads with, as people ask for it."""
        host = urlsplit(ProviderSettings.read().generation_url).hostname or "llama.cpp"
        return Provider(
            self.engine.name,
            self.engine.version,
            self.model_name,
            host if self.model_name else "",
            self.capability,
            QuotaSettings.read().llm_tokens_per_day,
            lambda: measured(settings),
            self.breaker,
        )

    def reading(self, limits: WindowLimits) -> Reading:
        """What manual runs must know of it."""
        name = f"{self.engine.name} {self.engine.version}"
        return Reading(limits, self.engine.version, name, bool(self.model_name))


@asynccontextmanager
async def open_service() -> AsyncIterator[Service]:
    """Open model, database, bus and relay."""
    settings = ExtractorSettings.read()
    with ExitStack() as models:
        reader = open_engine(settings, models)
        async with (
            Database.open(DatabaseSettings.read(), "winnow_extractor") as database,
            Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as relay_database,
            Bus.open(BusSettings.read(), "extractor") as bus,
        ):
            relay = Relay(relay_database, bus, RelaySettings.read())
            feed = Feed(database, settings.feed_poll_seconds)
            servicers = [
                Servicer(
                    "winnow.extractor.v1.ExtractorService",
                    add_ExtractorServiceServicer_to_server,
                    ExtractorRpc(
                        database,
                        relay.kick,
                        feed,
                        reader.reading(settings.limits()),
                        reader.provider(settings),
                    ),
                    SCOPES,
                ),
                pipeline_servicer(database),
            ]
            merges = MergeReconciliation(database, settings.merge_reconcile_seconds, relay.kick)
            workers = workers_of(settings, reader, database, bus, relay)
            yield Service(
                "extractor",
                database,
                servicers,
                [*workers, feed],
                [*watching(relay_database), relay.run, merges.run],
            )


def workers_of(
    settings: ExtractorSettings, reader: Reader, database: Database, bus: Bus, relay: Relay
) -> list[Worker[Any]]:
    """What works on the stages of the extractor."""
    limits, options = settings.limits(), WorkerSettings.read()
    spending = Spending(database, QuotaSettings.read().llm_tokens_per_day)
    tasks = TaskStore(database, options.task_lease_seconds, options.task_attempts_max)
    cutting = WindowStage(limits, reader.engine.version, relay.kick)
    rule = settings.rule()
    reading = ExtractStage(
        database, reader.engine, reader.model_name, limits, relay.kick, spending, rule
    )
    merging = MergeStage(rule, relay.kick)
    # What a model has read is committed at once: when the provider fails after it, it is not paid for twice.
    batch_max = 1 if reader.model_name else 4
    erasing = EraseStage(reader.engine.version, relay.kick, limits)

    def reads(consumer: str, lane: int) -> Worker[Any]:
        return Worker(
            reading,
            bus.hints(consumer, 64),
            tasks,
            database,
            options,
            hints_max=1,
            batch_max=batch_max,
            lanes=[lane],
            breaker=reader.breaker,
        )

    return [
        Worker(erasing, bus.hints(erasing.name, 16), tasks, database, options, batch_max=4),
        Worker(cutting, bus.hints(cutting.name, 64), tasks, database, options, batch_max=64),
        reads(reading.name, FRESH),
        reads(backfill_of(reading.name), HISTORY),
        Worker(merging, bus.hints(merging.name, 64), tasks, database, options, batch_max=16),
    ]


def open_engine(settings: ExtractorSettings, models: ExitStack) -> Reader:
    """Load the engine that is set, and the model where it may decide anything."""
    grounded = GroundedEngine()
    if settings.extraction_engine == "grounded" or settings.extraction_capability == "none":
        return Reader(grounded, "")
    if settings.extraction_engine == "generative":
        model, name = open_model(settings, models)
        return Reader(GenerativeEngine(Metered(Probed(model)), name, grounded), name, "extract")
    chosen = settings.extraction_capability
    capability = trusted_with(settings) if chosen == "auto" else chosen
    log.info("model %s is trusted with %s", settings.generation_model, capability)
    if capability == "none":
        return Reader(CombinedEngine(grounded), "")
    model, name = open_model(settings, models)
    asked = Metered(Probed(model))
    return Reader(CombinedEngine(grounded, asked, capability, name), name, capability)


def open_model(settings: ExtractorSettings, models: ExitStack) -> tuple[Model, str]:
    """Open the model in this process, or reach for the one behind the URL that is set; and its name."""
    provider = ProviderSettings.read()
    if provider.generation_url:
        return OpenAIModel.open(provider, _name_behind(settings)), settings.generation_model
    resolved = ModelStore.open().resolve(settings.generation_model, "generation")
    model = GenerationModel.open(resolved.path, threads=settings.generation_threads)
    models.callback(model.close)
    return model, resolved.name


def model_digest(settings: ExtractorSettings) -> str:
    """What tells the model that is set from others: its file's hash, or where it is and its name there."""
    provider = ProviderSettings.read()
    if provider.generation_url:
        where = f"{provider.generation_url}\0{_name_behind(settings)}"
        return hashlib.sha256(where.encode()).hexdigest()
    return ModelStore.open().resolve(settings.generation_model, "generation").digest


def _name_behind(settings: ExtractorSettings) -> str:
    if "generation_model" not in settings.model_fields_set:
        raise InvalidSetting("WINNOW_GENERATION_MODEL: name the model behind the URL")
    return settings.generation_model


def measured(settings: ExtractorSettings) -> Aptitude | None:
    """What `winnow doctor` has measured of the model that is set; None if it has not, or the model is not there."""
    try:
        return AptitudeNotes(ModelStore.open().directory).recall(model_digest(settings))
    except WinnowError:
        return None


def trusted_with(settings: ExtractorSettings) -> Capability:
    """What the model may decide: as `winnow doctor` measured it, else by its size; behind a URL, words."""
    found = AptitudeNotes(ModelStore.open().directory).recall(model_digest(settings))
    if found is not None:
        return found.capability
    if ProviderSettings.read().generation_url:
        return "generate"
    resolved = ModelStore.open().resolve(settings.generation_model, "generation")
    return "generate" if resolved.file_bytes >= GENERATES_FROM_BYTES else "none"
