"""Opens the models of generations: finds the file, loads it, and believes it only after its self-test."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from services.common.llama import EmbeddingModel
from services.common.models import ModelStore, ResolvedModel
from services.embedder.embedding import Encoder
from services.embedder.generations import ModelIdentity

_SELF_TEST_TEXTS = 12


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready, and what runs it.

    Its self-test read so many short texts a second; the cosine is the worst between texts read together and alone.
    """

    identity: ModelIdentity
    encoder: Encoder
    texts_per_second: float
    provider: str = "llama.cpp"
    self_test_cosine: float = 1.0


ModelOpener = Callable[[str], AbstractAsyncContextManager[LoadedModel]]
"""Opens the model of a name or path; ModelError if that cannot be done."""


class GgufModels:
    """Opens GGUF models in this process."""

    def __init__(
        self, files: ModelStore, contexts: int, threads: int, *, exact: bool = False
    ) -> None:
        self._files, self._contexts, self._threads = files, contexts, threads
        self._exact = exact

    @asynccontextmanager
    async def open(self, model: str) -> AsyncIterator[LoadedModel]:
        """Load the model of a name or path, check it, and free it at the end."""
        resolved = await asyncio.to_thread(self._files.resolve, model, "embedding")
        encoder = await self._load(resolved)
        try:
            started = time.perf_counter()
            report = await encoder.self_test(resolved.dimensions)
            rate = _SELF_TEST_TEXTS / (time.perf_counter() - started)
            identity = _identity(resolved, model)
            yield LoadedModel(identity, encoder, rate, self_test_cosine=report.cosine)
        finally:
            await asyncio.to_thread(encoder.close)

    async def _load(self, resolved: ResolvedModel) -> EmbeddingModel:
        """Load a model in a thread; who leaves meanwhile leaves it to be closed, since nobody else knows of it."""
        loading = asyncio.ensure_future(
            asyncio.to_thread(
                EmbeddingModel.open,
                resolved.path,
                contexts=self._contexts,
                threads=self._threads,
                exact=self._exact,
            )
        )
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            loading.add_done_callback(_close_unwanted)
            raise


def _close_unwanted(loading: "asyncio.Future[EmbeddingModel]") -> None:
    """Free what was loaded for nobody; no thread uses it, so there is nothing to wait for."""
    if not loading.cancelled() and loading.exception() is None:
        loading.result().close()


def _identity(resolved: ResolvedModel, reference: str) -> ModelIdentity:
    return ModelIdentity(
        resolved.name,
        resolved.digest,
        resolved.dimensions,
        resolved.pooling,
        resolved.query_prefix,
        resolved.passage_prefix,
        reference,
    )
