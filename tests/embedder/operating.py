"""An operator of generations, and the models that can be asked for."""

import grpc

from services.common.database import Database
from services.embedder import generation_store
from services.embedder.generations import Generations
from tests.conftest import Deployment
from tests.embedder.conftest import Chat
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub


async def open_generations(database: Database) -> Generations:
    """The generations of a deployment, as a replica without models sees them."""

    async def read_live() -> list[generation_store.Generation]:
        async with database.connection() as connection:
            return await generation_store.live_generations(connection)

    return Generations(read_live, lambda _: None)


async def vector_counts(chat: Chat, counts: list[int]) -> bool:
    """Whether generations, the oldest first, have so many vectors."""
    rows = await chat.admin.fetch(
        "select count(*) as n from embedder.vector group by generation_id order by generation_id"
    )
    return [row["n"] for row in rows] == counts


class Operator:
    """Calls the RPCs about generations."""

    def __init__(self, channel: grpc.aio.Channel, deployment: Deployment) -> None:
        self._stub, self._metadata = EmbedderServiceStub(channel), deployment.metadata

    async def start(self, model: str, **fields: str) -> pb.Generation:
        """Start a generation."""
        request = pb.StartGenerationRequest(model=model, **fields)
        return (await self._stub.StartGeneration(request, metadata=self._metadata)).generation

    async def watch(self, generation: str) -> pb.WatchGenerationResponse:
        """Return the last message of a watch."""
        request = pb.WatchGenerationRequest(generation_id=generation)
        *_, last = [r async for r in self._stub.WatchGeneration(request, metadata=self._metadata)]
        return last

    async def promote(self, generation: str, *, force: bool = False) -> pb.Generation:
        """Promote a generation."""
        request = pb.PromoteGenerationRequest(generation_id=generation, force=force)
        return (await self._stub.PromoteGeneration(request, metadata=self._metadata)).generation

    async def roll_back(self, serving: str = "") -> pb.Generation:
        """Promote the one before."""
        request = pb.RollBackGenerationRequest(generation_id=serving)
        return (await self._stub.RollBackGeneration(request, metadata=self._metadata)).generation

    async def resume(self) -> int:
        """Let all backfills go on; return how many were paused."""
        request = pb.ResumeBackfillsRequest()
        response = await self._stub.ResumeBackfills(request, metadata=self._metadata)
        return int(response.workspaces)

    async def retire(self, generation: str) -> pb.Generation:
        """Retire a generation."""
        request = pb.RetireGenerationRequest(generation_id=generation)
        return (await self._stub.RetireGeneration(request, metadata=self._metadata)).generation

    async def embed(self, text: str, generation: str = "") -> pb.EmbedResponse:
        """Embed a query."""
        request = pb.EmbedRequest(text=text, generation_id=generation)
        return await self._stub.Embed(request, metadata=self._metadata)

    async def listed(self) -> dict[str, pb.Generation]:
        """All generations by model."""
        request = pb.ListGenerationsRequest()
        response = await self._stub.ListGenerations(request, metadata=self._metadata)
        return {generation.model: generation for generation in response.generations}
