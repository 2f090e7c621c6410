"""A message of the Bot API becomes an imported message, named as Telegram's exports name things; pure."""

from datetime import UTC, datetime
from itertools import accumulate

from services.cli.importers import (
    ImportedAttachment,
    ImportedChat,
    ImportedEntity,
    ImportedMessage,
    ImportedOrigin,
)
from services.cli.importers.rendering import ENTITIES_MAX, URL_BYTES_MAX
from services.cli.importers.rows import (
    NoMessage,
    Row,
    listed,
    nested,
    size,
    string,
    whole,
    within_range,
)
from services.cli.importers.telegram_accounts import CHANNEL_BASE

_FILES = {
    "animation": "animation",  # before document, which accompanies it
    "audio": "audio_file",
    "document": "document",
    "sticker": "sticker",
    "video": "video_file",
    "video_note": "video_message",
    "voice": "voice_message",
}
_PLAIN = {
    "poll": "poll",
    "checklist": "todo_list",
    "venue": "location",
    "location": "location",
    "contact": "contact",
    "dice": "dice",
    "game": "game",
    "invoice": "invoice",
    "giveaway": "giveaway",
    "paid_media": "paid_media",
    "story": "story",
}
_WORDS = {
    "venue": ("title", "address"),
    "game": ("title", "description"),
    "invoice": ("title", "description"),
}
_SPANS = {
    "url": "link",
    "text_mention": "mention_name",
    "phone_number": "phone",
    "expandable_blockquote": "blockquote",
}
_ENTITY_TYPE_CHARACTERS_MAX = 64


def read_chat(row: Row) -> ImportedChat:
    """The chat of a message. Raises NoMessage for one without an id."""
    chat = number(row, "id")
    if not chat:
        raise NoMessage("chat without an id")
    return ImportedChat(chat, words(row, "title") or _person(row), words(row, "type"))


def read_message(row: Row, chat: ImportedChat) -> ImportedMessage:
    """What was said. Raises NoMessage for a service message, or one that lacks its number or time."""
    message, sent_at = number(row, "message_id"), _time(row, "date")
    if not message or sent_at is None:
        raise NoMessage("no usable number or date")
    attachments = _attachments(row)
    name = "text" if "text" in row else "caption"
    text = words(row, name)
    if not text and not attachments:
        raise NoMessage("service")
    thread = number(row, "message_thread_id") if row.get("is_topic_message") is True else ""
    author, author_name, is_bot = _author(row)
    return ImportedMessage(
        chat_external_id=chat.external_id,
        external_id=message,
        thread_id=thread,
        reply_to_external_id=_replied(row, chat, thread),
        author_external_id=author,
        author_name=author_name,
        author_is_bot=is_bot,
        text=text or _carried_text(row),
        sent_at=sent_at,
        edited_at=_time(row, "edit_date"),
        entities=_entities(
            string(row, name), listed(row, "entities" if name == "text" else "caption_entities")
        ),
        attachments=attachments,
        kind=attachments[0].type if attachments else "text",
        forwarded_from=_origin(row),
    )


def number(row: Row, name: str) -> str:
    """An id, as text; empty if it is absent or no 64-bit whole number."""
    value = row.get(name)
    return str(value) if whole(value) and -(1 << 63) <= value < 1 << 63 else ""


def words(row: Row, name: str) -> str:
    """A text; half a character, which JSON can hold and UTF-8 cannot, becomes U+FFFD."""
    return string(row, name).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _time(row: Row, name: str) -> datetime | None:
    """A time in Unix seconds; None if absent or out of range. 0 stands for a message that is gone."""
    seconds = row.get(name)
    if not whole(seconds) or not 0 < seconds < 1 << 40:
        return None
    try:
        return within_range(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _replied(row: Row, chat: ImportedChat, thread: str) -> str:
    """The message answered within this chat; the row that opened a forum topic is no such message."""
    replied = nested(row, "reply_to_message")
    answered = number(replied, "message_id")
    elsewhere = "chat" in replied and number(nested(replied, "chat"), "id") != chat.external_id
    opened = thread != "" and answered == thread
    return "" if elsewhere or opened else answered


def _author(row: Row) -> tuple[str, str, bool]:
    """Id, name and whether a bot; a channel, or a group for its anonymous admins, may speak for itself."""
    chat = nested(row, "sender_chat")
    if speaker := number(chat, "id"):
        return _peer(int(speaker)), words(chat, "title") or _person(chat), False
    person = nested(row, "from")
    user = number(person, "id")
    return f"user{user}" if user else "", _person(person), person.get("is_bot") is True


def _origin(row: Row) -> ImportedOrigin | None:
    """Who wrote a forwarded message first, or the chat it stood in; some are known by their name alone."""
    if not (origin := nested(row, "forward_origin")):
        return None
    person = nested(origin, "sender_user")
    if user := number(person, "id"):
        return ImportedOrigin(f"user{user}", _person(person))
    chat = nested(origin, "chat") or nested(origin, "sender_chat")
    if peer := number(chat, "id"):
        return ImportedOrigin(_peer(int(peer)), words(chat, "title") or _person(chat))
    return ImportedOrigin(name=words(origin, "sender_user_name"))


def _peer(chat: int) -> str:
    """How exports name a chat that speaks: its kind and its bare number."""
    if chat > 0:
        return f"user{chat}"
    bare = -chat
    return f"channel{bare - CHANNEL_BASE}" if bare > CHANNEL_BASE else f"chat{bare}"


def _person(row: Row) -> str:
    return " ".join(name for part in ("first_name", "last_name") if (name := words(row, part)))


def _entities(text: str, rows: list[Row]) -> tuple[ImportedEntity, ...]:
    """The spans of a text, whose offsets Telegram counts in UTF-16 units."""
    if not rows:
        return ()
    starts = list(accumulate((1 + (character > "\uffff") for character in text), initial=0))
    place = {unit: index for index, unit in enumerate(starts)}
    found = []
    for row in rows:
        first, length = size(row, "offset"), size(row, "length")
        start, end = place.get(first), place.get(first + length)
        if start is not None and end is not None and start < end:
            found.append(_entity(row, start, end - start))
    return tuple(found[:ENTITIES_MAX])


def _entity(row: Row, offset: int, length: int) -> ImportedEntity:
    kind = words(row, "type")[:_ENTITY_TYPE_CHARACTERS_MAX]
    user = number(nested(row, "user"), "id")
    url = f"tg://user?id={user}" if kind == "text_mention" and user else words(row, "url")
    return ImportedEntity(
        _SPANS.get(kind, kind),
        offset,
        length,
        url if len(url.encode()) <= URL_BYTES_MAX else "",
        words(row, "language")[:16],
    )


def _attachments(row: Row) -> tuple[ImportedAttachment, ...]:
    """The one thing that a message carries."""
    if sizes := listed(row, "photo"):
        return (ImportedAttachment("photo", size_bytes=max(size(s, "file_size") for s in sizes)),)
    for name, kind in _FILES.items():
        if file := nested(row, name):
            return (
                ImportedAttachment(
                    kind,
                    words(file, "file_name"),
                    words(file, "mime_type"),
                    size(file, "file_size"),
                ),
            )
    return next(
        ((ImportedAttachment(kind),) for name, kind in _PLAIN.items() if nested(row, name)), ()
    )


def _carried_text(row: Row) -> str:
    """The words of what a message carries in place of a text, a line each: a list, a person, a place, …"""
    lists, contact = nested(row, "poll") or nested(row, "checklist"), nested(row, "contact")
    lines = [words(lists, "question") or words(lists, "title")]
    lines += [words(item, "text") for item in (*listed(lists, "options"), *listed(lists, "tasks"))]
    lines += [_person(contact), words(contact, "phone_number")]
    lines += [words(nested(row, name), part) for name, parts in _WORDS.items() for part in parts]
    return "\n".join(line for line in lines if line)
