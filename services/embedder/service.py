"""Opens the embedder: settings, models, generations, the stage and the loops."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from pydantic import Field

from services.common.bus import Bus, BusSettings, HintReader
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.models import ModelStore
from services.common.outbox import TaskStore
from services.common.pipeline import pipeline_servicer
from services.common.relay import Relay, RelaySettings
from services.common.service import Service, Servicer
from services.common.settings import Settings
from services.common.stages import BEHIND, FRESH, backfill_of
from services.common.watch import watching
from services.common.worker import Worker, WorkerSettings
from services.embedder import generation_store
from services.embedder.backfill import Plans
from services.embedder.changing import Changes
from services.embedder.configured import ConfiguredModel
from services.embedder.debts import Debts
from services.embedder.erasing import Chunk, EraseStage
from services.embedder.generations import Generation, Generations
from services.embedder.indexing import Indexing
from services.embedder.models import GgufModels, LoadedModel, ModelOpener
from services.embedder.outages import Outages
from services.embedder.queries import QueryEmbedder
from services.embedder.reconciliation import Reconciliation
from services.embedder.remote import PREFIX, RemoteModels, RemoteSettings
from services.embedder.rpc import SCOPES, EmbedderRpc
from services.embedder.segments import Density, Sizes
from services.embedder.shelf import Shelf
from services.embedder.subscriptions import EmbedStage, Outcome
from services.embedder.upkeep import Upkeep
from services.embedder.watching import Watcher
from winnow.embedder.v1.embedder_pb2_grpc import add_EmbedderServiceServicer_to_server


class EmbedderSettings(Settings):
    """Which model embeds, and how."""

    embedding_model: str = Field(
        default="multilingual-e5-small", min_length=1, description="a known name or a GGUF file"
    )
    embedding_contexts: int = Field(default=2, ge=1, le=64)
    embedding_threads: int = Field(default=1, ge=1, le=64)
    embedding_exact: bool = Field(
        default=False,
        description="compute with the numbers of a file, even where weights of 8 bits are faster",
    )
    embed_parallel: int = Field(default=2, ge=1, le=16, description="batches at once")
    embed_hints_max: int = Field(
        default=4, ge=1, le=64, description="hints taken at a time, 64 tasks each"
    )
    embed_reconcile_seconds: float = Field(default=30, gt=0)
    embed_queries_remembered_max: int = Field(default=2048, ge=0, le=1_000_000)
    embed_retired_seconds: float = Field(
        default=10, ge=0, description="until the vectors of a retired generation are dropped"
    )
    hnsw_segment_rows: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="vectors that are compared one by one until so many get a graph",
    )
    hnsw_m: int = Field(default=12, ge=2, le=100, description="neighbours of a node of a graph")
    hnsw_ef_construction: int = Field(
        default=48,
        ge=4,
        le=1000,
        description="breadth of the search for them, at least twice as many",
    )
    hnsw_dense_m: int = Field(
        default=24, ge=2, le=100, description="neighbours in a large graph, built while it is quiet"
    )
    hnsw_dense_ef_construction: int = Field(
        default=128, ge=4, le=1000, description="breadth there, at least twice as many"
    )
    hnsw_dense_rows_min: int = Field(
        default=50_000, ge=0, description="vectors from which on a graph is large; 0: never"
    )
    hnsw_build_memory_mb: int = Field(
        default=512, ge=1, le=1 << 20, description="about 2 kB a vector; with less it takes longer"
    )


@asynccontextmanager
async def open_service(open_model: ModelOpener | None = None) -> AsyncIterator[Service]:
    """Open database, bus, relay and models; without an opener, GGUF models in this process."""
    settings = EmbedderSettings.read()
    open_model = open_model or _models(settings)
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as relay_database,
        # A build holds a connection for as long as it takes, while what is missing is counted by another.
        Database.open(DatabaseSettings.read(), "winnow_embedder", size=2) as index_database,
        Bus.open(BusSettings.read(), "embedder") as bus,
        Shelf.open(open_model) as shelf,
        Plans.open() as plans,
    ):
        relay = Relay(relay_database, bus, RelaySettings.read())
        generations = _generations(database, shelf)
        sizes = _sizes(settings)
        configured = ConfiguredModel(
            settings.embedding_model, database, generations, shelf, sizes.segment_rows
        )
        await configured.open()
        await shelf.follow([each for each in await generations.refresh() if _is_opened_first(each)])
        debts = Debts(database, relay.kick)
        reconciliation = Reconciliation(debts, generations, settings.embed_reconcile_seconds)
        changes = Changes(database, generations, shelf, sizes.segment_rows, reconciliation.kick)
        outages = Outages()
        upkeep = Upkeep(database, generations, shelf, outages, settings.embed_retired_seconds)
        indexing = Indexing(index_database, generations, sizes, settings.hnsw_build_memory_mb)
        queries = QueryEmbedder(generations, settings.embed_queries_remembered_max)
        watcher = Watcher(database, debts)
        rpc = EmbedderRpc(database, queries, debts, plans, generations, shelf, changes, watcher)
        servicer = Servicer(
            "winnow.embedder.v1.EmbedderService",
            add_EmbedderServiceServicer_to_server,
            rpc,
            SCOPES,
        )
        servicers = [servicer, pipeline_servicer(database)]
        fresh = EmbedStage(database, generations, outages, relay.kick)
        backfill = EmbedStage(database, generations, outages, relay.kick, can_wait=True)
        workers: list[Worker[Any]] = [
            _worker(settings, database, bus.hints(fresh.name, waiting_max=256), fresh, [FRESH]),
            _worker(
                settings,
                database,
                bus.hints(backfill_of(backfill.name), waiting_max=64),
                backfill,
                BEHIND,
            ),
            _eraser(database, bus, relay),
        ]
        loops = [
            *watching(relay_database, rows=True),
            relay.run,
            reconciliation.run,
            configured.wait,
            upkeep.follow,
            upkeep.rouse,
            indexing.run,
        ]
        yield Service("embedder", database, servicers, workers, loops)


def _models(settings: EmbedderSettings) -> ModelOpener:
    """Open models in this process, or behind a URL, as their references say."""
    files = GgufModels(
        ModelStore.open(),
        settings.embedding_contexts,
        settings.embedding_threads,
        exact=settings.embedding_exact,
    )
    remote = RemoteModels(RemoteSettings.read())

    def open_model(reference: str) -> AbstractAsyncContextManager[LoadedModel]:
        return (remote if reference.startswith(PREFIX) else files).open(reference)

    return open_model


def _generations(database: Database, shelf: Shelf) -> Generations:
    async def read_live() -> Sequence[Generation]:
        async with database.connection() as connection:
            return await generation_store.live_generations(connection)

    return Generations(read_live, shelf.encoder)


def _is_opened_first(generation: Generation) -> bool:
    """Whether nothing is served before a model is open; a provider that is silent would hold up all for a timeout."""
    model = generation.model
    return generation.state == "serving" or not (model.reference or model.name).startswith(PREFIX)


def _sizes(settings: EmbedderSettings) -> Sizes:
    """How graphs are made; InvalidSetting for what pgvector would refuse when it builds one."""
    sparse = Density(settings.hnsw_m, settings.hnsw_ef_construction)
    dense = Density(settings.hnsw_dense_m, settings.hnsw_dense_ef_construction)
    for kind, density in (("", sparse), ("DENSE_", dense)):
        if density.ef_construction < 2 * density.m:
            raise InvalidSetting(
                f"WINNOW_HNSW_{kind}EF_CONSTRUCTION: must be at least twice "
                f"WINNOW_HNSW_{kind}M, {2 * density.m}"
            )
    return Sizes(settings.hnsw_segment_rows, sparse, dense, settings.hnsw_dense_rows_min)


def _worker(
    settings: EmbedderSettings,
    database: Database,
    reader: HintReader,
    stage: EmbedStage,
    lanes: Sequence[int],
) -> Worker[Outcome]:
    options = WorkerSettings.read()
    tasks = TaskStore(database, options.task_lease_seconds, options.task_attempts_max)
    return Worker(
        stage,
        reader,
        tasks,
        database,
        options,
        hints_max=settings.embed_hints_max,
        parallel=settings.embed_parallel,
        lanes=lanes,
    )


def _eraser(database: Database, bus: Bus, relay: Relay) -> Worker[Chunk]:
    stage, options = EraseStage(database, relay.kick), WorkerSettings.read()
    tasks = TaskStore(database, options.task_lease_seconds, options.task_attempts_max)
    reader = bus.hints(stage.name, waiting_max=16)
    return Worker(stage, reader, tasks, database, options, batch_max=4)
