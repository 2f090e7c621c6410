"""Valid inputs with every quirk that is read, for the mutator to damage."""

import base64
from typing import Any

from tests.cli.importers.telegram_export import row
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

ID = "0190b5a8-0000-7000-8000-000000000001"


_PARTS = [
    "see ",
    {"type": "text_link", "text": "this", "href": "https://example.org"},
    {"type": "pre", "text": "x = 1", "language": "py"},
]
_CHAT = {
    "name": "Team",
    "type": "private_supergroup",
    "id": 42,
    "messages": [
        row(1, "plain", edited="2024-05-01T12:01:00", edited_unixtime="1714557660"),
        row(2, _PARTS, text_entities=_PARTS, reply_to_message_id=1),
        row(
            3,
            "",
            photo="(File not included. Change data exporting settings to download.)",
            width=3,
            height=4,
        ),
        row(
            4,
            "",
            file="files/a.pdf",
            mime_type="application/pdf",
            file_size=12,
            media_type="video_file",
        ),
        row(
            5,
            "fwd",
            forwarded_from="Bob",
            forwarded_from_id="user9",
            reply_to_peer_id="channel9",
            reply_to_message_id=7,
        ),
        row(
            6,
            "",
            poll={"question": "when?", "answers": [{"text": "now", "voters": 1}], "closed": False},
        ),
        row(7, "old", date_unixtime=None, from_id=7, edited="1970-01-01T00:00:00"),
        {"id": 8, "type": "unsupported"},
        {
            "id": 9,
            "type": "service",
            "date": "2024-05-01T12:00:00",
            "action": "topic_created",
            "title": "T",
        },
        row(10, "in the topic", reply_to_message_id=9),
        row(
            11,
            "",
            location_information={"latitude": 1.5, "longitude": 2.5},
            contact_information={"phone_number": "1"},
        ),
    ],
}
TELEGRAM = (
    _CHAT,
    {"about": "", "chats": {"list": [_CHAT]}, "left_chats": {"list": [_CHAT | {"id": 43}]}},
)

DISCORD = {
    "guild": {"id": "1", "name": "Guild"},
    "channel": {
        "id": "2",
        "type": "GuildTextChat",
        "categoryId": "3",
        "category": "Dev",
        "name": "general",
    },
    "dateRange": {"after": None, "before": None},
    "messages": [
        {
            "id": "10",
            "type": "Default",
            "timestamp": "2024-05-01T12:00:00.5+00:00",
            "timestampEdited": "2024-05-01T12:01:00+00:00",
            "isPinned": False,
            "content": "hello **you** `x` <#2> ||no||",
            "author": {"id": "5", "name": "ada", "nickname": "Ada", "isBot": False},
            "attachments": [{"id": "1", "url": "u", "fileName": "a.png", "fileSizeBytes": 3}],
            "embeds": [
                {
                    "title": "T",
                    "url": "u",
                    "description": "d",
                    "fields": [{"name": "n", "value": "v"}],
                }
            ],
            "stickers": [{"id": "1", "name": "s", "format": "Png"}],
            "reactions": [{"emoji": {"name": "👍"}, "count": 2}],
            "mentions": [{"id": "5", "name": "ada", "nickname": "Ada"}],
        },
        {
            "id": "11",
            "type": "Reply",
            "timestamp": "2024-05-01T12:02:00+00:00",
            "content": "yes",
            "author": {"id": "6", "name": "bot", "isBot": True},
            "reference": {"messageId": "10", "channelId": "2", "guildId": "1"},
            "forwardedMessage": {"content": "before", "attachments": [], "embeds": []},
        },
        {
            "id": "12",
            "type": "GuildMemberJoin",
            "timestamp": "2024-05-01T12:03:00+00:00",
            "content": "Joined.",
        },
    ],
    "messageCount": 3,
}

JSON_LINES = (
    {"id": 1, "text": "one", "sent_at": "2024-05-01T12:00:00Z", "author": "Ada", "chat": "c"},
    {
        "id": "2",
        "text": "two",
        "sent_at": 1714557600,
        "author": {"id": "u", "name": "Bob", "is_bot": True},
    },
    {
        "id": "3",
        "text": "three",
        "sent_at": "2024-05-01T12:00:00+02:00",
        "edited_at": 1714557700.5,
        "reply_to": "1",
        "forwarded_from": "Bob",
        "forwarded_from_id": 9,
    },
)

SLACK: dict[str, Any] = {
    "users.json": [
        {"id": "U1", "name": "ada", "real_name": "Ada L", "profile": {"display_name": "Ada"}}
    ],
    "channels.json": [{"id": "C1", "name": "general"}],
    "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
    "general/2024-05-01.json": [
        {
            "type": "message",
            "user": "U1",
            "ts": "1714557600.000100",
            "text": "hi <@U1> <https://a.example|a> *b*",
        },
        {
            "type": "message",
            "user": "U1",
            "ts": "1714557601.000100",
            "thread_ts": "1714557600.000100",
            "text": "`x`",
        },
        {
            "type": "message",
            "subtype": "bot_message",
            "bot_id": "B1",
            "ts": "1714557602.0",
            "text": "",
            "attachments": [{"title": "t", "text": "x", "fields": [{"title": "f", "value": "v"}]}],
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "b"}}],
        },
        {
            "type": "message",
            "user": "U9",
            "ts": "1714557603.0",
            "text": "e",
            "edited": {"user": "U9", "ts": "1714557604.0"},
            "files": [{"id": "F1", "name": "a.txt", "mimetype": "text/plain", "size": 3}],
        },
        {
            "type": "message",
            "subtype": "channel_join",
            "user": "U1",
            "ts": "1714557605.0",
            "text": "joined",
        },
    ],
}

_BOT_CHAT = {"id": -1001, "type": "supergroup", "title": "Team"}
_BOT_MESSAGE = {
    "message_id": 5,
    "date": 1714557600,
    "chat": _BOT_CHAT,
    "from": {"id": 7, "is_bot": False, "first_name": "Ada", "last_name": "L", "username": "ada"},
    "text": "see https://example.org 🙂 x",
    "entities": [
        {"type": "url", "offset": 4, "length": 19},
        {"type": "pre", "offset": 27, "length": 1, "language": "py"},
    ],
    "reply_to_message": {"message_id": 4, "date": 1714557500, "chat": _BOT_CHAT, "text": "what?"},
    "message_thread_id": 3,
    "is_topic_message": True,
}
UPDATES = (
    {"update_id": 1, "message": _BOT_MESSAGE},
    {"update_id": 2, "edited_message": _BOT_MESSAGE | {"edit_date": 1714557700}},
    {
        "update_id": 3,
        "channel_post": {
            "message_id": 6,
            "date": 1714557600,
            "chat": _BOT_CHAT,
            "sender_chat": _BOT_CHAT,
            "caption": "c",
            "photo": [{"file_id": "a", "width": 1, "height": 1, "file_size": 9}],
        },
    },
    {
        "update_id": 4,
        "message": {
            "message_id": 7,
            "date": 1714557600,
            "chat": {"id": -5, "type": "group", "title": "G"},
            "migrate_to_chat_id": -1001,
        },
    },
    {"update_id": 5, "my_chat_member": {}},
)
HTTP_HEAD = (
    b"POST /telegram HTTP/1.1\r\nHost: a.example\r\nX-Telegram-Bot-Api-Secret-Token: secret\r\n"
    b"Content-Type: application/json\r\nContent-Length: 12\r\n\r\n"
)
MESSAGE = pb.MessageInput(
    external_id="17",
    thread_id="3",
    reply_to_external_id="16",
    author=types.Author(external_id="user7", name="Ada", is_bot=True),
    text="hello 🙂 world",
    sent_at={"seconds": 1_714_557_600, "nanos": 5},
    edited_at={"seconds": 1_714_557_700},
    entities=[
        types.Entity(type="bold", offset=0, length=5),
        types.Entity(type="link", offset=6, length=1, url="https://a.example"),
    ],
    attachments=[
        types.Attachment(type="photo", file_name="a.png", mime_type="image/png", size_bytes=3)
    ],
).SerializeToString()


def unpacked(token: str) -> bytes:
    """The body of a page token."""
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def packed(body: bytes) -> str:
    """A page token with a body."""
    return base64.urlsafe_b64encode(body).decode().rstrip("=")
