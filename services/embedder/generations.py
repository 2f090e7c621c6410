"""The generations of vectors that live beside each other, and the model of each that this process has."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.common.errors import ModelUnavailable, NoServingGeneration, NotFound
from services.embedder.embedding import Encoder


@dataclass(frozen=True)
class ModelIdentity:
    """What makes two models give the same vectors, and the name people know it by; digest is the file's sha256.

    The reference is what opens the model again: a name of the registry, a path, or `openai:` and a name.
    """

    name: str
    digest: str
    dimensions: int
    pooling: str
    query_prefix: str
    passage_prefix: str
    reference: str = field(default="", compare=False)


@dataclass(frozen=True)
class Generation:
    """All vectors that one model makes; state is building, serving, standby or retired."""

    id: UUID
    model: ModelIdentity
    state: str
    created_at: datetime
    promoted_at: datetime | None = field(default=None, compare=False)


class Generations:
    """The live generations as last read, and the encoders of their models."""

    def __init__(
        self,
        read_live: Callable[[], Awaitable[Sequence[Generation]]],
        encoder_of: Callable[[str], Encoder | None],
    ) -> None:
        self._read_live, self._encoder_of = read_live, encoder_of
        self._live: dict[UUID, Generation] = {}
        # How many reads have begun, and which of them is known: one that began earlier may end later.
        self._begun, self._known = 0, 0

    @property
    def live(self) -> Collection[UUID]:
        """The ids of the live generations as last read."""
        return self._live.keys()

    async def refresh(self) -> Sequence[Generation]:
        """Read and return the live generations: another process may have started or promoted one."""
        self._begun += 1
        this = self._begun
        live = await self._read_live()
        if this > self._known:
            self._known, self._live = this, {generation.id: generation for generation in live}
        return live

    async def find(self, generation: UUID) -> Generation | None:
        """Return a live generation; one that is unknown is looked up before it is called retired."""
        if generation not in self._live:
            await self.refresh()
        return self._live.get(generation)

    def encoder(self, generation: Generation) -> Encoder | None:
        """Return the model of a generation if this process has it, and it still is what it was."""
        found = self._encoder_of(generation.model.digest)
        return found if found and found.dimensions == generation.model.dimensions else None

    async def wanted(self, generation: UUID | None) -> tuple[Generation, Encoder]:
        """Return a live generation, or the one that searches use, with its model.

        Raises NotFound, NoServingGeneration or ModelUnavailable.
        """
        if generation is None:
            return self.serving()
        found = await self.find(generation)
        if found is None:
            raise NotFound("live generation", str(generation))
        return found, self._require(found)

    def serving(self) -> tuple[Generation, Encoder]:
        """Return what searches use; NoServingGeneration or ModelUnavailable if there is none."""
        serving = next((g for g in self._live.values() if g.state == "serving"), None)
        if serving is None:
            raise NoServingGeneration
        return serving, self._require(serving)

    def _require(self, generation: Generation) -> Encoder:
        encoder = self.encoder(generation)
        if encoder is None:
            raise ModelUnavailable(
                f"the embedder does not have the {generation.state} model {generation.model.name}"
            )
        return encoder
