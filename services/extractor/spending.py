"""What language models may cost a workspace a day: beyond it extraction waits, and nothing is lost."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from services.common import sql
from services.common.database import Database
from services.common.errors import Postponed
from services.extractor.extraction import Completed, Model

QUERIES = sql.load(Path(__file__).with_name("spending.sql"))
# How long it may take until a quota that was raised is noticed.
WAIT_SECONDS_MAX = 900.0


def now() -> datetime:
    """The time of day that quotas go by."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Cost:
    """What calls of a language model took."""

    tokens_in: int = 0
    tokens_out: int = 0
    model_calls: int = 0


_METER: ContextVar[Cost | None] = ContextVar("winnow_meter", default=None)


@contextmanager
def metered() -> Iterator[Cost]:
    """Count what is asked of a metered model meanwhile, however that ends."""
    cost = Cost()
    token = _METER.set(cost)
    try:
        yield cost
    finally:
        _METER.reset(token)


class Metered:
    """A model whose answered calls are counted."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def count_tokens(self, prompt: str) -> int:
        """How many tokens a prompt takes."""
        return self._model.count_tokens(prompt)

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Completed:
        """Answer a chat."""
        completion = await self._model.complete(messages, schema, max_tokens)
        # A provider that does not say what an answer took would never be over a quota.
        said = "\n".join(message["content"] for message in messages)
        tokens_in = completion.tokens_in or self._model.count_tokens(said)
        _count(tokens_in, completion.tokens_out or self._model.count_tokens(completion.text))
        return completion

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Log-probability of each option as the continuation of the prompt."""
        chosen = await self._model.choose(prompt, options)
        _count(self._model.count_tokens(prompt), 0)
        return chosen


def _count(tokens_in: int, tokens_out: int) -> None:
    cost = _METER.get()
    if cost is not None:
        cost.tokens_in += tokens_in
        cost.tokens_out += tokens_out
        cost.model_calls += 1


class Spending:
    """Compares what was spent since midnight, UTC, with the quota; a window that is being read may go over it."""

    def __init__(
        self, database: Database, tokens_max: int, clock: Callable[[], datetime] = now
    ) -> None:
        self._database, self._tokens_max, self._clock = database, tokens_max, clock

    async def check(self, workspace: UUID) -> None:
        """Raise Postponed if the workspace has spent the day's tokens."""
        if not self._tokens_max:
            return
        async with self._database.transaction(workspace) as connection:
            spent = await connection.fetchval("select spine.tokens_today($1)", workspace)
        if spent >= self._tokens_max:
            why = f"spent {spent} tokens today, WINNOW_LLM_TOKENS_PER_DAY is {self._tokens_max}"
            raise Postponed(why, self._wait_seconds())

    async def book(self, workspace: UUID, cost: Cost) -> None:
        """Count what a reading has cost, whatever becomes of it."""
        spent = (cost.tokens_in, cost.tokens_out, cost.model_calls)

        async def add() -> None:
            async with self._database.transaction(workspace) as connection:
                await connection.execute(QUERIES["add_spent"], workspace, *spent)

        await self._database.retrying(add)

    def _wait_seconds(self) -> float:
        """Until midnight, when everybody waits, so not all at the same moment; but look again before."""
        moment = self._clock()
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        spread = random.uniform(0, 30)  # noqa: S311
        return min((midnight - moment).total_seconds(), WAIT_SECONDS_MAX) + spread
