"""Which engine and model read conversations, how their provider is, and what a workspace has spent on it today."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from services.common import sql
from services.common.breaker import Breaker
from services.common.database import Database
from services.extractor.aptitude import Aptitude
from services.extractor.combined import Capability
from services.extractor.rendering import number, timestamp
from winnow.extractor.v1 import extractor_pb2 as pb

QUERIES = sql.load(Path(__file__).with_name("providing.sql"))


@dataclass(frozen=True, slots=True)
class Provider:
    """What an extractor reads with; `aptitude` looks up what was measured of the model that is set.

    `where` runs the model: `llama.cpp`, or the host of a URL. The breaker is that of the stage which calls it.
    """

    engine: str
    version: str
    model: str = ""
    where: str = ""
    capability: Capability | Literal["extract"] = "none"
    tokens_per_day: int = 0
    aptitude: Callable[[], Aptitude | None] = lambda: None
    breaker: Breaker = field(default_factory=Breaker)


async def status(
    database: Database, workspace: UUID, provider: Provider
) -> pb.GetProviderStatusResponse:
    """How the provider is now, for a workspace."""
    # To know the model its file is read, which may take half a second.
    measured = await asyncio.to_thread(provider.aptitude)
    async with database.transaction(workspace) as connection:
        spent: Any = await connection.fetchrow(QUERIES["spent_today"], workspace)
    breaker = provider.breaker
    wait_seconds = breaker.wait_seconds()
    response = pb.GetProviderStatusResponse(
        engine=provider.engine,
        engine_version=provider.version,
        model=provider.model,
        provider=provider.where,
        capability=number(pb.Capability, provider.capability),
        breaker_state=number(pb.BreakerState, "open" if wait_seconds else "closed"),
        retry_seconds=wait_seconds,
        failures=breaker.failures,
        last_error=breaker.last_error,
        last_error_at=timestamp(breaker.last_error_at),
        tokens_in_today=spent["tokens_in"],
        tokens_out_today=spent["tokens_out"],
        model_calls_today=spent["model_calls"],
        tokens_per_day=provider.tokens_per_day,
        runs_failed_today=spent["failed"],
    )
    if measured is not None:
        response.aptitude.CopyFrom(
            pb.Aptitude(
                tells=measured.tells,
                headlines=measured.headlines,
                invalid=measured.invalid,
                tokens_per_second=measured.tokens_per_second,
            )
        )
    return response
