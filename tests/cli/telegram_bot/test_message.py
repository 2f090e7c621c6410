"""What updates mean: every kind of message, Telegram's numbering and offsets, and arbitrary JSON."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.importers import (
    ImportedAttachment,
    ImportedChat,
    ImportedEntity,
    ImportedMessage,
    ImportedOrigin,
    SkippedRow,
)
from services.cli.importers.telegram import TelegramExport
from services.cli.importing import message_input, source_ref
from services.cli.telegram_bot.updates import Migration, Post, of_account, read_update
from tests.cli.importers.telegram_export import only as exported_message
from tests.cli.importers.telegram_export import row
from tests.cli.telegram_bot.conversation import ADA, GROUP, TEAM, message
from winnow.ingest.v1 import ingest_pb2 as pb

# Half a character is replaced, which a test of its own shows.
_WHOLE_CHARACTERS = st.sampled_from("aщ😀𝔘\n") | st.characters(exclude_categories=["Cs"])


def only(row: dict[str, Any], kind: str = "message") -> ImportedMessage:
    """The message of an update."""
    post = read_update({"update_id": 1, kind: row})
    assert isinstance(post, Post)
    return post.message


def test_plain_message() -> None:
    """A message has its chat, number, author and time."""
    assert read_update({"update_id": 1, "message": message(5, "hi")}) == Post(
        ImportedChat("-1000000001234", "Team", "supergroup"),
        ImportedMessage(
            chat_external_id="-1000000001234",
            external_id="5",
            thread_id="",
            reply_to_external_id="",
            author_external_id="user7",
            author_name="Ada L",
            author_is_bot=False,
            text="hi",
            sent_at=datetime(2024, 5, 1, 10, 0, 5, tzinfo=UTC),
        ),
    )


def test_same_as_its_export(tmp_path: Path) -> None:
    """A message that a bot saw and the same one in an export are one: same source, same message."""
    exported = {
        "id": 5,
        "type": "message",
        "date_unixtime": "1714557605",
        "edited_unixtime": "1714557700",
        "from": "Ada L",
        "from_id": "user7",
        "reply_to_message_id": 4,
        "text": [
            "😀 see ",
            {"type": "link", "text": "https://a.test"},
            " ",
            {"type": "mention_name", "text": "Lin", "user_id": 8},
        ],
    }
    chat = {"id": 1234, "type": "private_supergroup", "name": "Team", "messages": [exported]}
    (tmp_path / "result.json").write_text(json.dumps(chat))
    live = message(
        5,
        "😀 see https://a.test Lin",
        edit_date=1714557700,
        reply_to_message=message(4),
        entities=[
            {"type": "url", "offset": 7, "length": 14},
            {"type": "text_mention", "offset": 22, "length": 3, "user": {"id": 8}},
        ],
    )
    imported_chat, imported = list(TelegramExport(tmp_path))
    post = read_update({"update_id": 1, "edited_message": live})
    assert isinstance(post, Post)
    assert post.message == imported
    assert isinstance(imported_chat, ImportedChat)
    assert post.chat.external_id == imported_chat.external_id


@pytest.mark.parametrize(
    ("origin", "exported", "expected"),
    [
        (
            {"type": "user", "sender_user": {"id": 8, "first_name": "Grace"}},
            {"forwarded_from": "Grace", "forwarded_from_id": "user8"},
            ImportedOrigin("user8", "Grace"),
        ),
        (
            {"type": "hidden_user", "sender_user_name": "Lin"},
            {"forwarded_from": "Lin"},
            ImportedOrigin("", "Lin"),
        ),
        (
            {
                "type": "channel",
                "message_id": 7,
                "author_signature": "Editor",
                "chat": {"id": -1001234567890, "type": "channel", "title": "News"},
            },
            {"forwarded_from": "News", "forwarded_from_id": "channel1234567890"},
            ImportedOrigin("channel1234567890", "News"),
        ),
        (
            {"type": "chat", "sender_chat": {"id": -55, "title": "Small team"}},
            {"forwarded_from": "Small team", "forwarded_from_id": "chat55"},
            ImportedOrigin("chat55", "Small team"),
        ),
        ({"type": "of tomorrow"}, None, ImportedOrigin()),
        (None, {}, None),
    ],
)
def test_forwards(
    tmp_path: Path,
    origin: dict[str, Any] | None,
    exported: dict[str, Any] | None,
    expected: ImportedOrigin | None,
) -> None:
    """A forward says from whom or where, in the words of the export of the same chat."""
    fields = {"forward_origin": origin | {"date": 1}} if origin else {}
    assert only(message(5, "hi", **fields)).forwarded_from == expected
    if exported is not None:
        assert exported_message(tmp_path, row(5, "hi", **exported)).forwarded_from == expected


@pytest.mark.parametrize(
    ("exported", "live", "text"),
    [
        (
            {"contact_information": {"first_name": "Lin", "last_name": "Wu", "phone_number": "+1"}},
            {"contact": {"first_name": "Lin", "last_name": "Wu", "phone_number": "+1"}},
            "Lin Wu\n+1",
        ),
        (
            {"location_information": {"latitude": 1}, "place_name": "Office", "address": "Main 1"},
            {"venue": {"title": "Office", "address": "Main 1", "location": {"latitude": 1}}},
            "Office\nMain 1",
        ),
        (
            {"game_title": "Go", "game_description": "on a board"},
            {"game": {"title": "Go", "description": "on a board"}},
            "Go\non a board",
        ),
        (
            {"invoice_information": {"title": "Hosting", "description": "May", "amount": 5}},
            {"invoice": {"title": "Hosting", "description": "May", "total_amount": 5}},
            "Hosting\nMay",
        ),
        (
            {"todo_list": {"title": "Release", "answers": [{"id": 1, "text": "tag"}]}},
            {"checklist": {"title": "Release", "tasks": [{"id": 1, "text": "tag"}]}},
            "Release\ntag",
        ),
    ],
)
def test_what_is_carried_is_told_as_in_its_export(
    tmp_path: Path, exported: dict[str, Any], live: dict[str, Any], text: str
) -> None:
    """A contact, a place, a game, a bill and a list can be found by their words, live and imported."""
    head = {"id": 5, "type": "message", "date_unixtime": "1714557605", "from_id": "user7"}
    chat = {"id": 1234, "type": "private_supergroup", "messages": [head | exported | {"text": ""}]}
    (tmp_path / "result.json").write_text(json.dumps(chat))
    _, imported = list(TelegramExport(tmp_path))
    seen = message(5, **live)
    del seen["text"]
    assert isinstance(imported, ImportedMessage)
    assert imported.text == text
    assert (only(seen).text, only(seen).attachments) == (text, imported.attachments)


@pytest.mark.parametrize(
    "kind", ["message", "edited_message", "channel_post", "edited_channel_post"]
)
def test_kinds(kind: str) -> None:
    """Messages and posts, new and edited, are all read; an edit has its time."""
    edited = only(message(1, edit_date=1714557700), kind)
    assert edited.edited_at == datetime(2024, 5, 1, 10, 1, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ({}, ("user7", "Ada L", False)),
        ({"from": {"id": 9, "first_name": "CI", "is_bot": True}}, ("user9", "CI", True)),
        ({"from": None}, ("", "", False)),
        ({"sender_chat": {"id": -1009999, "title": "News"}}, ("chat1009999", "News", False)),
        (
            {"sender_chat": {"id": -1001234567890, "title": "News"}},
            ("channel1234567890", "News", False),
        ),
        ({"sender_chat": {"id": -55, "title": "Small team"}}, ("chat55", "Small team", False)),
    ],
)
def test_authors(fields: dict[str, Any], author: tuple[str, str, bool]) -> None:
    """Authors are named as exports name them; a channel or an anonymous group speaks for itself."""
    read = only(message(1, **fields))
    assert (read.author_external_id, read.author_name, read.author_is_bot) == author


def test_forum_threads() -> None:
    """A message of a forum topic is in its thread, and answers the topic's opening row no more than exports say."""
    topic = {"message_thread_id": 10, "is_topic_message": True}
    opening = message(11, **topic, reply_to_message=message(10, forum_topic_created={"name": "x"}))
    answer = message(12, **topic, reply_to_message=message(11))
    comment = message(13, message_thread_id=11, reply_to_message=message(11))
    placed = [
        (read.thread_id, read.reply_to_external_id)
        for read in map(only, (opening, answer, comment))
    ]
    assert placed == [("10", ""), ("10", "11"), ("", "11")]


def test_reply_to_another_chat() -> None:
    """A reply into another chat names no message of this one."""
    assert only(message(1, reply_to_message=message(2, chat=GROUP))).reply_to_external_id == ""


def test_private_chat() -> None:
    """A private chat is called after its person."""
    post = read_update({"update_id": 1, "message": message(1, chat=ADA | {"type": "private"})})
    assert isinstance(post, Post)
    assert post.chat == ImportedChat("7", "Ada L", "private")


@given(parts=st.lists(st.tuples(st.text(_WHOLE_CHARACTERS), st.booleans()), max_size=6))
def test_offsets_are_code_points(parts: list[tuple[str, bool]]) -> None:
    """Whatever characters a text has, its spans cover the words that Telegram meant."""
    text, units = "", 0
    entities, expected = [], []
    for part, marked in parts:
        length = sum(1 + (character > "\uffff") for character in part)
        if marked and part:
            entities.append({"type": "bold", "offset": units, "length": length})
            expected.append(ImportedEntity("bold", len(text), len(part)))
        text, units = text + part, units + length
    read = only(message(1, text + ".", entities=entities))
    assert (read.text, list(read.entities)) == (text + ".", expected)


def test_odd_spans() -> None:
    """A span that ends outside of the text, or inside of a character, is left out."""
    spans = [(0, 1), (1, 1), (0, 99), (2, 0), (-1, 1), (1, "x")]
    entities = [{"type": "bold", "offset": offset, "length": length} for offset, length in spans]
    assert only(message(1, "😀a", entities=entities)).entities == ()


def test_half_characters() -> None:
    """Half a character, which JSON can hold and UTF-8 cannot, is replaced."""
    row = json.loads(json.dumps(message(1, "a\ud83d")))
    assert only(row).text == "a\ufffd"


@pytest.mark.parametrize(
    ("fields", "attachment"),
    [
        (
            {"photo": [{"file_size": 5}, {"file_size": 9}]},
            ImportedAttachment("photo", size_bytes=9),
        ),
        (
            {"document": {"file_name": "a.pdf", "mime_type": "application/pdf", "file_size": 3}},
            ImportedAttachment("document", "a.pdf", "application/pdf", 3),
        ),
        (
            {"animation": {"file_name": "a.mp4"}, "document": {"file_name": "a.mp4"}},
            ImportedAttachment("animation", "a.mp4"),
        ),
        (
            {"voice": {"mime_type": "audio/ogg"}},
            ImportedAttachment("voice_message", "", "audio/ogg"),
        ),
        ({"video_note": {"length": 1}}, ImportedAttachment("video_message")),
        ({"sticker": {"emoji": "👍"}}, ImportedAttachment("sticker")),
        ({"venue": {"title": "x"}, "location": {"latitude": 1.0}}, ImportedAttachment("location")),
        ({"contact": {"phone_number": "1"}}, ImportedAttachment("contact")),
    ],
)
def test_media(fields: dict[str, Any], attachment: ImportedAttachment) -> None:
    """Media keep their kind, and their caption with its spans is the text."""
    row = message(1, caption="see @ada", **fields) | {
        "caption_entities": [{"type": "mention", "offset": 4, "length": 4}]
    }
    del row["text"]
    read = only(row)
    assert read.attachments == (attachment,)
    assert (read.text, read.entities) == ("see @ada", (ImportedEntity("mention", 4, 4),))


def test_poll() -> None:
    """A poll's words are its text."""
    row = message(1, poll={"question": "Lunch?", "options": [{"text": "yes"}, {"text": "no"}]})
    del row["text"]
    assert only(row).text == "Lunch?\nyes\nno"


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ({"message": message(1, "", new_chat_members=[ADA])}, "service"),
        ({"message": message(1, date=0)}, "no usable number or date"),
        ({"message": message(1, message_id=None)}, "no usable number or date"),
        ({"message": message(1, chat={})}, "chat without an id"),
        ({"my_chat_member": {"chat": TEAM}}, "another kind of update"),
        ({}, "another kind of update"),
    ],
)
def test_skipped(update: dict[str, Any], reason: str) -> None:
    """What nobody said is told by its reason."""
    assert read_update({"update_id": 3} | update) == SkippedRow("update 3", reason)


def test_migration() -> None:
    """Both announcements of a migration name the old group and the supergroup."""
    old = message(1, "", chat=GROUP, migrate_to_chat_id=-1000000001234)
    new = message(1, "", migrate_from_chat_id=-55)
    assert read_update({"update_id": 1, "message": old}) == Migration(
        "-55", ImportedChat("-1000000001234", "Small team", "supergroup")
    )
    assert read_update({"update_id": 2, "message": new}) == Migration(
        "-55", ImportedChat("-1000000001234", "Team", "supergroup")
    )


@pytest.mark.parametrize(
    ("chat", "expected"),
    [
        (ADA | {"type": "private"}, "7@helper"),
        (GROUP, "-55@helper"),
        (TEAM, "-1000000001234"),
        (TEAM | {"type": "channel"}, "-1000000001234"),
    ],
)
def test_account(chat: dict[str, Any], expected: str) -> None:
    """Chats in which each bot counts for itself are known by its name, too; those that count for all are not."""
    answer = message(2, chat=chat, reply_to_message=message(1, chat=chat))
    post = of_account(read_update({"update_id": 1, "message": answer}), "helper")
    assert isinstance(post, Post)
    assert (post.chat.external_id, post.message.chat_external_id) == (expected, expected)
    assert post.message.reply_to_external_id == "1"


def test_migration_of_an_account() -> None:
    """The group that became a supergroup is known by the bot's name, the supergroup is not."""
    for fields in (
        {"chat": GROUP, "migrate_to_chat_id": -1000000001234},
        {"migrate_from_chat_id": -55},
    ):
        item = of_account(
            read_update({"update_id": 1, "message": message(1, "", **fields)}), "helper"
        )
        assert isinstance(item, Migration)
        assert (item.old_external_id, item.chat.external_id) == ("-55@helper", "-1000000001234")
    skipped = SkippedRow("update 3", "service")
    assert of_account(skipped, "helper") is skipped


NAMES = (
    "message_id date edit_date chat id type title first_name from is_bot sender_chat text caption "
    "entities offset length url user language photo document file_name file_size poll question "
    "options reply_to_message message_thread_id is_topic_message migrate_to_chat_id"
).split()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(value=VALUES, field=st.sampled_from(NAMES))
def test_arbitrary_updates(value: Any, field: str) -> None:
    """Whatever an update holds, it is told apart without an error and fits into a request to ingest."""
    for update in (
        {"update_id": 1, "message": value},
        {"update_id": 1, "message": message(1) | {field: value}},
        {"update_id": 1, "message": message(1, caption="x", entities=[{field: value}])},
    ):
        item = read_update(update)
        if isinstance(item, Post):
            message_input(item.message).SerializeToString()
            source_ref(item.chat, pb.SOURCE_KIND_TELEGRAM).SerializeToString()
