"""The vector of a query: given by the caller, or asked from the embedder in the caller's name."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import grpc
import numpy as np
import numpy.typing as npt

from services.common import tracing
from services.common.channels import Link
from services.common.errors import FieldViolation, InvalidFields, ModelUnavailable, Unanswered
from services.common.vectors import to_halfvecs
from services.search.silence import Silence
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub

log = logging.getLogger(__name__)

_FIELD: Final = "query_vector"

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A vector as the database takes it; the generation that it is of is None if the caller brought it."""

    value: bytes
    dimensions: int
    generation: UUID | None


class GenerationGone(ModelUnavailable):
    """The generation that a query was to be embedded for serves no longer and is retired."""


class QueryVectors:
    """Asks EmbedderService."""

    def __init__(self, embedder: Link[EmbedderServiceStub], deadline_seconds: float) -> None:
        self._embedder, self._deadline_seconds = embedder, deadline_seconds
        self._silence = Silence()

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, deadline_seconds: float) -> AsyncIterator["QueryVectors"]:
        """Open a channel to the embedder, which need not be up yet."""
        link = Link(address, EmbedderServiceStub)
        vectors = cls(link, deadline_seconds)
        try:
            yield vectors
        finally:
            vectors._silence.close()
            await link.close()

    async def of(self, text: str, authorization: str, generation: UUID | None) -> QueryVector:
        """Embed a query for a generation.

        Raises GenerationGone if it is retired, and ModelUnavailable when the embedder does not answer in time: at once
        while it has not answered others.
        """
        return await self._silence.ask(lambda: self._ask(text, authorization, generation))

    async def of_all(
        self, texts: Iterable[str], authorization: str, generation: UUID
    ) -> list[QueryVector]:
        """Embed several texts at once; the first that fails ends the others, whose vectors nobody wants any more."""
        try:
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(self.of(text, authorization, generation)) for text in texts
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [each.result() for each in asked]

    async def _ask(self, text: str, authorization: str, generation: UUID | None) -> QueryVector:
        wanted = str(generation) if generation else ""
        request = pb.EmbedRequest(text=text, role=pb.TEXT_ROLE_QUERY, generation_id=wanted)
        try:
            reply = await self._embedder.stub().Embed(
                request,
                metadata=(("authorization", authorization), *tracing.metadata()),
                timeout=self._deadline_seconds,
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise GenerationGone("the serving generation has changed") from error
            log.warning("embedder: %s: %s", error.code().name, error.details())
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise Unanswered("the embedder does not answer", was_silent=True) from error
            raise ModelUnavailable("the embedder does not answer") from error
        return encode(reply.embedding.values, UUID(reply.generation_id))


def given(values: Iterable[float]) -> QueryVector:
    """Check and encode a vector that the caller brought."""
    array = np.array(values, np.float64)
    largest = float(max(array.max(), -array.min()))
    if not math.isfinite(largest):
        raise InvalidFields(FieldViolation(_FIELD, "every number must be finite"))
    if not largest:
        raise InvalidFields(FieldViolation(_FIELD, "a vector of zeros has no direction"))
    return encode(array, None)


def check_dimensions(vector: QueryVector, dimensions: int) -> None:
    """Raise InvalidFields unless the vector fits the generation that serves."""
    if vector.dimensions != dimensions:
        description = f"has {vector.dimensions} numbers, but the serving generation has {dimensions} dimensions"
        raise InvalidFields(FieldViolation(_FIELD, description))


def encode(values: Iterable[float] | Vector, generation: UUID | None) -> QueryVector:
    """Scale a vector to unit length, so that halfvec can hold it; no number is so small or large that it is lost."""
    array = np.array(values, np.float64)
    array /= max(array.max(), -array.min())
    array /= math.sqrt(float(array @ array))
    unit = array.astype(np.float32).reshape(1, -1)
    return QueryVector(to_halfvecs(unit)[0], len(array), generation)
