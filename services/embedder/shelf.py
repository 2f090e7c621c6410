"""The models that this process has open: one for each live generation, opened and closed as generations come and go."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from services.common.errors import InvalidSetting, ModelError, ModelUnavailable
from services.common.vectors import DIMENSIONS_MAX
from services.embedder.embedding import Encoder
from services.embedder.generations import Generation
from services.embedder.models import LoadedModel, ModelOpener

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 60.0


class Shelf:
    """Opened models by digest. A model is opened once however many generations use it."""

    def __init__(
        self, open_model: ModelOpener, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_model, self._clock = open_model, clock
        self._models: dict[str, tuple[LoadedModel, AsyncExitStack]] = {}
        self._used_at: dict[str, float] = {}
        self._failed_until: dict[str, float] = {}
        self._changing = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, open_model: ModelOpener) -> AsyncIterator["Shelf"]:
        """Begin with no model, and close all at the end."""
        shelf = cls(open_model)
        try:
            yield shelf
        finally:
            await shelf.keep(())

    def model(self, digest: str) -> LoadedModel | None:
        """Return a model that is open."""
        found = self._models.get(digest)
        return found[0] if found else None

    def encoder(self, digest: str) -> Encoder | None:
        """Return the encoder of a model that is open."""
        found = self.model(digest)
        return found.encoder if found else None

    async def add(self, reference: str) -> LoadedModel:
        """Open a model, which tests itself; one that is open already is returned.

        Raises ModelError, ModelUnavailable, InvalidSetting, or OSError for a file that cannot be read any more.
        """
        async with self._changing:
            stack = AsyncExitStack()
            model = await stack.enter_async_context(self._open_model(reference))
            if model.encoder.dimensions > DIMENSIONS_MAX:
                await stack.aclose()
                raise ModelError(
                    f"{reference}: gives vectors of {model.encoder.dimensions} dimensions; at most {DIMENSIONS_MAX} "
                    "can be searched"
                )
            self._used_at[model.identity.digest] = self._clock()
            known = self.model(model.identity.digest)
            if known is not None:
                await stack.aclose()
                return known
            self._models[model.identity.digest] = (model, stack)
            return model

    async def follow(self, live: Sequence[Generation]) -> None:
        """Open what the live generations need and is not here; what cannot be opened is said and tried again later."""
        for generation in live:
            digest = generation.model.digest
            if self.model(digest) or self._failed_until.get(digest, 0) > self._clock():
                continue
            await self._follow(generation)

    async def _follow(self, generation: Generation) -> None:
        model = generation.model
        try:
            opened = await self.add(model.reference or model.name)
        except (ModelError, ModelUnavailable, InvalidSetting, OSError) as error:
            reason = str(error)
        else:
            found, wanted = opened.encoder.dimensions, model.dimensions
            if opened.identity.digest == model.digest and found == wanted:
                return
            reason = f"the model called {model.name} is now another one"
            if found != wanted:
                reason += f": it gives {found} dimensions, not {wanted}"
            if opened.identity.digest == model.digest:
                await self._close(model.digest)
        self._failed_until[model.digest] = self._clock() + _RETRY_SECONDS
        log.error(
            "generation %s is %s, but its model is missing, so its vectors are not kept up%s; "
            "fetch the model %s, or set WINNOW_EMBEDDING_MODEL to its file: %s",
            generation.id,
            generation.state,
            " and queries fail" if generation.state == "serving" else "",
            model.name,
            reason,
        )

    async def keep(self, live: Sequence[Generation], unused_seconds: float = 0) -> None:
        """Close the models that none of these generations uses, and that were opened or used so long ago."""
        async with self._changing:
            now, used = self._clock(), {generation.model.digest for generation in live}
            for digest in list(self._models):
                if digest in used:
                    self._used_at[digest] = now
                elif now - self._used_at[digest] >= unused_seconds:
                    await self._remove(digest)

    async def _close(self, digest: str) -> None:
        async with self._changing:
            await self._remove(digest)

    async def _remove(self, digest: str) -> None:
        del self._used_at[digest]
        _, stack = self._models.pop(digest)
        await stack.aclose()
