"""Reading chosen messages because a person asks: which windows that means, and what it will cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.errors import NotFound
from services.common.ids import uuid7
from services.common.outbox import enqueue
from services.extractor.conversations import conversations
from services.extractor.extraction import MessageId
from services.extractor.readings import enqueue_reading
from services.extractor.windows import WindowLimits

QUERIES = sql.load(Path(__file__).with_name("manual.sql"))
WINDOWS_PER_COMMIT: Final = 500
# Who asks for no more windows waits for them; more are read behind what is fresh.
WAITED_FOR_MAX: Final = 10
# Where nothing was measured yet: what a token is in chat, what a prompt says besides, and how fast reading without a
# model is.
_CHARACTERS_PER_TOKEN: Final = 3.5
_TOKENS_PER_WINDOW: Final = 300
_SECONDS_PER_MESSAGE: Final = 1 / 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Messages: those named, or all of a source (of all sources for None) sent in a period."""

    ids: tuple[UUID, ...] = ()
    source: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def filters(self) -> tuple[Any, ...]:
        """The arguments of the queries that choose."""
        return (self.ids, self.source, self.since, self.until)


@dataclass(frozen=True, slots=True)
class Reading:
    """With what is read: `run_name` as runs record the engine, and whether it calls a language model."""

    limits: WindowLimits
    engine_version: str
    run_name: str
    calls_model: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to read: messages that go into prompts, with their characters, in so many windows."""

    windows: int
    windows_noise: int
    messages: int
    characters: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What earlier runs of the same engine took in all."""

    runs: int = 0
    tokens: int = 0
    seconds: float = 0.0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read: closed windows, open ones by source, and the estimate."""

    messages: int
    closed: tuple[UUID, ...]
    sources: tuple[UUID, ...]
    load: Load
    tokens: int
    seconds: float
    runs_measured: int


def estimate(load: Load, measured: Measured, calls_model: bool) -> tuple[int, float]:
    """Tokens and seconds of one process: what earlier runs took per message, else by the lengths of texts."""
    if measured.messages:
        share = load.messages / measured.messages
        return round(measured.tokens * share), measured.seconds * share
    if not calls_model:
        return 0, load.messages * _SECONDS_PER_MESSAGE
    tokens = load.characters / _CHARACTERS_PER_TOKEN + load.windows * _TOKENS_PER_WINDOW
    return round(tokens), 0.0


async def require_source(connection: Connection, workspace: UUID, source: UUID | None) -> None:
    """Raise NotFound for a source that does not exist; None is all of them."""
    if source and not await connection.fetchval(QUERIES["has_source"], workspace, source):
        raise NotFound("source", str(source))


async def plan(connection: Connection, workspace: UUID, choice: Choice, reading: Reading) -> Plan:
    """Find what a choice means; NotFound for a source or a named message that does not exist."""
    await require_source(connection, workspace, choice.source)
    messages = await _count(connection, workspace, choice)
    windows = await connection.fetch(QUERIES["chosen_windows"], workspace, *choice.filters)
    ids = [row["window_id"] for row in windows]
    rows = await connection.fetch(QUERIES["weigh_windows"], workspace, ids)
    chosen = {row["window_id"]: bool(row["messages"] or row["was_read"]) for row in rows}
    worth = [row for row in rows if chosen[row["window_id"]]]
    unread = await connection.fetch(QUERIES["chosen_open"], workspace, *choice.filters)
    sources = tuple(row["source_id"] for row in unread)
    load = Load(
        len(worth),
        len(rows) - len(worth),
        sum(row["messages"] for row in worth),
        sum(row["characters"] for row in worth),
    )
    for source in sources:
        load = await _add_open(connection, workspace, source, reading.limits, load, chosen)
    row = await connection.fetchrow(QUERIES["measured"], workspace, reading.run_name)
    measured = Measured(**dict(row or {}))
    tokens, seconds = estimate(load, measured, reading.calls_model)
    closed = tuple(row["window_id"] for row in worth)
    return Plan(messages, closed, sources, load, tokens, seconds, measured.runs)


async def _count(connection: Connection, workspace: UUID, choice: Choice) -> int:
    if not choice.ids:
        period = (choice.source, choice.since, choice.until)
        count: int = await connection.fetchval(QUERIES["count_period"], workspace, *period)
        return count
    row = await connection.fetchrow(QUERIES["count_named"], workspace, choice.ids)
    if row is None or row["found"] < len(choice.ids):
        missing = await connection.fetchval(QUERIES["missing"], workspace, choice.ids)
        raise NotFound("message", str(missing))
    return int(row["live"])


async def _add_open(
    connection: Connection,
    workspace: UUID,
    source: UUID,
    limits: WindowLimits,
    load: Load,
    chosen: Mapping[UUID, bool],
) -> Load:
    """Add what closing the open windows of a source now would give.

    What continues one of the `chosen` windows, of which it is known whether it is worth reading, makes no other.
    """
    now: datetime = await connection.fetchval("select now()")
    at_once = replace(limits, age_max=timedelta(0))
    windows = noise = 0
    read: list[MessageId] = []
    for talk in await conversations(connection, workspace, source, limits):
        for number, run in enumerate(talk.cut(now, at_once).runs):
            is_counted = chosen.get(talk.window) if talk.window and number == 0 else None
            known = {each.message_id for each in talk.kept} if is_counted is not None else set()
            worth = [each.message_id for each in run.messages if each.label != "noise"]
            read += [message for message in worth if message not in known]
            windows += bool(worth) and not is_counted
            noise += (not worth and is_counted is None) - (bool(worth) and is_counted is False)
    characters = await connection.fetchval(QUERIES["characters"], workspace, read)
    return Load(
        load.windows + windows,
        load.windows_noise + noise,
        load.messages + len(read),
        load.characters + characters,
    )


async def ask(
    connection: Connection,
    workspace: UUID,
    windows: Sequence[UUID],
    reading: Reading,
    *,
    is_waited_for: bool,
) -> None:
    """Make the tasks that read closed windows, again if they were read before or could not be."""
    await enqueue_reading(
        connection,
        workspace,
        windows,
        reading.engine_version,
        reopen=True,
        revive=True,
        is_waited_for=is_waited_for,
    )


async def ask_to_close(connection: Connection, workspace: UUID, sources: Sequence[UUID]) -> None:
    """Make the tasks that close open windows now; what they hold is read then."""
    specs = [f"close:{uuid7()}" for _ in sources]
    await enqueue(connection, workspace, "window", sources, specs)
