"""One row of a DiscordChatExporter export becomes a message, or the reason why not; pure."""

import re
from datetime import UTC, datetime

from services.cli.importers import (
    ImportedAttachment,
    ImportedEntity,
    ImportedMessage,
    ImportedOrigin,
)
from services.cli.importers.rendering import Rendering
from services.cli.importers.rows import (
    NoMessage,
    Row,
    key,
    listed,
    nested,
    size,
    string,
    within_range,
)

PREFIX = "discord:"
# The exporter gives a kind that it has no name for by its number: 20 and 23 are replies of apps to commands.
SPOKEN = frozenset(("Default", "Reply", "20", "23", "ChatInputCommand", "ContextMenuCommand"))
_MARKUP = re.compile(
    r"<@!?(?P<person>\d+)>|<a?:(?P<emoji>\w+):\d+>|<t:(?P<time>-?\d{1,12})(?::[A-Za-z])?>"
    r"|(?P<link>https?://[^\s<>]*[^\s<>.,:;!?\"')\]])",
    re.ASCII,
)
_FILE_KINDS = {
    "photo": (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".heic"),
    "animation": (".gif",),
    "video_file": (".mp4", ".mov", ".webm", ".mkv"),
    "voice_message": ("voice-message.ogg",),
    "audio_file": (".mp3", ".ogg", ".wav", ".flac", ".m4a"),
}


def place(row: object) -> str:
    """How a report names the row."""
    number = key(row, "id") if isinstance(row, dict) else ""
    return f"message {number[:80]}" if number else "a row without an id"


def check_row(row: object) -> Row:
    """The row if somebody said it and it has an id. Raises NoMessage."""
    if not isinstance(row, dict):
        raise NoMessage("not a JSON object")
    if not key(row, "id"):
        raise NoMessage("no id")
    kind = key(row, "type") or "Default"
    if kind not in SPOKEN and kind != "0" and kind != "19":
        raise NoMessage(f"kind {kind[:80]}" if kind.isdecimal() else kind[:80], is_event=True)
    return row


def read_message(row: Row, channel: str) -> ImportedMessage:
    """The message of a checked row of a channel (its bare id). Raises NoMessage without a usable time."""
    sent_at = read_time(row, "timestamp")
    if sent_at is None:
        raise NoMessage("no usable timestamp", string(row, "timestamp")[:80])
    author = nested(row, "author")
    text, entities = _text(row, author.get("isBot") is True)
    attachments = _attachments(row)
    return ImportedMessage(
        chat_external_id=PREFIX + channel,
        external_id=key(row, "id"),
        thread_id="",
        reply_to_external_id=_replied(row, channel),
        author_external_id=key(author, "id"),
        author_name=string(author, "nickname") or string(author, "name"),
        author_is_bot=author.get("isBot") is True,
        text=text,
        sent_at=sent_at,
        edited_at=read_time(row, "timestampEdited"),
        entities=entities,
        attachments=attachments,
        kind=attachments[0].type if attachments else "text",
        forwarded_from=_origin(row),
    )


def read_time(row: Row, name: str) -> datetime | None:
    """A time with its zone, or read as UTC; None if absent or out of range."""
    try:
        written = datetime.fromisoformat(string(row, name))
        return within_range(written if written.tzinfo else written.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _replied(row: Row, channel: str) -> str:
    """The message replied to within this channel; a forward answers nothing."""
    reference = nested(row, "reference")
    elsewhere = key(reference, "channelId") not in ("", channel)
    return "" if _is_forward(row) or elsewhere else key(reference, "messageId")


def _is_forward(row: Row) -> bool:
    is_told = string(nested(row, "reference"), "type") == "Forward"
    return is_told or bool(nested(row, "forwardedMessage"))


def _origin(row: Row) -> ImportedOrigin | None:
    """The channel that a forward comes from, by its id alone: Discord tells neither its name nor who wrote it."""
    if not _is_forward(row):
        return None
    channel = key(nested(row, "reference"), "channelId")
    return ImportedOrigin(PREFIX + channel if channel else "")


def _text(row: Row, is_bot: bool) -> tuple[str, tuple[ImportedEntity, ...]]:
    """What was said, what was forwarded included, with its spans."""
    said = [*_said(row, is_bot), *_said(nested(row, "forwardedMessage"), is_bot)]
    return _render("\n".join(part for part in said if part), row)


def _said(row: Row, is_bot: bool) -> list[str]:
    """The content and what is embedded.

    The embeds of a person are previews of linked pages, other people's words; those of a bot,
    or of a message that holds nothing else, are what it says.
    """
    content = string(row, "content")
    embeds = listed(row, "embeds") if is_bot or not content else []
    return [content, *map(_embedded, embeds)]


def _embedded(embed: Row) -> str:
    lines = [string(nested(embed, "author"), "name")]
    lines += [string(embed, "title"), string(embed, "description")]
    for pair in listed(embed, "fields"):
        lines += [string(pair, "name"), string(pair, "value")]
    lines.append(string(nested(embed, "footer"), "text"))
    return "\n".join(line for line in lines if line)


def _render(text: str, row: Row) -> tuple[str, tuple[ImportedEntity, ...]]:
    """Readable text: the exporter has done most of it, unless it was told to leave markup alone."""
    people = {
        key(person, "id"): string(person, "nickname") or string(person, "name")
        for person in listed(row, "mentions")
    }
    rendering = Rendering()
    end = 0
    for match in _MARKUP.finditer(text):
        rendering.add(text[end : match.start()])
        _add_markup(rendering, match, people)
        end = match.end()
    rendering.add(text[end:])
    return rendering.finish(languages=True)


def _add_markup(rendering: Rendering, match: re.Match[str], people: dict[str, str]) -> None:
    if match["person"]:
        name = people.get(match["person"]) or match["person"]
        rendering.add(f"@{name}", "mention", f"discord://-/users/{match['person']}")
    elif match["emoji"]:
        rendering.add(f":{match['emoji']}:")
    elif match["time"]:
        rendering.add(_moment(match["time"]) or match[0])
    else:
        rendering.add(match[0], "link")


def _moment(seconds: str) -> str:
    """A time in a text, in UTC; empty if it is out of range."""
    try:
        return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return ""


def _attachments(row: Row) -> tuple[ImportedAttachment, ...]:
    forwarded = nested(row, "forwardedMessage")
    files = [
        ImportedAttachment(_file_kind(name), name, "", size(file, "fileSizeBytes"))
        for file in (*listed(row, "attachments"), *listed(forwarded, "attachments"))
        if (name := string(file, "fileName")) or file
    ]
    stickers = [
        ImportedAttachment("sticker", string(sticker, "name"))
        for sticker in (*listed(row, "stickers"), *listed(forwarded, "stickers"))
    ]
    return (*files, *stickers)[:100]


def _file_kind(name: str) -> str:
    return next(
        (kind for kind, ends in _FILE_KINDS.items() if name.lower().endswith(ends)), "document"
    )
