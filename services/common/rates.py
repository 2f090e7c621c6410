"""How much a workspace may ask for: calls and messages a second, and what language models may cost it a day."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from pydantic import Field

from services.common.errors import RateLimited
from services.common.settings import Settings

BUCKETS_MAX = 10_000


class QuotaSettings(Settings):
    """Quotas of every workspace; 0 is none. Rates hold for each process, the tokens for the whole deployment."""

    rate_calls_per_second: float = Field(default=0, ge=0)
    rate_messages_per_second: float = Field(default=0, ge=0)
    rate_burst_seconds: float = Field(
        default=5, gt=0, le=3600, description="so many seconds' worth may come at once"
    )
    llm_tokens_per_day: int = Field(default=0, ge=0, description="from midnight to midnight, UTC")


class Rate:
    """A bucket of tokens for each workspace: an empty one refuses, and refills at the rate."""

    def __init__(
        self,
        what: str,
        per_second: float,
        burst_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._per_second, self._clock = what, per_second, clock
        self._capacity = max(1.0, per_second * burst_seconds)
        self._buckets: dict[UUID, tuple[float, float]] = {}

    def take(self, workspace: UUID, count: int = 1) -> None:
        """Take from the bucket, below zero if it must be, or raise RateLimited if it is empty."""
        if wait := self._try(workspace, count):
            raise RateLimited(f"too many {self._what} of this workspace", wait)

    async def wait(self, workspace: UUID, count: int) -> None:
        """Take from the bucket once it is not empty: a stream is slowed down, not cut off."""
        while wait := self._try(workspace, count):  # noqa: ASYNC110 - time fills the bucket
            await asyncio.sleep(wait)

    def _try(self, workspace: UUID, count: int) -> float:
        """Take; return the seconds to wait instead if the bucket is empty."""
        if not self._per_second:
            return 0
        now = self._clock()
        level, at = self._buckets.pop(workspace, (self._capacity, now))
        level = min(self._capacity, level + (now - at) * self._per_second)
        allowed = level >= 1
        # The last one used stands last, so that the first is the one to forget.
        self._buckets[workspace] = (level - count if allowed else level, now)
        if len(self._buckets) > BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
        return 0 if allowed else max((1 - level) / self._per_second, 0.001)
