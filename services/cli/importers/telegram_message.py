"""One row of a Telegram export becomes a message, or the reason why not; pure."""

import re
from datetime import UTC, datetime, tzinfo
from pathlib import PurePosixPath
from typing import Any

from services.cli.importers import (
    ImportedAttachment,
    ImportedEntity,
    ImportedMessage,
    ImportedOrigin,
)
from services.cli.importers.rows import NoMessage, Row, nested, size, string, whole
from services.cli.importers.telegram_accounts import (
    CHANNEL_BASE,
    account_key,
    has_own_numbers,
    message_key,
)
from services.cli.importers.telegram_rows import ChatHeader

NAIVE_DATE = "date without a time zone, read as"
SAY_ZONE = "(--timezone NAME says where they are of)"
_EARLIEST, _LATEST = -2208988800, 4102444800  # what the ingest service accepts, in Unix seconds
_EPOCH_SECONDS = 2 * 86_400  # old exports write "never edited" as the epoch in local time
# "Deploy Bot", "deploy_bot", "DeployBot" and "deploybot"; John Talbot is a person.
_BOT_NAME = re.compile(r"(?:(?:\A|[\W_])(?i:bot|бот)|[^\W_]Bot|[a-z\d]BOT|\A\w+bot)\W*\Z")
_PLACE_AND_GAME = ("place_name", "address", "game_title", "game_description")
_PLAIN_KINDS = {
    "poll": "poll",
    "todo_list": "todo_list",
    "location_information": "location",
    "contact_information": "contact",
    "game_title": "game",
    "invoice_information": "invoice",
    "giveaway_information": "giveaway",
}


def row_place(row: Row | None) -> str:
    """How a report names the row."""
    number = None if row is None else row.get("id")
    return f"message {number}" if whole(number) else "a row without an id"


def chat_external_id(header: ChatHeader) -> str:
    """The chat's id in the Bot API's numbering, so that bot and export name the same source."""
    if header.id > 0 and has_own_numbers(header):
        return str(-CHANNEL_BASE - header.id)
    group = header.id > 0 and header.type.endswith("group")
    return account_key(str(-header.id if group else header.id), header.account)


def chat_title(header: ChatHeader) -> str:
    """The chat's name; the account's own notes have none."""
    return header.name or ("Saved Messages" if header.type == "saved_messages" else "")


def chat_name(header: ChatHeader) -> str:
    """How a report names the chat."""
    return chat_title(header) or chat_external_id(header)


def check_row(row: Row | None) -> Row:
    """The row if it is a message with an id. Raises NoMessage."""
    if row is None:
        raise NoMessage("not a JSON object")
    number = row.get("id")
    if not whole(number):
        raise NoMessage("no id")
    kind = row.get("type", "message")
    if kind != "message":
        if kind not in ("service", "unsupported"):
            raise NoMessage("unknown type", _shown(kind))
        raise NoMessage(kind, _shown(row.get("action", "")), is_event=True)
    return row


def read_message(
    row: Row, header: ChatHeader, thread_id: str, replied: int | None, zone: tzinfo | None = None
) -> ImportedMessage:
    """The message of a checked row. Raises NoMessage for a text or a date that cannot be read.

    A time of which only the date is given, as the exporter's clocks showed it, is one of `zone`, or UTC is assumed.
    """
    sent_at = read_time(row, "date", zone or UTC)
    if sent_at is None:
        raise NoMessage("no usable date", _shown(row.get("date")))
    text, entities = _text(row)
    attachments = _attachments(row)
    author_id, author_name = _peer(row, "from")
    return ImportedMessage(
        chat_external_id=chat_external_id(header),
        external_id=message_key(header, row["id"]),
        thread_id=thread_id,
        reply_to_external_id="" if replied is None else message_key(header, replied),
        author_external_id=author_id,
        author_name=author_name,
        author_is_bot=_is_bot(author_id, author_name, header),
        text=text or _carried_text(row),
        sent_at=sent_at,
        edited_at=read_time(row, "edited", zone or UTC),
        entities=entities,
        attachments=attachments,
        kind=attachments[0].type if attachments else "text",
        forwarded_from=_origin(row),
        zone_assumed=zone is None and is_naive(row),
    )


def read_time(row: Row, name: str, zone: tzinfo = UTC) -> datetime | None:
    """The time of `<name>_unixtime`, or `<name>` read in a zone; None if absent or out of range."""
    seconds = row.get(f"{name}_unixtime")
    try:
        if seconds is not None:
            stamp = int(seconds)
        else:
            written = datetime.fromisoformat(row.get(name) or "")
            stamp = int((written if written.tzinfo else written.replace(tzinfo=zone)).timestamp())
        if not _EARLIEST <= stamp < _LATEST or abs(stamp) < _EPOCH_SECONDS:
            return None
        return datetime.fromtimestamp(stamp, UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _shown(value: Any) -> str:
    """A short text of a value for a report; of a nested one only its type."""
    return str(value)[:80] if isinstance(value, str | int | float) else type(value).__name__


def is_naive(row: Row) -> bool:
    """Whether a row that has a date gives it as local time alone, as old exports do."""
    return (
        row.get("date_unixtime") is None
        and datetime.fromisoformat(string(row, "date")).tzinfo is None
    )


def _text(row: Row) -> tuple[str, tuple[ImportedEntity, ...]]:
    parts = row.get("text")
    if parts is None:
        parts = row.get("text_entities") or ""
    if isinstance(parts, str):  # the exporter writes a string only where nothing is formatted
        return parts, ()
    if not isinstance(parts, list):
        raise NoMessage("text of an unknown shape", type(parts).__name__)
    return _join(parts)


def _join(parts: list[Any]) -> tuple[str, tuple[ImportedEntity, ...]]:
    """The texts of the parts end to end, and where each formatted one lies."""
    texts: list[str] = []
    entities: list[ImportedEntity] = []
    offset = 0
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            raise NoMessage("text of an unknown shape", type(part).__name__)
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind != "plain" and text:
            entities.append(_entity(part, kind, offset, len(text)))
        texts.append(text)
        offset += len(text)
    return "".join(texts), tuple(entities)


def _entity(part: Row, kind: str, offset: int, length: int) -> ImportedEntity:
    url = string(part, "href")
    if part.get("href") is None and whole(user := part.get("user_id")):
        url = f"tg://user?id={user}"
    return ImportedEntity(kind, offset, length, url, string(part, "language"))


def _carried_text(row: Row) -> str:
    """The words of what a message carries in place of a text, a line each: a list, a person, a place, …"""
    contact, invoice = nested(row, "contact_information"), nested(row, "invoice_information")
    name = (string(contact, part) for part in ("first_name", "last_name"))
    lines = [
        *_listed_lines(row),
        " ".join(part for part in name if part),
        string(contact, "phone_number"),
        *(string(row, part) for part in _PLACE_AND_GAME),
        *(string(invoice, part) for part in ("title", "description")),
    ]
    return "\n".join(line for line in lines if line)


def _listed_lines(row: Row) -> list[str]:
    """The words of a poll or a checklist."""
    items = nested(row, "poll") or nested(row, "todo_list")
    answers = items.get("answers")
    lines = [
        items.get("question") or items.get("title"),
        *(
            answer.get("text") if isinstance(answer, dict) else answer
            for answer in (answers if isinstance(answers, list) else ())
        ),
    ]
    return [line for line in lines if isinstance(line, str)]


def _attachments(row: Row) -> tuple[ImportedAttachment, ...]:
    if "photo" in row:
        return (ImportedAttachment("photo", _file_name(row, "photo"), "", _size(row, "photo")),)
    if "file" in row or "media_type" in row:
        kind = row.get("media_type")
        return (
            ImportedAttachment(
                kind if isinstance(kind, str) else "document",
                _file_name(row, "file"),
                string(row, "mime_type"),
                _size(row, "file"),
            ),
        )
    return tuple(ImportedAttachment(kind) for key, kind in _PLAIN_KINDS.items() if key in row)


def _file_name(row: Row, key: str) -> str:
    """The file's own name; a path that is a placeholder in brackets names none."""
    for value in (row.get("file_name"), row.get(key)):
        if isinstance(value, str) and value and not value.startswith("("):
            return PurePosixPath(value).name
    return ""


def _size(row: Row, key: str) -> int:
    return size(row, f"{key}_file_size") or size(row, f"{key}_size")


def _peer(row: Row, name: str) -> tuple[str, str]:
    """Id and name; a deleted account has no name, and old exports give bare numbers as ids."""
    number = row.get(f"{name}_id")
    return f"user{number}" if whole(number) else string(row, f"{name}_id"), string(row, name)


def _origin(row: Row) -> ImportedOrigin | None:
    """Who wrote a forwarded message first; of one that was saved, and no more is said, the chat it was saved from."""
    name = next((name for name in ("forwarded_from", "saved_from") if name in row), None)
    return None if name is None else ImportedOrigin(*_peer(row, name))


def _is_bot(author_id: str, author_name: str, header: ChatHeader) -> bool:
    """Exports do not say it: the peer of a bot chat is one, and so is who is called so."""
    if header.type == "bot_chat" and author_id == f"user{header.id}":
        return True
    return bool(_BOT_NAME.search(author_name))
