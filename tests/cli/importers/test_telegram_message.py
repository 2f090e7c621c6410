"""One message of a Telegram export: its text, dates, author, thread and media."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.cli.importers import (
    ImportedAttachment,
    ImportedEntity,
    ImportedOrigin,
)
from services.cli.importers.telegram import TelegramExport
from services.cli.importers.telegram_message import NAIVE_DATE, SAY_ZONE
from tests.cli.importers.reading import messages
from tests.cli.importers.telegram_export import chat, only, row, write


def test_text_array(tmp_path: Path) -> None:
    """A text array is joined byte for byte, and entities point at their code points."""
    parts = [
        "😀 see ",
        {"type": "link", "text": "https://a.example"},
        " and ",
        {"type": "text_link", "text": "тут", "href": "https://b.example"},
        {"type": "plain", "text": " "},
        {"type": "pre", "text": "x = 1\n", "language": "python"},
        {"type": "mention_name", "text": "Bob", "user_id": 9},
        {"type": "bold", "text": ""},
    ]
    message = only(tmp_path, row(1, parts))
    assert message.text == "😀 see https://a.example and тут x = 1\nBob"
    assert message.entities == (
        ImportedEntity("link", 6, 17),
        ImportedEntity("text_link", 28, 3, url="https://b.example"),
        ImportedEntity("pre", 32, 6, language="python"),
        ImportedEntity("mention_name", 38, 3, url="tg://user?id=9"),
    )
    spans = [message.text[e.offset : e.offset + e.length] for e in message.entities]
    assert spans == ["https://a.example", "тут", "x = 1\n", "Bob"]


def test_text_entities_alone(tmp_path: Path) -> None:
    """Without `text`, the newer `text_entities` gives the text."""
    bare = row(1, text_entities=[{"type": "plain", "text": "a"}, {"type": "code", "text": "b"}])
    del bare["text"]
    message = only(tmp_path, bare)
    assert (message.text, message.entities) == ("ab", (ImportedEntity("code", 1, 1),))


def test_edits(tmp_path: Path) -> None:
    """An edit's Unix time is kept; an old export's "never" in 1970 is no edit."""
    edited = only(tmp_path, row(1, edited="2024-05-02T00:00:00", edited_unixtime="1714600000"))
    assert edited.edited_at == datetime.fromtimestamp(1714600000, UTC)
    for never in ("1970-01-01T00:00:00", "1970-01-01T03:00:00"):
        assert only(tmp_path, row(1, edited=never)).edited_at is None


@pytest.mark.parametrize(
    ("zone", "sent_at", "edited_at", "told"),
    [
        (None, "12:00", "12:30", f"UTC {SAY_ZONE}"),
        ("UTC", "12:00", "12:30", "UTC"),
        ("Europe/Kyiv", "09:00", "09:30", "Europe/Kyiv"),
        ("America/New_York", "16:00", "16:30", "America/New_York"),
    ],
)
def test_missing_unixtime(
    tmp_path: Path, zone: str | None, sent_at: str, edited_at: str, told: str
) -> None:
    """Without a Unix time the dates are of the zone that is told, else of UTC, and the summary says so."""
    old = row(1, from_id=7)
    del old["date_unixtime"]
    old["edited"] = "2024-05-01T12:30:00"
    export = write(tmp_path, chat(old), ZoneInfo(zone) if zone else None)
    (message,) = messages(export)
    assert message.sent_at == datetime.fromisoformat(f"2024-05-01T{sent_at}Z")
    assert message.edited_at == datetime.fromisoformat(f"2024-05-01T{edited_at}Z")
    assert message.author_external_id == "user7"
    assert message.zone_assumed == (zone is None)
    assert export.summary.notes == {f"{NAIVE_DATE} {told}": 1}


def test_a_date_with_its_zone_is_no_guess(tmp_path: Path) -> None:
    """What names a zone, or is in Unix seconds, is of no other, and nothing is said of it."""
    zoned = row(2, date="2024-05-01T12:00:00+03:00")
    del zoned["date_unixtime"]
    export = write(tmp_path, chat(row(1), zoned), ZoneInfo("America/New_York"))
    first, second = messages(export)
    assert first.sent_at == datetime(2024, 5, 1, 10, 0, tzinfo=UTC)
    assert second.sent_at == datetime(2024, 5, 1, 9, 0, tzinfo=UTC)
    assert not any(message.zone_assumed for message in messages(TelegramExport(tmp_path)))
    assert export.summary.notes == {}


def test_deleted_account(tmp_path: Path) -> None:
    """A null sender keeps its id and has no name."""
    message = only(tmp_path, row(1, **{"from": None}))
    assert (message.author_external_id, message.author_name) == ("user7", "")


def test_bots(tmp_path: Path) -> None:
    """The peer of a bot chat is a bot, and so is who is called one; nobody is for being named Talbot or Abbot."""
    peer = messages(write(tmp_path, chat(row(1), id=7, type="bot_chat")))
    assert peer[0].author_is_bot
    for name in ("Release Bot", "release_bot", "ReleaseBot", "CIBot 🤖", "combot", "Бот", "myBOT"):
        assert only(tmp_path, row(1, **{"from": name})).author_is_bot, name
    for name in (
        "Talbot Smith",
        "John Talbot",
        "JOHN TALBOT",
        "Mary Abbot",
        "Іван Работ",
        "robots",
    ):
        assert not only(tmp_path, row(1, **{"from": name})).author_is_bot, name


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({}, None),
        ({"forwarded_from": "Grace"}, ImportedOrigin(name="Grace")),
        (
            {"forwarded_from": "News", "forwarded_from_id": "channel9", "saved_from": "Lin"},
            ImportedOrigin("channel9", "News"),
        ),
        ({"forwarded_from": None, "forwarded_from_id": "user8"}, ImportedOrigin("user8")),
        ({"forwarded_from": None}, ImportedOrigin()),
        ({"saved_from": "News"}, ImportedOrigin(name="News")),
    ],
)
def test_forward(tmp_path: Path, fields: dict[str, Any], origin: ImportedOrigin | None) -> None:
    """A forwarded message says from whom, as far as the export does; the sender is who forwarded it."""
    message = only(tmp_path, row(1, **fields))
    assert (message.forwarded_from, message.author_name) == (origin, "Ada")


def test_reply_to_another_chat(tmp_path: Path) -> None:
    """A reply into another chat names no message of this one."""
    reply = row(1, reply_to_message_id=5, reply_to_peer_id="channel9")
    assert only(tmp_path, reply).reply_to_external_id == ""


def test_forum_topics(tmp_path: Path) -> None:
    """Messages of a forum topic share its thread, found by the chain of replies."""
    export = write(
        tmp_path,
        chat(
            {
                "id": 10,
                "type": "service",
                "action": "topic_created",
                "title": "Ops",
                "date_unixtime": "1714557600",
            },
            row(11, reply_to_message_id=10),
            row(12, reply_to_message_id=11),
            row(13),
            row(14, reply_to_message_id=13),
        ),
    )
    placed = [(m.thread_id, m.reply_to_external_id) for m in messages(export)]
    assert placed == [("10", ""), ("10", "11"), ("", ""), ("", "13")]


NOT_INCLUDED = "(File not included. Change data exporting settings to download.)"


@pytest.mark.parametrize(
    ("fields", "attachment"),
    [
        ({"photo": NOT_INCLUDED, "photo_file_size": 9}, ImportedAttachment("photo", "", "", 9)),
        ({"photo": NOT_INCLUDED, "photo_file_size": True}, ImportedAttachment("photo", "", "", 0)),
        ({"photo": "photos/p_1.jpg"}, ImportedAttachment("photo", "p_1.jpg")),
        (
            {"file": "files/a.pdf", "mime_type": "application/pdf", "file_size": 3},
            ImportedAttachment("document", "a.pdf", "application/pdf", 3),
        ),
        (
            {"file": NOT_INCLUDED, "file_name": "b.mp4", "media_type": "video_file"},
            ImportedAttachment("video_file", "b.mp4"),
        ),
        (
            {"file": "(File unavailable, please try again later)", "media_type": "voice_message"},
            ImportedAttachment("voice_message"),
        ),
        ({"location_information": {"latitude": 1.5}}, ImportedAttachment("location")),
        ({"contact_information": {"phone_number": "1"}}, ImportedAttachment("contact")),
    ],
)
def test_media(tmp_path: Path, fields: dict[str, Any], attachment: ImportedAttachment) -> None:
    """Media keep their kind and caption; a placeholder is never taken for a file's name."""
    message = only(tmp_path, row(1, "caption", **fields))
    assert message.attachments == (attachment,)
    assert (message.kind, message.text) == (attachment.type, "caption")


def test_poll(tmp_path: Path) -> None:
    """A poll's words are its text."""
    poll = {"question": "Lunch?", "answers": [{"text": "yes"}, {"text": "no"}, {"voters": 1}]}
    message = only(tmp_path, row(1, "", poll=poll))
    assert (message.text, message.kind) == ("Lunch?\nyes\nno", "poll")
