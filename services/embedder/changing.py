"""Changes of generations: started, promoted, rolled back and retired, while everything is served."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import (
    FieldViolation,
    InvalidFields,
    InvalidSetting,
    ModelError,
    ModelRefused,
    ModelUnavailable,
)
from services.common.models import UnknownModel
from services.embedder import generation_store as store
from services.embedder.embedding import Encoder
from services.embedder.generations import Generation, Generations
from services.embedder.remote import PREFIX
from services.embedder.shelf import Shelf

T = TypeVar("T")

_PATHS = ("/", "\\", ".", "~")


class Changes:
    """What an operator does to the generations of a deployment."""

    def __init__(
        self,
        database: Database,
        generations: Generations,
        shelf: Shelf,
        segment_rows: int,
        kick: Callable[[], None],
    ) -> None:
        self._database, self._generations, self._shelf = database, generations, shelf
        self._segment_rows, self._kick = segment_rows, kick

    async def start(
        self, model: str, query_prefix: str | None, passage_prefix: str | None
    ) -> Generation:
        """Open a model and its generation, and have it filled.

        Raises InvalidFields for a model that cannot be used, and ModelUnavailable for one whose provider is away.
        """
        _check_reference(model)
        try:
            started = await self._start(model, query_prefix, passage_prefix)
        except UnknownModel as error:
            description = f"unknown model {error.name!r}: {_accepted(error.known)}"
            raise InvalidFields(FieldViolation("model", description)) from error
        except (ModelError, ModelRefused, InvalidSetting) as error:
            raise InvalidFields(FieldViolation("model", str(error))) from error
        except ModelUnavailable as error:
            text = f"{model} cannot be tested now: {error}"
            raise ModelUnavailable(text, error.retry_seconds) from error
        self._kick()
        return started

    async def _start(
        self, model: str, query_prefix: str | None, passage_prefix: str | None
    ) -> Generation:
        loaded = await self._shelf.add(model)
        identity = loaded.identity
        if query_prefix is not None:
            identity = replace(identity, query_prefix=query_prefix)
        if passage_prefix is not None:
            identity = replace(identity, passage_prefix=passage_prefix)
        _check_room(loaded.encoder, "query_prefix", identity.query_prefix)
        _check_room(loaded.encoder, "passage_prefix", identity.passage_prefix)
        return await self._change(
            lambda connection: store.start_generation(connection, identity, self._segment_rows)
        )

    async def promote(self, generation: UUID, *, force: bool) -> Generation:
        """Let searches read a generation; UnfitGeneration or NotFound."""
        return await self._change(
            lambda connection: store.promote(connection, generation, force=force)
        )

    async def roll_back(self, serving: UUID | None = None, *, force: bool) -> Generation:
        """Promote the generation that served last before this one; NotFound if none stands by.

        Raises Conflict if another generation serves than the one that is named.
        """
        return await self._change(
            lambda connection: store.roll_back(connection, serving, force=force)
        )

    async def retire(self, generation: UUID) -> Generation:
        """End a generation that does not serve; its vectors are dropped by Upkeep."""
        retired = await self._change(lambda connection: store.retire(connection, generation))
        await store.forget_tasks(self._database, generation)
        return retired

    async def resume_backfills(self) -> int:
        """Let the backfills of all workspaces go on, which hold generations back; return how many were held back."""
        return await self._change(store.resume_backfills)

    async def _change(self, change: Callable[[Connection], Awaitable[T]]) -> T:
        async def attempt() -> T:
            async with self._database.connection() as connection:
                return await change(connection)

        changed = await self._database.retrying(attempt)
        await self._generations.refresh()
        return changed


def _check_reference(model: str) -> None:
    """Raise InvalidFields for a path: a caller may not make the service read the files of its machine."""
    if model.startswith(PREFIX):
        return
    if model.startswith(_PATHS) or "/" in model or model.endswith(".gguf"):
        description = f"name a model that the service knows, or {PREFIX}NAME; not a file"
        raise InvalidFields(FieldViolation("model", description))


def _accepted(known: Sequence[str]) -> str:
    """What a caller may name, which no file of the service's machine is."""
    names = ", ".join(known)
    return f"name one of {names}, or {PREFIX}NAME for a model at the service's WINNOW_EMBEDDING_URL"


def _check_room(encoder: Encoder, field: str, prefix: str) -> None:
    """Raise InvalidFields for a prefix after which the model has no room for a part of a long text."""
    try:
        encoder.split_texts(["word " * encoder.context_tokens], prefix)
    except (ModelError, InvalidSetting) as error:
        raise InvalidFields(FieldViolation(field, str(error))) from error
