"""From the wire to drafts: every message is checked alone, so that a bad one costs its neighbours nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import protovalidate

from services.common.checking import violations_of
from services.common.errors import FieldViolation, InvalidFields
from services.common.stored import part_of
from services.ingest.messages import EPOCH, Draft, canonical, canonical_json, draft
from services.ingest.plainness import is_plain
from services.ingest.store import SourceKey
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

# How many messages are read before other work of the process gets its turn.
STRIDE = 25

SOURCE_KINDS = {
    pb.SOURCE_KIND_TELEGRAM: "telegram",
    pb.SOURCE_KIND_IMPORT: "import",
    pb.SOURCE_KIND_API: "api",
}
_SECOND = 1_000_000_000
_WRONG_NANOS = "nanos must be 0 to 999,999,999"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that breaks a limit."""

    external_id: str
    violation: FieldViolation


async def read_messages(
    validator: protovalidate.Validator, messages: Sequence[pb.MessageInput]
) -> list[Draft | Rejected]:
    """Read every message of a batch, one draft or rejection each."""
    read: list[Draft | Rejected] = []
    async for stride in strides(messages):
        read.extend(read_message(validator, message) for message in stride)
    return read


async def strides(items: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    """Cut a sequence into short runs and let other work go on between them."""
    for start in range(0, len(items), STRIDE):
        yield items[start : start + STRIDE]
        await asyncio.sleep(0)


def read_message(validator: protovalidate.Validator, message: pb.MessageInput) -> Draft | Rejected:
    """Check one message against the limits of the contract and of the database."""
    author, sent_at = message.author, message.sent_at
    keys = message.external_id, message.thread_id, message.reply_to_external_id, author.external_id
    name, text, seconds, nanos = author.name, message.text, sent_at.seconds, sent_at.nanos
    entities, attachments = message.entities, message.attachments
    is_edited, is_forwarded = message.HasField("edited_at"), message.HasField("forwarded_from")
    is_more = is_edited or is_forwarded or entities or attachments
    if is_more or not is_plain(keys, name, text, seconds, nanos):
        violations = violations_of(validator, message) or _unsaid_violations(message)
        if violations:
            return Rejected(message.external_id, violations[0])
    own, thread, reply, author_id = keys
    return draft(
        own,
        thread,
        reply,
        (author_id, name, author.is_bot),
        text,
        EPOCH + timedelta(0, seconds, nanos // 1000),
        _time(message.edited_at) if is_edited else None,
        canonical_json(_entity(entity) for entity in entities) if entities else None,
        canonical_json(_attachment(file) for file in attachments) if attachments else None,
        canonical(_origin(message.forwarded_from)) if is_forwarded else None,
        zone_assumed=message.zone_assumed,
    )


def _unsaid_violations(message: pb.MessageInput) -> list[FieldViolation]:
    """What the rules in the proto cannot say."""
    found: list[FieldViolation] = []
    if not 0 <= message.sent_at.nanos < _SECOND:
        found.append(FieldViolation("sent_at", _WRONG_NANOS))
    if message.HasField("edited_at") and not 0 <= message.edited_at.nanos < _SECOND:
        found.append(FieldViolation("edited_at", _WRONG_NANOS))
    return found


def _time(moment: Any) -> datetime:
    return EPOCH + timedelta(0, moment.seconds, moment.nanos // 1000)


def read_source(source: pb.SourceRef) -> SourceKey:
    """Read what names a source; raises InvalidFields for a title of spaces, which would replace a better one."""
    if source.title.isspace():
        raise InvalidFields(FieldViolation("source.title", "must not be only spaces"))
    return SourceKey(SOURCE_KINDS[source.kind], source.external_id, source.title)


def _entity(entity: types.Entity) -> dict[str, Any]:
    fields = {
        "type": entity.type,
        "offset": entity.offset,
        "length": entity.length,
        "url": entity.url,
        "language": entity.language,
    }
    return _without_defaults(fields)


def _attachment(file: types.Attachment) -> dict[str, Any]:
    fields = {
        "type": file.type,
        "file_name": file.file_name,
        "mime_type": file.mime_type,
        "size_bytes": file.size_bytes,
    }
    return _without_defaults(fields)


def _origin(origin: types.ForwardOrigin) -> dict[str, Any]:
    return _without_defaults({"external_id": origin.external_id, "name": origin.name})


def _without_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def entities_of(listed: Iterable[dict[str, Any]]) -> list[types.Entity]:
    """Make spans from what is stored."""
    return [part_of(types.Entity, fields) for fields in listed]


def attachments_of(listed: Iterable[dict[str, Any]]) -> list[types.Attachment]:
    """Make files from what is stored."""
    return [part_of(types.Attachment, fields) for fields in listed]


def origin_of(stored: str | None) -> types.ForwardOrigin | None:
    """Make where a message was forwarded from of what is stored."""
    return None if stored is None else part_of(types.ForwardOrigin, json.loads(stored))


def stored_input(row: Any, edit: pb.UpdateMessageRequest) -> pb.MessageInput:
    """The stored message as its sender would send it again with an edit, whose time is certain."""
    edited = pb.MessageInput(
        external_id=row["external_id"],
        thread_id=row["thread_id"],
        reply_to_external_id=row["reply_to_external_id"],
        author=types.Author(
            external_id=row["author_external_id"],
            name=row["author_name"],
            is_bot=row["author_is_bot"],
        ),
        text=edit.text,
        edited_at=edit.edited_at,
        entities=edit.entities,
        attachments=attachments_of(json.loads(row["attachments"] or "[]")),
        forwarded_from=origin_of(row["forwarded_from"]),
    )
    edited.sent_at.FromDatetime(row["sent_at"])
    return edited
