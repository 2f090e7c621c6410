"""EmbedderService: queries embedded at once, backfills watched, generations listed and changed."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from services.common import pages
from services.common.database import Database
from services.common.errors import ModelUnavailable, NotFound
from services.common.rpc import current_caller
from services.embedder import generation_store
from services.embedder.backfill import BATCH_SIZE_DEFAULT, Backfill, Plans, Progress
from services.embedder.changing import Changes
from services.embedder.debts import Debts
from services.embedder.generation_store import ListedGeneration
from services.embedder.generations import Generation, Generations
from services.embedder.models import LoadedModel
from services.embedder.queries import QueryEmbedder, Role, TextVector
from services.embedder.shelf import Shelf
from services.embedder.specs import KINDS
from services.embedder.subscriptions import KIND_NUMBERS
from services.embedder.watching import Watched, Watcher
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1 import embedder_pb2_grpc

SCOPES = {
    "Embed": "read",
    "EmbedBatch": "read",
    "Backfill": "admin",
    "PauseBackfill": "admin",
    "ListGenerations": "read",
    "StartGeneration": "operate",
    "WatchGeneration": "operate",
    "PromoteGeneration": "operate",
    "RollBackGeneration": "operate",
    "RetireGeneration": "operate",
    "ResumeBackfills": "operate",
}
_KIND_NAMES = {number: name for name, number in KIND_NUMBERS.items()}
_STATES = {
    "building": pb.GENERATION_STATE_BUILDING,
    "serving": pb.GENERATION_STATE_SERVING,
    "standby": pb.GENERATION_STATE_STANDBY,
    "retired": pb.GENERATION_STATE_RETIRED,
}
_INDEX_STATES = {
    None: pb.INDEX_STATE_UNSPECIFIED,
    "none": pb.INDEX_STATE_NONE,
    "building": pb.INDEX_STATE_BUILDING,
    "ready": pb.INDEX_STATE_READY,
    "invalid": pb.INDEX_STATE_INVALID,
}


class EmbedderRpc(embedder_pb2_grpc.EmbedderServiceServicer):
    """Translates between the contract and the domain."""

    def __init__(
        self,
        database: Database,
        queries: QueryEmbedder,
        debts: Debts,
        plans: Plans,
        generations: Generations,
        shelf: Shelf,
        changes: Changes,
        watcher: Watcher,
    ) -> None:
        self._database, self._queries = database, queries
        self._debts, self._plans = debts, plans
        self._generations, self._shelf = generations, shelf
        self._changes, self._watcher = changes, watcher

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Embed one text."""
        generation, vectors = await self._queries.embed(
            [request.text], _role(request.role), _id(request.generation_id)
        )
        return pb.EmbedResponse(embedding=_embedding(vectors[0]), generation_id=str(generation.id))

    async def EmbedBatch(
        self, request: pb.EmbedBatchRequest, context: Any
    ) -> pb.EmbedBatchResponse:
        """Embed texts, in order."""
        generation, vectors = await self._queries.embed(
            request.texts, _role(request.role), _id(request.generation_id)
        )
        return pb.EmbedBatchResponse(
            embeddings=map(_embedding, vectors), generation_id=str(generation.id)
        )

    async def Backfill(
        self, request: pb.BackfillRequest, context: Any
    ) -> AsyncIterator[pb.BackfillResponse]:
        """Count what is missing, or have it embedded and stream progress."""
        await self._generations.refresh()
        generation, _ = await self._generations.wanted(_id(request.generation_id))
        model = self._model(generation)
        kinds = [_KIND_NAMES[kind] for kind in request.kinds] or list(KINDS)
        workspace = current_caller().workspace
        backfill = Backfill(
            self._debts, self._plans, workspace, generation, kinds, model.texts_per_second
        )
        if request.dry_run:
            yield await self._progress(workspace, generation.id, model, await backfill.plan())
            return
        batch_size = request.batch_size or BATCH_SIZE_DEFAULT
        async for progress in backfill.run(batch_size, request.rate_per_second):
            yield await self._progress(workspace, generation.id, model, progress)

    async def PauseBackfill(
        self, request: pb.PauseBackfillRequest, context: Any
    ) -> pb.PauseBackfillResponse:
        """Hold the backfill back, or let it go on."""
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            await generation_store.pause_backfill(connection, workspace, paused=request.paused)
        return pb.PauseBackfillResponse()

    async def ListGenerations(
        self, request: pb.ListGenerationsRequest, context: Any
    ) -> pb.ListGenerationsResponse:
        """List generations, newest first."""
        size = pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        before = position.uuid(0) if position else None
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            found = await generation_store.list_generations(connection, workspace, before, size + 1)
        page = found[:size]
        token = pages.encode(request, [str(page[-1].generation.id)]) if len(found) > size else ""
        return pb.ListGenerationsResponse(generations=map(_generation, page), next_page_token=token)

    async def StartGeneration(
        self, request: pb.StartGenerationRequest, context: Any
    ) -> pb.StartGenerationResponse:
        """Open a model and have its generation filled."""
        query = request.query_prefix if request.HasField("query_prefix") else None
        passage = request.passage_prefix if request.HasField("passage_prefix") else None
        started = await self._changes.start(request.model, query, passage)
        return pb.StartGenerationResponse(generation=await self._described(started))

    async def WatchGeneration(
        self, request: pb.WatchGenerationRequest, context: Any
    ) -> AsyncIterator[pb.WatchGenerationResponse]:
        """Stream how far a generation is."""
        workspace = current_caller().workspace
        async for watched in self._watcher.watch(workspace, UUID(request.generation_id)):
            yield _watched(watched)

    async def PromoteGeneration(
        self, request: pb.PromoteGenerationRequest, context: Any
    ) -> pb.PromoteGenerationResponse:
        """Let searches read a generation."""
        promoted = await self._changes.promote(UUID(request.generation_id), force=request.force)
        return pb.PromoteGenerationResponse(generation=await self._described(promoted))

    async def RollBackGeneration(
        self, request: pb.RollBackGenerationRequest, context: Any
    ) -> pb.RollBackGenerationResponse:
        """Let searches read the generation that served before."""
        serving = _id(request.generation_id)
        promoted = await self._changes.roll_back(serving, force=request.force)
        return pb.RollBackGenerationResponse(generation=await self._described(promoted))

    async def RetireGeneration(
        self, request: pb.RetireGenerationRequest, context: Any
    ) -> pb.RetireGenerationResponse:
        """End a generation that does not serve."""
        retired = await self._changes.retire(UUID(request.generation_id))
        return pb.RetireGenerationResponse(generation=await self._described(retired))

    async def ResumeBackfills(
        self, request: pb.ResumeBackfillsRequest, context: Any
    ) -> pb.ResumeBackfillsResponse:
        """Let the backfills of all workspaces go on."""
        return pb.ResumeBackfillsResponse(workspaces=await self._changes.resume_backfills())

    async def _described(self, generation: Generation) -> pb.Generation:
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            listed = await generation_store.describe_generation(
                connection, workspace, generation.id
            )
        return _generation(listed)

    def _model(self, generation: Generation) -> LoadedModel:
        model = self._shelf.model(generation.model.digest)
        if model is None:
            raise ModelUnavailable(f"the embedder does not have {generation.model.name}")
        return model

    async def _progress(
        self, workspace: UUID, generation: UUID, model: LoadedModel, progress: Progress
    ) -> pb.BackfillResponse:
        async with self._database.transaction(workspace) as connection:
            if not await generation_store.is_live(connection, generation):
                raise NotFound("live generation", str(generation))
            paused = await generation_store.is_backfill_paused(connection, workspace)
        return _backfill_response(model, progress, paused)


def _id(text: str) -> UUID | None:
    return UUID(text) if text else None


def _role(role: "pb.TextRole.ValueType") -> Role:
    return "passage" if role == pb.TEXT_ROLE_PASSAGE else "query"


def _embedding(vector: TextVector) -> pb.Embedding:
    return pb.Embedding(values=vector.values.tolist(), tokens=vector.tokens)


def _backfill_response(model: LoadedModel, progress: Progress, paused: bool) -> pb.BackfillResponse:
    counts = [
        pb.KindCount(kind=KIND_NUMBERS[kind], count=count)
        for kind, count in progress.missing.items()
    ]
    return pb.BackfillResponse(
        missing=counts,
        missing_total=sum(progress.missing.values()),
        embedded=progress.embedded,
        remaining=progress.remaining,
        dead=progress.dead,
        model=model.identity.name,
        eta_seconds=progress.eta_seconds,
        finished=progress.finished,
        provider=model.provider,
        dimensions=model.identity.dimensions,
        texts_per_second=model.texts_per_second,
        self_test_cosine=model.self_test_cosine,
        paused=paused,
    )


def _watched(watched: Watched) -> pb.WatchGenerationResponse:
    return pb.WatchGenerationResponse(
        generation=_generation(watched.listed),
        missing=watched.missing,
        dead=watched.dead,
        vectors_per_second=watched.vectors_per_second,
        eta_seconds=watched.eta_seconds,
        index_phase=watched.index.phase,
        index_done=watched.index.done,
        recall_at_10=watched.recall.at_10,
        queries_compared=watched.recall.queries,
        finished=watched.finished,
        only_dead_missing=watched.only_dead_missing,
        missing_everywhere=watched.lack.missing,
        dead_everywhere=watched.lack.dead,
        dead_workspaces=watched.lack.dead_workspaces,
        paused_everywhere=watched.lack.paused,
        paused_workspaces=watched.lack.paused_workspaces,
    )


def _generation(listed: ListedGeneration) -> pb.Generation:
    generation, model = listed.generation, listed.generation.model
    message = pb.Generation(
        id=str(generation.id),
        model=model.name,
        digest=model.digest,
        dimensions=model.dimensions,
        query_prefix=model.query_prefix,
        passage_prefix=model.passage_prefix,
        state=_STATES[generation.state],
        vectors=listed.vectors,
        pooling=model.pooling,
        index_state=_INDEX_STATES[listed.index_state],
    )
    message.created_at.FromDatetime(generation.created_at)
    if generation.promoted_at:
        message.promoted_at.FromDatetime(generation.promoted_at)
    return message
