"""The model that WINNOW_EMBEDDING_MODEL names: opened at the start, or as soon as it answers if another one serves."""

import asyncio
import logging
from collections.abc import Sequence

from services.common import metrics
from services.common.database import Database
from services.common.errors import (
    InvalidSetting,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    Unavailable,
)
from services.embedder import generation_store
from services.embedder.generations import Generation, Generations
from services.embedder.models import LoadedModel
from services.embedder.shelf import Shelf

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0


class ConfiguredModel:
    """A model of the settings, and its generation, which is made if there is none."""

    def __init__(
        self,
        reference: str,
        database: Database,
        generations: Generations,
        shelf: Shelf,
        segment_rows: int,
    ) -> None:
        self._reference, self._database = reference, database
        self._generations, self._shelf, self._segment_rows = generations, shelf, segment_rows
        self._missing = metrics.MODEL_MISSING.labels(reference)
        self._is_open = False

    async def open(self) -> None:
        """Open it, or be content to await it: if it does not answer and searches have the model of another generation.

        Raises ModelError, ModelUnavailable or InvalidSetting.
        """
        try:
            await self._open()
        except ModelRefused:
            raise
        except ModelUnavailable as error:
            if not await self._another_serves():
                raise
            self._tell(error)

    async def wait(self) -> None:
        """Until it is open: try again, while others are served with what there is."""
        while not self._is_open:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                await self._open()
            except (ModelError, InvalidSetting, Unavailable, OSError) as error:
                self._tell(error)

    async def _open(self) -> None:
        """Open the model and its generation; one that was retired while another serves stays retired."""
        model = await self._shelf.add(self._reference)
        async with self._database.connection() as connection:
            _check_dimensions(model, await generation_store.live_generations(connection))
            if await generation_store.is_retired(connection, model.identity):
                log.warning(
                    "WINNOW_EMBEDDING_MODEL: %s was retired and is not used", model.identity.name
                )
            else:
                own = await generation_store.start_generation(
                    connection, model.identity, self._segment_rows
                )
                log.info("model %s: generation %s is %s", model.identity.name, own.id, own.state)
        self._is_open = True
        self._missing.set(0)

    async def _another_serves(self) -> bool:
        """Open the model that searches use; false if it is this one, or not here either."""
        live = await self._generations.refresh()
        others = [g for g in live if g.state == "serving" and g.model.reference != self._reference]
        await self._shelf.follow(others)
        return any(self._generations.encoder(generation) for generation in others)

    def _tell(self, error: Exception) -> None:
        self._missing.set(1)
        log.error(
            "WINNOW_EMBEDDING_MODEL: %s is missing, so its generation gets no vectors; another one serves, and this is "
            "tried again in %g s: %s",
            self._reference,
            AGAIN_SECONDS,
            error,
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
