"""One row of a Slack export becomes a message, or the reason why not; pure."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.cli.importers import ImportedAttachment, ImportedMessage, ImportedOrigin
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
from services.cli.importers.slack_blocks import emoji_of, markup_of
from services.cli.importers.slack_text import render

PREFIX = "slack:"
KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX = 256, 512
# A subtype is an event of the channel (someone joined, a topic was set) unless it is one of these.
SPOKEN = frozenset(
    (
        "",
        "bot_message",
        "file_comment",
        "file_share",
        "me_message",
        "slackbot_response",
        "thread_broadcast",
        "tombstone",
    )
)
_GONE = "tombstone"  # what stands in place of a deleted message that has replies
_STAMP = re.compile(r"(\d{1,11})\.(\d{1,6})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FILE_KINDS = {"image": "photo", "video": "video_file", "audio": "audio_file"}


@dataclass(slots=True)
class Directory:
    """Names by id, and which people are bots."""

    people: dict[str, str] = field(default_factory=dict)
    bots: set[str] = field(default_factory=lambda: {"USLACKBOT"})
    channels: dict[str, str] = field(default_factory=dict)

    def add_person(self, row: Row) -> None:
        """Learn a row of users.json."""
        number, profile = key(row, "id"), nested(row, "profile")
        if not number:
            return
        name = _name(profile) or string(row, "real_name") or string(row, "name")
        self.people[number] = name[:NAME_CHARACTERS_MAX]
        if row.get("is_bot") is True:
            self.bots.add(number)


def place(row: object) -> str:
    """How a report names the row."""
    stamp = key(row, "ts") if isinstance(row, dict) else ""
    return f"message {stamp[:80]}" if stamp else "a row without ts"


def check_row(row: object) -> Row:
    """The row of what was said; of a recorded edit, what it led to; of a deletion, its place. Raises NoMessage."""
    if not isinstance(row, dict):
        raise NoMessage("not a JSON object")
    if row.get("subtype") == "message_changed" and nested(row, "message"):
        row = {"edited": {"ts": row.get("ts")}, **nested(row, "message")}
    elif row.get("subtype") == "message_deleted":
        row = {"subtype": _GONE, "ts": row.get("deleted_ts")}
    kind, subtype = row.get("type", "message"), row.get("subtype") or ""
    if kind != "message":
        raise NoMessage("unknown type", kind[:80] if isinstance(kind, str) else "")
    if not isinstance(subtype, str):
        raise NoMessage("unknown subtype")
    if subtype not in SPOKEN:
        raise NoMessage(subtype[:80], is_event=True)
    return row


def read_message(row: Row, chat_external_id: str, directory: Directory) -> ImportedMessage:
    """The message of a checked row. Raises NoMessage for one without a usable time."""
    stamp = string(row, "ts")
    sent_at = read_stamp(stamp)
    if sent_at is None:
        raise NoMessage("no usable ts", stamp[:80])
    thread = string(row, "thread_ts")
    thread = "" if thread == stamp else thread  # the first message of a thread is in the channel
    if row.get("subtype") == _GONE:
        return _deleted(stamp, sent_at, thread, chat_external_id)
    author, name, is_bot = _author(row, directory)
    names = (directory.people, directory.channels, emoji_of(row))
    text, entities = render(markup_of(row, is_bot), *names)
    files = [file for file in (*listed(row, "files"), nested(row, "file")) if file]
    text = text or "\n".join(filter(None, map(_words, files)))
    attachments = tuple(map(_attachment, files))
    return ImportedMessage(
        chat_external_id=chat_external_id,
        external_id=stamp,
        thread_id=thread,
        reply_to_external_id=thread,
        author_external_id=author,
        author_name=name,
        author_is_bot=is_bot,
        text=text,
        sent_at=sent_at,
        edited_at=read_stamp(string(nested(row, "edited"), "ts")),
        entities=entities,
        attachments=attachments,
        kind=attachments[0].type if attachments else "text",
        forwarded_from=_origin(row, directory),
    )


def _deleted(stamp: str, sent_at: datetime, thread: str, chat: str) -> ImportedMessage:
    """A message of which only its place is known."""
    return ImportedMessage(chat, stamp, thread, thread, "", "", False, "", sent_at, deleted=True)


def read_stamp(stamp: str) -> datetime | None:
    """The time of a `ts`, exact to the microsecond; None if it is none or out of range."""
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None
    try:
        moment = timedelta(seconds=int(match[1]), microseconds=int(match[2].ljust(6, "0")))
        return within_range(_EPOCH + moment)
    except OverflowError:
        return None


def _author(row: Row, directory: Directory) -> tuple[str, str, bool]:
    """Id, name and whether a bot speaks; a bot may speak under a name of its own choice."""
    user, bot = key(row, "user") or key(nested(row, "comment"), "user"), key(row, "bot_id")
    bot_name = string(row, "username") or string(nested(row, "bot_profile"), "name")
    if bot or row.get("subtype") == "bot_message":
        return user or bot, bot_name or directory.people.get(user, ""), True
    name = directory.people.get(user) or _name(nested(row, "user_profile")) or bot_name
    return user, name, user in directory.bots


def _origin(row: Row, directory: Directory) -> ImportedOrigin | None:
    """Who wrote a message that is shared, or the channel it stands in; a link, which is previewed, shares none."""
    shared = next((each for each in listed(row, "attachments") if each.get("is_share") is True), {})
    if not shared:
        return None
    if user := key(shared, "author_id"):
        return ImportedOrigin(user, directory.people.get(user) or string(shared, "author_name"))
    if name := string(shared, "author_name"):
        return ImportedOrigin(name=name)
    channel = key(shared, "channel_id")
    name = directory.channels.get(channel) or string(shared, "channel_name")
    return ImportedOrigin(PREFIX + channel if channel else "", name)


def _name(profile: Row) -> str:
    """What people see: the display name, if one was chosen."""
    return next(
        (
            name
            for field in ("display_name", "real_name", "name")
            if (name := string(profile, field))
        ),
        "",
    )


def _words(file: Row) -> str:
    """What a file says that is itself the message: a snippet, an email, what was spoken in a clip."""
    spoken = nested(nested(file, "transcription"), "preview")
    said = string(file, "plain_text") or string(file, "preview") or string(spoken, "content")
    title = string(file, "title") if said else ""
    return "\n".join(filter(None, ("" if title == string(file, "name") else title, said)))


def _attachment(file: Row) -> ImportedAttachment:
    """A file; of one that was deleted or is hidden by the plan's limit only that there was one."""
    media = string(file, "mimetype")
    return ImportedAttachment(
        _FILE_KINDS.get(media.partition("/")[0], "document"),
        string(file, "name") or string(file, "title"),
        media,
        size(file, "size"),
    )
