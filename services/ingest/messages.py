"""What ingest knows of a message: the draft that is to be stored, and the order of its versions."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NEVER = datetime.min.replace(tzinfo=UTC)
NO_TEXT_SHA256 = hashlib.sha256(b"").digest()
NO_CONTENT_SHA256 = bytes(32)
"""Of what was erased, or deleted before it came."""


Version = tuple[bool, datetime, datetime, bool, bool, bool, bytes]
"""Whether its times are certain, when it is of and was edited, whether it knows thread, bot, origin, and its hash."""


@dataclass(slots=True)
class Draft:
    """One version of a message, valid and ready to be stored; what is nested is canonical JSON."""

    external_id: str
    thread_id: str
    reply_to_external_id: str
    author_external_id: str
    author_name: str
    author_is_bot: bool
    text: str
    sent_at: datetime
    edited_at: datetime | None
    entities: str | None
    attachments: str | None
    forwarded_from: str | None
    content_sha256: bytes
    text_sha256: bytes
    zone_assumed: bool = False

    @property
    def version(self) -> Version:
        """What orders the versions of one message: the greater wins, whichever comes first; `store.sql` says the same.

        Times in a zone that is assumed are hours off, to either side, so they are no match for those that are certain.
        An edit may be told in whole seconds, so it is never before the message itself, and later than it. Of two that
        are equally late the one that knows more wins: a partial export has no threads, and no export tells bots.
        """
        edited_at = self.edited_at or NEVER
        return (
            not self.zone_assumed,
            max(edited_at, self.sent_at),
            edited_at,
            self.thread_id != "",
            self.author_is_bot,
            self.forwarded_from is not None,
            self.content_sha256,
        )


Order = tuple[datetime, int, str]
"""What orders the messages of a conversation, whichever came first; keys are mostly numbers."""


def order_of(sent_at: datetime, external_id: str) -> Order:
    """The place of a message in its conversation; `store.sql` says the same."""
    return sent_at, len(external_id), external_id


def draft(
    external_id: str,
    thread_id: str,
    reply_to_external_id: str,
    author: tuple[str, str, bool],
    text: str,
    sent_at: datetime,
    edited_at: datetime | None,
    entities: str | None,
    attachments: str | None,
    forwarded_from: str | None = None,
    *,
    zone_assumed: bool = False,
) -> Draft:
    """Make a draft; author is external id, name and whether it is a bot. No field may contain NUL."""
    author_external_id, author_name, author_is_bot = author
    content = "\0".join(
        (
            text,
            thread_id,
            reply_to_external_id,
            author_external_id,
            author_name,
            "bot" if author_is_bot else "",
            str((sent_at - EPOCH) // MICROSECOND),
            "" if edited_at is None else str((edited_at - EPOCH) // MICROSECOND),
            entities or "",
            attachments or "",
            # So that what was stored before there was such a field is still the same.
            *(() if forwarded_from is None else (forwarded_from,)),
        )
    )
    return Draft(
        external_id,
        thread_id,
        reply_to_external_id,
        author_external_id,
        author_name,
        author_is_bot,
        text,
        sent_at,
        edited_at,
        entities,
        attachments,
        forwarded_from,
        hashlib.sha256(content.encode()).digest(),
        hashlib.sha256(text.encode()).digest(),
        zone_assumed,
    )


def canonical_json(items: Iterable[dict[str, Any]]) -> str | None:
    """Render spans or files so that equal ones are equal text; None if there are none."""
    listed = list(items)
    return canonical(listed) if listed else None


def canonical(value: Any) -> str:
    """Render a JSON value so that equal ones are equal text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def latest(drafts: Iterable[Draft]) -> dict[str, Draft]:
    """Keep the winning version of every message, in the order in which the messages first came."""
    winners: dict[str, Draft] = {}
    for each in drafts:
        known = winners.get(each.external_id)
        if known is None or each.version > known.version:
            winners[each.external_id] = each
    return winners
