"""The generations of vectors that live beside each other, and the model of each that this process has."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.common.errors import ModelUnavailable, NoServingGeneration
from services.embedder.embedding import Encoder


@dataclass(frozen=True)
class ModelIdentity:
    """What makes two models give the same vectors, and the name people know it by; digest is the file's sha256."""

    name: str
    digest: str
    dimensions: int
    pooling: str
    query_prefix: str
    passage_prefix: str


@dataclass(frozen=True)
class Generation:
    """All vectors that one model makes; state is building, serving or retired."""

    id: UUID
    model: ModelIdentity
    state: str
    created_at: datetime


class Generations:
    """The live generations as last read, and an encoder for each model file that is here."""

    def __init__(
        self,
        read_live: Callable[[], Awaitable[Sequence[Generation]]],
        encoders: Mapping[str, Encoder],
    ) -> None:
        self._read_live = read_live
        self._encoders = encoders
        self._live: Mapping[UUID, Generation] = {}

    async def refresh(self) -> Sequence[Generation]:
        """Read and return the live generations: another process may have started or promoted one."""
        live = await self._read_live()
        self._live = {generation.id: generation for generation in live}
        return live

    async def find(self, generation: UUID) -> Generation | None:
        """Return a live generation; one that is unknown is looked up before it is called retired."""
        if generation not in self._live:
            await self.refresh()
        return self._live.get(generation)

    def encoder(self, generation: Generation) -> Encoder | None:
        """Return the model of a generation if this process has it."""
        return self._encoders.get(generation.model.digest)

    def serving(self) -> tuple[Generation, Encoder]:
        """Return what searches use; NoServingGeneration or ModelUnavailable if there is none."""
        serving = next((g for g in self._live.values() if g.state == "serving"), None)
        if serving is None:
            raise NoServingGeneration
        encoder = self.encoder(serving)
        if encoder is None:
            raise ModelUnavailable(
                f"the embedder does not have the serving model {serving.model.name}"
            )
        return serving, encoder
