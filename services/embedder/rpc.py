"""EmbedderService: queries embedded at once, backfills watched, generations listed."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from services.common import pages
from services.common.database import Database
from services.common.rpc import current_caller
from services.embedder import store
from services.embedder.backfill import BATCH_SIZE_DEFAULT, Backfill, Progress
from services.embedder.debts import Debts
from services.embedder.generations import Generation, Generations
from services.embedder.queries import QueryEmbedder, Role, TextVector
from services.embedder.specs import KINDS
from services.embedder.subscriptions import KIND_NUMBERS
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1 import embedder_pb2_grpc

SCOPES = {"Embed": "read", "EmbedBatch": "read", "Backfill": "admin", "ListGenerations": "read"}
_KIND_NAMES = {number: name for name, number in KIND_NUMBERS.items()}
_STATES = {
    "building": pb.GENERATION_STATE_BUILDING,
    "serving": pb.GENERATION_STATE_SERVING,
    "retired": pb.GENERATION_STATE_RETIRED,
}


class EmbedderRpc(embedder_pb2_grpc.EmbedderServiceServicer):
    """Translates between the contract and the domain."""

    def __init__(
        self,
        database: Database,
        queries: QueryEmbedder,
        debts: Debts,
        generations: Generations,
        rates: Mapping[str, float],
    ) -> None:
        self._database, self._queries, self._debts = database, queries, debts
        self._generations, self._rates = generations, rates

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Embed one text."""
        generation, vectors = await self._queries.embed([request.text], _role(request.role))
        return pb.EmbedResponse(embedding=_embedding(vectors[0]), generation_id=str(generation.id))

    async def EmbedBatch(
        self, request: pb.EmbedBatchRequest, context: Any
    ) -> pb.EmbedBatchResponse:
        """Embed texts, in order."""
        generation, vectors = await self._queries.embed(request.texts, _role(request.role))
        return pb.EmbedBatchResponse(
            embeddings=map(_embedding, vectors), generation_id=str(generation.id)
        )

    async def Backfill(
        self, request: pb.BackfillRequest, context: Any
    ) -> AsyncIterator[pb.BackfillResponse]:
        """Count what is missing, or have it embedded and stream progress."""
        generation, _ = self._generations.serving()
        kinds = [_KIND_NAMES[kind] for kind in request.kinds] or list(KINDS)
        rate = self._rates[generation.model.digest]
        workspace = current_caller().workspace
        backfill = Backfill(self._debts, workspace, generation, kinds, rate)
        if request.dry_run:
            yield _backfill_response(generation, await backfill.plan())
            return
        async for progress in backfill.run(request.batch_size or BATCH_SIZE_DEFAULT):
            yield _backfill_response(generation, progress)

    async def ListGenerations(
        self, request: pb.ListGenerationsRequest, context: Any
    ) -> pb.ListGenerationsResponse:
        """List generations, newest first."""
        size = pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        before = position.uuid(0) if position else None
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            found = await store.list_generations(connection, workspace, before, size + 1)
        page = found[:size]
        token = pages.encode(request, [str(page[-1][0].id)]) if len(found) > size else ""
        return pb.ListGenerationsResponse(
            generations=[_generation(*each) for each in page], next_page_token=token
        )


def _role(role: "pb.TextRole.ValueType") -> Role:
    return "passage" if role == pb.TEXT_ROLE_PASSAGE else "query"


def _embedding(vector: TextVector) -> pb.Embedding:
    return pb.Embedding(values=vector.values.tolist(), tokens=vector.tokens)


def _backfill_response(generation: Generation, progress: Progress) -> pb.BackfillResponse:
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
        model=generation.model.name,
        eta_seconds=progress.eta_seconds,
        finished=progress.finished,
    )


def _generation(generation: Generation, vectors: int) -> pb.Generation:
    model = generation.model
    message = pb.Generation(
        id=str(generation.id),
        model=model.name,
        digest=model.digest,
        dimensions=model.dimensions,
        query_prefix=model.query_prefix,
        passage_prefix=model.passage_prefix,
        state=_STATES[generation.state],
        vectors=vectors,
        pooling=model.pooling,
    )
    message.created_at.FromDatetime(generation.created_at)
    return message
