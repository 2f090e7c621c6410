"""The queries about generations, one typed function each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.common.database import Connection, Database, WrongValue, allowed
from services.common.errors import Conflict, ModelError, NotFound
from services.embedder.generations import Generation, ModelIdentity
from services.embedder.store import QUERIES

_LOCK_SECONDS = "500ms"
# How many tasks are looked at for those of a generation in one statement, which takes some tenths of a second.
FORGOTTEN_MAX = 10_000


@dataclass(frozen=True)
class IndexState:
    """none, invalid, building or ready; while it is built what PostgreSQL does, and how much is done, 0 to 1."""

    state: str
    phase: str
    done: float


@dataclass(frozen=True)
class ListedGeneration:
    """A generation with its index and the vectors that it has in one workspace; no index state if it is retired."""

    generation: Generation
    index_state: str | None
    vectors: int


async def start_generation(
    connection: Connection, model: ModelIdentity, segment_rows: int
) -> Generation:
    """Return the generation of a model, made with its partition if it is new, whose graphs are of so many vectors.

    Raises ModelError if the model has one whose vectors are of another length.
    """
    try:
        row = await connection.fetchrow(
            QUERIES["start_generation"],
            model.name,
            model.reference,
            model.digest,
            model.dimensions,
            model.pooling,
            model.query_prefix,
            model.passage_prefix,
            segment_rows,
        )
    except WrongValue as error:
        raise ModelError(str(error.args[0])) from error
    return _generation(row)


async def live_generations(connection: Connection) -> list[Generation]:
    """Return the generations that are building, serving or standing by."""
    return [_generation(row) for row in await connection.fetch(QUERIES["live_generations"])]


async def is_retired(connection: Connection, model: ModelIdentity) -> bool:
    """Return whether the generation of a model with these prefixes was retired, while another one serves."""
    retired: bool = await connection.fetchval(
        QUERIES["retired_generation"],
        model.digest,
        model.pooling,
        model.query_prefix,
        model.passage_prefix,
    )
    return retired


async def list_generations(
    connection: Connection,
    workspace: UUID,
    before: UUID | None,
    limit: int,
    only: UUID | None = None,
) -> list[ListedGeneration]:
    """Return generations, newest first, with how many vectors each has in the workspace."""
    rows = await connection.fetch(QUERIES["list_generations"], workspace, before, only, limit)
    return [ListedGeneration(_generation(r), r["index_state"], r["vectors"]) for r in rows]


async def describe_generation(
    connection: Connection, workspace: UUID, generation: UUID
) -> ListedGeneration:
    """Return a generation as a workspace sees it, or NotFound."""
    found = await list_generations(connection, workspace, None, 1, generation)
    if not found:
        raise NotFound("generation", str(generation))
    return found[0]


async def promote(connection: Connection, generation: UUID, *, force: bool) -> Generation:
    """Let searches read a generation; UnfitGeneration or NotFound."""
    async with allowed(generation):
        row = await connection.fetchrow(QUERIES["promote_generation"], generation, force)
    return _generation(row)


async def roll_back(connection: Connection, serving: UUID | None, *, force: bool) -> Generation:
    """Promote the generation that served last before this one; NotFound if none stands by, or UnfitGeneration.

    Raises Conflict if another generation serves than the one that is named, or if none is named and the one that
    served last is newer, as after a roll back. Nobody promotes one in between.
    """
    async with connection.transaction():
        await connection.execute(QUERIES["lock_generations"])
        known = await live_generations(connection)
        now = next((g for g in known if g.state == "serving"), None)
        if serving and (now is None or now.id != serving):
            raise Conflict(f"generation {serving} does not serve")
        served = [(g.promoted_at, g) for g in known if g.state == "standby" and g.promoted_at]
        if not served:
            raise NotFound("generation", "that served before")
        _, previous = max(served, key=lambda each: each[0])
        if now and not serving and previous.created_at > now.created_at:
            raise Conflict(_already(now, previous))
        return await promote(connection, previous.id, force=force)


def _already(now: Generation, previous: Generation) -> str:
    """Tell who asks twice what serves, and what would if this went on: 200 characters of it are told."""
    return (
        f"already rolled back: generation {now.id} serves, and {previous.id}, which served before, is newer; "
        "PromoteGeneration takes it again"
    )


async def retire(connection: Connection, generation: UUID) -> Generation:
    """End a generation once nobody writes to it; UnfitGeneration or NotFound."""
    async with connection.transaction():
        await connection.execute(QUERIES["lock_generation_alone"], generation)
        async with allowed(generation):
            row = await connection.fetchrow(QUERIES["retire_generation"], generation)
    return _generation(row)


async def forget_tasks(database: Database, generation: UUID) -> None:
    """Delete the tasks of a retired generation, a part at a time, however many others work on them in another order."""
    async with database.connection() as connection:
        rows = await connection.fetch(QUERIES["workspaces"])
    for row in rows:
        after: tuple[UUID, str] | None = (UUID(int=0), "")
        while after:
            after = await _forget_part(database, generation, row["workspace_id"], after)


async def _forget_part(
    database: Database, generation: UUID, workspace: UUID, after: tuple[UUID, str]
) -> tuple[UUID, str] | None:
    """Delete those of the next tasks of a workspace; return the key of the last of these, None if there was none."""

    async def attempt() -> tuple[UUID, str] | None:
        async with database.connection() as connection:
            place = (generation, workspace, *after, FORGOTTEN_MAX)
            row = await connection.fetchrow(QUERIES["forget_generation"], *place)
        return (row["subject_id"], row["spec"]) if row else None

    return await database.retrying(attempt)


async def wake_parked(connection: Connection, generations: Sequence[UUID], limit: int) -> int:
    """Make up to so many tasks due that were parked for the models of these generations; return how many."""
    woken: int = await connection.fetchval(QUERIES["wake_parked"], generations, limit)
    return woken


async def wake_failing(connection: Connection, generation: UUID, limit: int) -> int:
    """Make up to so many tasks due that wait for a generation's model to answer; return how many."""
    woken: int = await connection.fetchval(QUERIES["wake_failing"], generation, limit)
    return woken


async def undropped(connection: Connection) -> dict[UUID, float]:
    """Return the retired generations that still have vectors, and for how many seconds each has been retired.

    One that was retired before the time of it was kept has been so for ever.
    """
    rows = await connection.fetch(QUERIES["undropped_generations"])
    ages = {row["id"]: row["retired_seconds"] for row in rows}
    return {generation: math.inf if age is None else age for generation, age in ages.items()}


async def drop(connection: Connection, generation: UUID) -> None:
    """Drop the vectors of a retired generation; LockedTooLong if somebody keeps reading vectors for long."""
    async with connection.transaction():
        await connection.execute("select set_config('lock_timeout', $1, true)", _LOCK_SECONDS)
        await connection.execute(QUERIES["drop_generation"], generation)


async def index_state(connection: Connection, generation: UUID) -> IndexState:
    """Return how far the index of a generation is."""
    (row,) = await connection.fetch(QUERIES["index_state"], generation)
    total = row["total"] or 0
    return IndexState(row["state"], row["phase"] or "", row["done"] / total if total else 0.0)


async def lock_for_writing(connection: Connection, generation: UUID) -> bool:
    """Keep a generation from being retired until this transaction ends; false if it already is."""
    await connection.execute(QUERIES["lock_generation"], generation)
    return await is_live(connection, generation)


async def is_live(connection: Connection, generation: UUID) -> bool:
    """Return whether a generation is there and not retired."""
    live: bool = await connection.fetchval(QUERIES["is_live"], generation)
    return live


async def is_backfill_paused(connection: Connection, workspace: UUID) -> bool:
    """Return whether the backfill of a workspace is held back."""
    paused: bool = await connection.fetchval(QUERIES["is_backfill_paused"], workspace)
    return paused


async def pause_backfill(connection: Connection, workspace: UUID, *, paused: bool) -> None:
    """Hold the backfill of a workspace back, or let it go on."""
    await connection.execute(QUERIES["pause_backfill"], workspace, paused)


async def resume_backfills(connection: Connection) -> int:
    """Let the backfills of all workspaces go on; return how many were held back."""
    resumed: int = await connection.fetchval(QUERIES["resume_backfills"])
    return resumed


def _generation(row: Any) -> Generation:
    identity = ModelIdentity(
        row["model"],
        row["digest"],
        row["dimensions"],
        row["pooling"],
        row["query_prefix"],
        row["passage_prefix"],
        row["reference"],
    )
    return Generation(row["id"], identity, row["state"], row["created_at"], row["promoted_at"])
