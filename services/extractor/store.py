"""The extractor's tables: windows of conversations, and what each reading of a window leaves behind."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.extractor.extraction import Extraction, WindowMessage
from services.extractor.windows import WindowLimits

QUERIES = sql.load(Path(__file__).with_name("store.sql"))
# A conversation is closed and read long before.
FRESH_AGE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WindowText:
    """What a window says now: the hash of its live messages, if any is worth reading, and if any is of today."""

    window_id: UUID
    digest: str
    worth_reading: bool
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """A closed window with its live messages and what was said before it."""

    id: UUID
    source_id: UUID
    messages: tuple[WindowMessage, ...]
    previous: tuple[WindowMessage, ...]
    parents: dict[UUID, WindowMessage]
    digest: str
    noise_count: int


def text_sha256(text: str) -> bytes:
    """The hash of the text that a vector is made of."""
    return hashlib.sha256(text.encode()).digest()


def atom_sha256(title: str, content: str) -> bytes:
    """The hash of an atom's text."""
    return text_sha256(f"{title}\n{content}")


def title_key(title: str) -> str:
    """A title folded for comparison."""
    return " ".join(unicodedata.normalize("NFKC", title).casefold().split())


async def lock_for_writing(connection: Connection, workspace: UUID) -> None:
    """Let nobody erase in the workspace until this transaction ends."""
    await connection.execute(QUERIES["lock_for_writing"], workspace)


async def lock_for_erasing(connection: Connection, workspace: UUID) -> None:
    """Wait for all who write in the workspace, and keep others out until this transaction ends."""
    await connection.execute(QUERIES["lock_for_erasing"], workspace)


async def lock_sources(connection: Connection, workspace: UUID, sources: Iterable[UUID]) -> None:
    """Let one transaction at a time cut the conversations of a source."""
    for source in sorted(sources):
        await connection.execute(QUERIES["lock_source"], workspace, source)


async def sources_of(
    connection: Connection, workspace: UUID, messages: Sequence[UUID]
) -> set[UUID]:
    """The sources that messages belong to."""
    rows = await connection.fetch(QUERIES["sources_of_messages"], workspace, messages)
    return {row["source_id"] for row in rows}


async def add_pending(
    connection: Connection, workspace: UUID, source: UUID, first: UUID, last: UUID
) -> None:
    """Put the source's new live messages between two ids into their open windows."""
    await connection.execute(QUERIES["add_pending"], workspace, source, first, last)


async def drop_deleted_pending(
    connection: Connection, workspace: UUID, messages: Sequence[UUID]
) -> None:
    """Take deleted messages out of the open windows."""
    await connection.execute(QUERIES["drop_deleted_pending"], workspace, messages)


async def open_conversations(
    connection: Connection, workspace: UUID, source: UUID | None
) -> dict[UUID, int]:
    """How many conversations of each source have messages that no closed window holds; of the one given, if any."""
    rows = await connection.fetch(QUERIES["open_conversations"], workspace, source)
    return {row["source_id"]: row["conversations"] for row in rows}


async def windows_of(
    connection: Connection, workspace: UUID, messages: Sequence[UUID]
) -> list[UUID]:
    """The closed windows that hold any of the messages."""
    rows = await connection.fetch(QUERIES["windows_of_messages"], workspace, messages)
    return [row["window_id"] for row in rows]


async def windows_that_saw(
    connection: Connection, workspace: UUID, messages: Sequence[UUID], limits: WindowLimits
) -> Sequence[Any]:
    """The windows of messages and those that may have seen them as context: `id`, `source_id`, `is_own`."""
    looking = (workspace, messages, limits.seen_max)
    return await connection.fetch(QUERIES["windows_that_saw"], *looking)


async def windows_that_quote(
    connection: Connection, workspace: UUID, messages: Sequence[UUID], limits: WindowLimits
) -> list[UUID]:
    """The windows that may quote messages of others in their atoms."""
    saw = await windows_that_saw(connection, workspace, messages, limits) if messages else ()
    others = sorted({row["id"] for row in saw if not row["is_own"]})
    rows = await connection.fetch(QUERIES["windows_that_quote"], workspace, others)
    return [row["window_id"] for row in rows]


async def still_say(connection: Connection, workspace: UUID, texts: Mapping[UUID, str]) -> bool:
    """Whether none of the messages was edited or deleted, or is to be erased, since it said its text."""
    place = (workspace, list(texts), list(texts.values()))
    are_same: bool = await connection.fetchval(QUERIES["still_say"], *place)
    return are_same


async def windows_being_erased(
    connection: Connection, workspace: UUID, windows: Sequence[UUID]
) -> set[UUID]:
    """Of some windows those that an erasure has not passed yet; it asks for their reading when it has."""
    rows = await connection.fetch(QUERIES["windows_being_erased"], workspace, windows)
    return {row["window_id"] for row in rows}


async def window_texts(
    connection: Connection, workspace: UUID, windows: Sequence[UUID]
) -> list[WindowText]:
    """What each window says now; a window without live messages says nothing."""
    rows = await connection.fetch(QUERIES["window_texts"], workspace, windows, FRESH_AGE)
    lines: dict[UUID, list[Any]] = {window: [] for window in windows}
    for row in rows:
        lines[row["window_id"]].append(row)
    return [
        WindowText(
            window,
            _digest((row["message_id"], row["text_sha256"]) for row in found),
            any(row["importance_label"] != "noise" for row in found),
            any(row["is_fresh"] for row in found),
        )
        for window, found in lines.items()
    ]


async def read_window(
    connection: Connection, workspace: UUID, window: UUID, previous_max: int
) -> StoredWindow:
    """Return a closed window with all that an engine may see of its conversation."""
    about = await connection.fetchrow(QUERIES["conversation_of_window"], workspace, window)
    if about is None:
        raise LookupError(f"no window {window}")
    own = await connection.fetch(QUERIES["window_messages"], workspace, window)
    place = (about["source_id"], about["thread_id"], about["first_sent_at"], previous_max)
    before = await connection.fetch(QUERIES["messages_before"], workspace, *place)
    inside = {row["id"] for row in own}
    outside = sorted({row["parent_id"] for row in own if row["parent_id"]} - inside)
    parents = await connection.fetch(QUERIES["messages_by_id"], workspace, outside)
    return StoredWindow(
        window,
        about["source_id"],
        tuple(_message(row) for row in own),
        tuple(_message(row) for row in reversed(before)),
        {row["id"]: _message(row) for row in parents},
        _digest((row["id"], row["text_sha256"]) for row in own),
        sum(row["importance_label"] == "noise" for row in own),
    )


def _message(row: Any) -> WindowMessage:
    return WindowMessage(
        id=row["id"],
        author=row["author_name"] or row["author_external_id"],
        text=row["text"],
        sent_at=row["sent_at"],
        reply_to=row["parent_id"],
        label=row["importance_label"],
        score=row["importance_score"],
        author_is_bot=row["author_is_bot"],
    )


def _digest(messages: Iterable[tuple[UUID, bytes]]) -> str:
    total = hashlib.sha256()
    for message, text in messages:
        total.update(message.bytes + text)
    return total.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """How one reading of a window went."""

    window_id: UUID
    task_id: UUID
    engine: str
    model: str
    prompt_version: str
    duration_seconds: float
    message_count: int
    noise_count: int


async def add_run(
    connection: Connection, workspace: UUID, run: UUID, record: RunRecord, extraction: Extraction
) -> None:
    """Save what a reading cost and how it ended."""
    await connection.execute(
        QUERIES["add_run"],
        workspace,
        run,
        record.window_id,
        record.task_id,
        record.engine,
        record.model,
        record.prompt_version,
        extraction.outcome,
        extraction.tokens_in,
        extraction.tokens_out,
        extraction.model_calls,
        record.duration_seconds,
        record.message_count,
        record.noise_count,
        len(extraction.atoms),
        json.dumps(dict(extraction.rejected)),
    )
