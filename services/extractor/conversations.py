"""The open windows of conversations: what waits in them, and the window that was closed early and goes on with it.

A window that a quiet moment, its age or a request closed is not full. What continues it joins it, so that where
windows end follows from when messages were sent and not from when they arrived.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from uuid import UUID

from services.common.database import Connection
from services.common.ids import uuid7
from services.extractor.store import QUERIES
from services.extractor.windows import Arrival, Cut, WindowLimits, cut

PENDING_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Conversation:
    """What waits of a conversation, in the order sent, and the messages of the window that it continues, if any.

    Unless it `is_whole` more of it waits than is looked at in one go, and perhaps other conversations.
    """

    waiting: tuple[Arrival, ...]
    window: UUID | None = None
    kept: tuple[Arrival, ...] = ()
    is_whole: bool = True

    def cut(self, now: datetime, limits: WindowLimits) -> Cut:
        """Close what can be closed; what is kept begins the first run, or the tail."""
        # How long a window has been open is counted from what waits now.
        first = min(arrival.received_at for arrival in self.waiting)
        before = [replace(each, received_at=first) for each in self.kept]
        return cut([*before, *self.waiting], now, limits, kept=len(before))


async def conversations(
    connection: Connection,
    workspace: UUID,
    source: UUID,
    limits: WindowLimits,
    before: UUID | None = None,
) -> list[Conversation]:
    """The open windows of a source; only with what was accepted before a message, if one is given."""
    rows = await connection.fetch(QUERIES["pending"], workspace, source, PENDING_MAX, before)
    waiting = {
        thread: tuple(group)
        for thread, group in groupby((Arrival(*row) for row in rows), lambda each: each.thread_id)
    }
    firsts = [group[0].sent_at for group in waiting.values()]
    bounds = (limits.idle, limits.messages_max, limits.run_max)
    place = (workspace, source, list(waiting), firsts)
    unfinished = await connection.fetch(QUERIES["unfinished"], *place, *bounds)
    windows = {row["thread_id"]: row["id"] for row in unfinished}
    kept = await _kept(connection, workspace, list(windows.values()))
    talks = [
        _continued(group, windows.get(thread), kept, limits) for thread, group in waiting.items()
    ]
    if len(rows) == PENDING_MAX:
        talks[-1] = replace(talks[-1], is_whole=False)
    return talks


async def _kept(
    connection: Connection, workspace: UUID, windows: Sequence[UUID]
) -> dict[UUID, tuple[Arrival, ...]]:
    """The live messages of windows."""
    rows = await connection.fetch(QUERIES["messages_of_windows"], workspace, windows)
    return {
        window: tuple(Arrival(*row[1:]) for row in group)
        for window, group in groupby((tuple(row) for row in rows), lambda row: row[0])
    }


def _continued(
    waiting: tuple[Arrival, ...],
    window: UUID | None,
    kept: dict[UUID, tuple[Arrival, ...]],
    limits: WindowLimits,
) -> Conversation:
    """The conversation with its window, if that goes on: labels and deletions since may have filled or ended it."""
    messages = kept.get(window, ()) if window else ()
    worth = sum(each.label != "noise" for each in messages)
    if not messages or worth >= limits.messages_max or len(messages) >= limits.run_max:
        return Conversation(waiting)
    if waiting[0].sent_at - messages[-1].sent_at >= limits.idle:
        return Conversation(waiting)
    return Conversation(waiting, window, messages)


async def close_window(
    connection: Connection,
    workspace: UUID,
    source: UUID,
    closed_by: str,
    messages: Sequence[Arrival],
    window: UUID | None = None,
) -> UUID:
    """Move pending messages of one conversation into a new window, or into one that they continue."""
    last, noise = messages[-1].sent_at, sum(message.label == "noise" for message in messages)
    if window is not None:
        place = (workspace, window, closed_by)
        await connection.execute(QUERIES["extend_window"], *place, last, len(messages), noise)
    else:
        window, first = uuid7(), messages[0]
        place = (workspace, window, source, first.thread_id, closed_by)  # type: ignore[assignment]
        await connection.execute(
            QUERIES["add_window"], *place, first.sent_at, last, len(messages), noise
        )
    ids = [message.message_id for message in messages]
    await connection.execute(QUERIES["assign_messages"], workspace, window, ids)
    return window
