"""Opens the embedder: settings, models, generations, the stage and the loops."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pydantic import Field

from services.common.bus import Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.models import ModelError, ModelStore
from services.common.outbox import Relay, RelaySettings, TaskStore
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, Servicer
from services.common.settings import Settings
from services.common.watch import watching
from services.common.worker import Worker, WorkerSettings
from services.embedder import store
from services.embedder.debts import Debts
from services.embedder.erasing import Chunk, EraseStage
from services.embedder.generations import Generation, Generations
from services.embedder.models import GgufModels, LoadedModel, ModelOpener
from services.embedder.queries import QueryEmbedder
from services.embedder.reconciliation import Reconciliation
from services.embedder.rpc import SCOPES, EmbedderRpc
from services.embedder.subscriptions import EmbedStage, Outcome
from winnow.embedder.v1.embedder_pb2_grpc import add_EmbedderServiceServicer_to_server

log = logging.getLogger(__name__)


class EmbedderSettings(Settings):
    """Which model embeds, and how."""

    embedding_model: str = Field(
        default="multilingual-e5-small", min_length=1, description="a known name or a GGUF file"
    )
    embedding_contexts: int = Field(default=2, ge=1, le=64)
    embedding_threads: int = Field(default=1, ge=1, le=64)
    embed_parallel: int = Field(default=2, ge=1, le=16, description="batches at once")
    embed_hints_max: int = Field(default=4, ge=1, le=64, description="hints a batch, 64 tasks each")
    embed_reconcile_seconds: float = Field(default=30, gt=0)
    embed_queries_remembered_max: int = Field(default=2048, ge=0, le=1_000_000)


@asynccontextmanager
async def open_service(open_model: ModelOpener | None = None) -> AsyncIterator[Service]:
    """Open database, bus, relay and models; without an opener, GGUF models in this process."""
    settings = EmbedderSettings.read()
    open_model = open_model or _gguf_models(settings)
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as relay_database,
        Bus.open(BusSettings.read(), "embedder") as bus,
        AsyncExitStack() as models,
    ):
        relay = Relay(relay_database, bus, RelaySettings.read())
        loaded = await _open_models(database, settings.embedding_model, open_model, models)
        generations = _generations(database, loaded)
        await generations.refresh()
        debts = Debts(database, relay.kick)
        worker = _worker(settings, database, bus, EmbedStage(database, generations, relay.kick))
        reconciliation = Reconciliation(debts, generations, settings.embed_reconcile_seconds)
        queries = QueryEmbedder(generations, settings.embed_queries_remembered_max)
        rates = {digest: model.texts_per_second for digest, model in loaded.items()}
        rpc = EmbedderRpc(database, queries, debts, generations, rates)
        servicer = Servicer(
            "winnow.embedder.v1.EmbedderService",
            add_EmbedderServiceServicer_to_server,
            rpc,
            SCOPES,
        )
        servicers = [servicer, pipeline_servicer(database)]
        workers: list[Worker[Any]] = [worker, _eraser(database, bus, relay)]
        yield Service(
            "embedder",
            database,
            servicers,
            workers,
            [*watching(relay_database, rows=True), relay.run, reconciliation.run],
        )


def _gguf_models(settings: EmbedderSettings) -> ModelOpener:
    models = GgufModels(ModelStore.open(), settings.embedding_contexts, settings.embedding_threads)
    return models.open


def _generations(database: Database, loaded: Mapping[str, LoadedModel]) -> Generations:
    async def read_live() -> Sequence[Generation]:
        async with database.connection() as connection:
            return await store.live_generations(connection)

    return Generations(read_live, {digest: model.encoder for digest, model in loaded.items()})


def _worker(
    settings: EmbedderSettings, database: Database, bus: Bus, stage: EmbedStage
) -> Worker[Outcome]:
    options = WorkerSettings.read()
    tasks = TaskStore(database, options.task_lease_seconds, options.task_attempts_max)
    return Worker(
        stage,
        bus.hints(stage.name, waiting_max=256),
        tasks,
        database,
        options,
        hints_max=settings.embed_hints_max,
        parallel=settings.embed_parallel,
    )


def _eraser(database: Database, bus: Bus, relay: Relay) -> Worker[Chunk]:
    stage, options = EraseStage(relay.kick), WorkerSettings.read()
    tasks = TaskStore(database, options.task_lease_seconds, options.task_attempts_max)
    reader = bus.hints(stage.name, waiting_max=16)
    return Worker(stage, reader, tasks, database, options, batch_max=4)


async def _open_models(
    database: Database, configured: str, open_model: ModelOpener, stack: AsyncExitStack
) -> dict[str, LoadedModel]:
    """Open the configured model and its generation, then the models of other live generations; by digest."""
    first = await stack.enter_async_context(open_model(configured))
    loaded = {first.identity.digest: first}
    async with database.connection() as connection:
        _check_dimensions(first, await store.live_generations(connection))
        own = await store.open_generation(connection, first.identity)
        live = await store.live_generations(connection)
    log.info("model %s: generation %s is %s", first.identity.name, own.id, own.state)
    for generation in live:
        if generation.model.digest not in loaded:
            await _open_other(generation, open_model, stack, loaded)
    return loaded


async def _open_other(
    generation: Generation,
    open_model: ModelOpener,
    stack: AsyncExitStack,
    loaded: dict[str, LoadedModel],
) -> None:
    """Open the model of a generation that is not the configured one; without it the service can still run."""
    name = generation.model.name
    try:
        model = await stack.enter_async_context(open_model(name))
    except ModelError as error:
        _log_missing(generation, str(error))
        return
    loaded[model.identity.digest] = model
    if model.identity.digest != generation.model.digest:
        _log_missing(generation, f"the model called {name} is now another file")


def _log_missing(generation: Generation, reason: str) -> None:
    log.error(
        "generation %s is %s, but its model is missing, so its vectors are not kept up%s; "
        "fetch the model %s, or set WINNOW_EMBEDDING_MODEL to its file: %s",
        generation.id,
        generation.state,
        " and queries fail" if generation.state == "serving" else "",
        generation.model.name,
        reason,
    )


def _check_dimensions(model: LoadedModel, live: Sequence[Generation]) -> None:
    """Raise InvalidSetting if the file of a generation now gives vectors of another length."""
    found = model.encoder.dimensions
    for generation in live:
        wanted = generation.model.dimensions
        if generation.model.digest == model.identity.digest and wanted != found:
            raise InvalidSetting(
                f"WINNOW_EMBEDDING_MODEL: {model.identity.name} gives {found} dimensions, "
                f"but its generation {generation.id} has {wanted}"
            )
