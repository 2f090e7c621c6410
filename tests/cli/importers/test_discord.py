"""Discord exports: every quirk of the exporter, truncation, and arbitrary bytes."""

import json
import tracemalloc
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
    Truncated,
    UnreadableExport,
)
from services.cli.importers.discord import REACTIONS, DiscordExport
from tests.cli.importers.reading import SLOW_DISK, drain, json_values, messages

ADA = {"id": "7", "name": "ada", "discriminator": "0000", "nickname": "Ada", "isBot": False}
BOT = {"id": "9", "name": "deploy", "isBot": True}


def row(number: int, content: str = "hello", **fields: Any) -> dict[str, Any]:
    """A message row as the exporter writes it."""
    return {
        "id": str(number),
        "type": "Default",
        "timestamp": "2024-05-01T12:00:00.123+02:00",
        "timestampEdited": None,
        "callEndedTimestamp": None,
        "isPinned": False,
        "content": content,
        "author": ADA,
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        "mentions": [],
    } | fields


def channel(*rows: Any, **fields: Any) -> dict[str, Any]:
    """An export of one channel."""
    about = {"id": "42", "type": "GuildTextChat", "categoryId": "3", "category": "Text"}
    return {
        "guild": {"id": "1", "name": "Team", "iconUrl": "x"},
        "channel": about | {"name": "general", "topic": None} | fields,
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2024-06-01T00:00:00+00:00",
        "messages": rows,
        "messageCount": len(rows),
    }


def write(folder: Path, content: Any) -> DiscordExport:
    """The content as a file to import: bytes as they are, anything else as JSON."""
    file = folder / "general.json"
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False, indent=1).encode()
    file.write_bytes(content)
    return DiscordExport(file)


def only(folder: Path, one: dict[str, Any]) -> ImportedMessage:
    """The message that an export of one row gives."""
    (message,) = messages(write(folder, channel(one)))
    return message


def spans(message: ImportedMessage) -> list[tuple[str, str, str]]:
    """Each span's type, words and link."""
    return [(e.type, message.text[e.offset :][: e.length], e.url) for e in message.entities]


def test_channel(tmp_path: Path) -> None:
    """An export gives its channel, then its messages with every plain field."""
    items = list(write(tmp_path, channel(row(1, "hi"))))
    assert items == [
        ImportedChat("discord:42", "Team / general", "GuildTextChat"),
        ImportedMessage(
            chat_external_id="discord:42",
            external_id="1",
            thread_id="",
            reply_to_external_id="",
            author_external_id="7",
            author_name="Ada",
            author_is_bot=False,
            text="hi",
            sent_at=datetime(2024, 5, 1, 10, 0, 0, 123000, tzinfo=UTC),
        ),
    ]


def test_thread_title(tmp_path: Path) -> None:
    """A thread is a conversation of its own, called after its channel too."""
    thread = channel(row(1), type="GuildPublicThread", category="general", name="Outage")
    first = next(iter(write(tmp_path, thread)))
    assert isinstance(first, ImportedChat)
    assert first.title == "Team / general / Outage"


def test_edit_and_precise_time(tmp_path: Path) -> None:
    """An edit has its time, and times finer than a microsecond are cut."""
    message = only(tmp_path, row(1, timestampEdited="2024-05-01T10:05:00.1234567+00:00"))
    assert message.edited_at == datetime(2024, 5, 1, 10, 5, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"messageId": "5", "channelId": "42", "guildId": "1"}, "5"),
        ({"messageId": "5"}, "5"),
        ({"messageId": "5", "channelId": "43"}, ""),
        ({"messageId": None, "channelId": "42"}, ""),
        ({"messageId": "5", "channelId": "42", "type": "Forward"}, ""),
    ],
)
def test_replies(tmp_path: Path, reference: dict[str, Any], expected: str) -> None:
    """A reply names the message it answers, if that is one of this channel and no forward."""
    message = only(tmp_path, row(6, type="Reply", reference=reference))
    assert message.reply_to_external_id == expected
    assert (message.forwarded_from is None) == ("type" not in reference)


def test_forward(tmp_path: Path) -> None:
    """A forwarded text and its files are kept, and are no reply."""
    forwarded = {"content": "from elsewhere", "attachments": [{"fileName": "a.pdf"}]}
    reference = {"messageId": "5", "channelId": "43", "guildId": "1"}
    message = only(tmp_path, row(6, "", reference=reference, forwardedMessage=forwarded))
    assert (message.text, message.reply_to_external_id) == ("from elsewhere", "")
    assert message.forwarded_from == ImportedOrigin("discord:43")
    assert message.attachments == (ImportedAttachment("document", "a.pdf"),)


def test_forward_without_words(tmp_path: Path) -> None:
    """What a forward embeds is what was forwarded, as its stickers are, whatever is said of it."""
    forwarded = {
        "content": "",
        "embeds": [{"author": {"name": "octocat"}, "title": "Opened #7"}],
        "stickers": [{"id": "1", "name": "Wave"}],
    }
    message = only(tmp_path, row(6, "look", forwardedMessage=forwarded))
    assert message.text == "look\noctocat\nOpened #7"
    assert message.forwarded_from == ImportedOrigin()
    assert message.attachments == (ImportedAttachment("sticker", "Wave"),)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", "photo"),
        ("a.gif", "animation"),
        ("a.mp4", "video_file"),
        ("voice-message.ogg", "voice_message"),
        ("a.mp3", "audio_file"),
        ("a.tar.gz", "document"),
    ],
)
def test_attachments(tmp_path: Path, name: str, kind: str) -> None:
    """Files keep name, size and a kind by their name."""
    file = {"id": "1", "url": "files/x", "fileName": name, "fileSizeBytes": 5}
    message = only(tmp_path, row(1, "", attachments=[file]))
    assert message.attachments == (ImportedAttachment(kind, name, "", 5),)
    assert message.kind == kind


def test_stickers(tmp_path: Path) -> None:
    """A sticker is an attachment with its name."""
    message = only(tmp_path, row(1, "", stickers=[{"id": "1", "name": "Wave"}]))
    assert message.attachments == (ImportedAttachment("sticker", "Wave"),)


def test_embeds(tmp_path: Path) -> None:
    """The embeds of a bot are what it says; those of a person are only previews of links."""
    embed = {
        "title": "Build failed",
        "description": "main is red",
        "fields": [{"name": "Step", "value": "test", "isInline": True}],
        "footer": {"text": "ci"},
    }
    bot = only(tmp_path, row(1, "look", author=BOT, embeds=[embed]))
    assert bot.text == "look\nBuild failed\nmain is red\nStep\ntest\nci"
    assert bot.author_is_bot
    assert only(tmp_path, row(1, "look", embeds=[embed])).text == "look"
    assert only(tmp_path, row(1, "", embeds=[embed])).text.startswith("Build failed")


def test_markup(tmp_path: Path) -> None:
    """Markup that the exporter left alone becomes readable, and every span is where its words are."""
    content = "😀 <@!8> see <https://a.test/x?y=1>, <:party:123> at <t:1714557600:R>, `go()` <@99>"
    message = only(tmp_path, row(1, content, mentions=[{"id": "8", "name": "grace"}]))
    assert message.text == (
        "😀 @grace see <https://a.test/x?y=1>, :party: at 2024-05-01 10:00 UTC, `go()` @99"
    )
    assert spans(message) == [
        ("mention", "@grace", "discord://-/users/8"),
        ("link", "https://a.test/x?y=1", ""),
        ("code", "go()", ""),
        ("mention", "@99", "discord://-/users/99"),
    ]


def test_code_block(tmp_path: Path) -> None:
    """A fenced block is a span with its language."""
    message = only(tmp_path, row(1, "```py\nx = 1\n```"))
    assert message.entities == (ImportedEntity("pre", 6, 6, language="py"),)


def test_reactions_are_counted(tmp_path: Path) -> None:
    """That reactions are left out is said."""
    export = write(tmp_path, channel(row(1, reactions=[{"emoji": {"name": "👍"}, "count": 2}])))
    assert len(messages(export)) == 1
    assert export.summary.notes == {REACTIONS: 1}


def test_skipped_rows_are_counted(tmp_path: Path) -> None:
    """Rows that nobody said are reported one by one and counted by reason."""
    rows = [
        row(1, type="GuildMemberJoin"),
        row(2, type="ChannelPinnedMessage"),
        row(3, type="8"),
        row(4, type="20", author=BOT),
        {"type": "Default"},
        "nonsense",
        row(5, timestamp="soon"),
        row(6, timestamp="0001-01-01T00:00:00+14:00"),
        row(7, type=19),
    ]
    export = write(tmp_path, channel(*rows))
    items = list(export)
    assert SkippedRow("message 1", "GuildMemberJoin", is_event=True) in items
    assert [m.external_id for m in messages(items)] == ["4", "7"]
    assert export.summary.skipped == {
        "GuildMemberJoin": 1,
        "ChannelPinnedMessage": 1,
        "kind 8": 1,
        "no id": 1,
        "not a JSON object": 1,
        "no usable timestamp": 2,
    }
    assert export.summary.unreadable == 4


def test_truncated_at_every_byte(tmp_path: Path) -> None:
    """A file cut anywhere gives every message that is whole, then says where it broke."""
    data = json.dumps(channel(row(1, "a\\b"), row(2, "пні"))).encode()
    ends = [data.index(b', {"id": "2"'), data.index(b'], "messageCount"')]
    for length in range(1, len(data), 3):
        items, failure = drain(write(tmp_path, data[:length]))
        assert isinstance(failure, Truncated)
        whole = sum(length >= end for end in ends)
        assert (failure.byte_offset, failure.messages_read) == (length, whole)
        assert len(messages(items)) == whole


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\r\n \n", "the file is empty"),
        (b"<html>", "not JSON between byte 0 and byte 6; export again as JSON (`--format Json`)"),
        (b"AuthorID,Author,Date,Content", "export again as JSON (`--format Json`)"),
        ('{"guild": {}'.encode("utf-16"), "the file is UTF-16"),
        (b"[]", "no JSON object"),
        (b'{"a": 1}', "no `messages`"),
        (b'{"messages": []}', "no `channel.id`"),
        (b"PK\x03\x04\x14\x00\x00", "the file is compressed: unpack it first"),
        (b'{"channel": {"id": null}, "messages": []}', "no `channel.id`"),
    ],
)
def test_unreadable(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is no export is refused with one line that names the file and the reason."""
    _, failure = drain(write(tmp_path, content))
    assert isinstance(failure, UnreadableExport)
    assert reason in failure.reason
    assert str(failure).startswith(str(tmp_path / "general.json"))


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is refused at once."""
    with pytest.raises(UnreadableExport, match="No such file"):
        DiscordExport(tmp_path / "absent.json")


def test_progress_and_reading_twice(tmp_path: Path) -> None:
    """The bytes read rise to the file's size, and iterating again starts over."""
    export = write(tmp_path, channel(*(row(n, "x" * 1000) for n in range(200))))
    seen = [export.bytes_read for _ in export]
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] == export.bytes_total
    assert list(export) == list(export)
    assert export.summary.messages == 200


def test_flat_memory(tmp_path: Path) -> None:
    """Only a small, constant part of an export is ever held."""
    export = write(tmp_path, channel(*(row(n, "x" * 200) for n in range(10_000))))
    tracemalloc.start()
    count = sum(1 for _ in export)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_001
    assert peak < 4 << 20 < export.bytes_total


@SLOW_DISK
@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    """Arbitrary bytes give typed errors only."""
    drain(write(tmp_path, data))


JSON_VALUES = json_values(
    "id type name messages channel guild content author isBot timestamp reference fields "
    "messageId channelId embeds title attachments fileName fileSizeBytes mentions"
)


@SLOW_DISK
@given(value=JSON_VALUES, rows=st.lists(JSON_VALUES, max_size=4), odd=JSON_VALUES)
def test_arbitrary_shapes(tmp_path: Path, value: Any, rows: list[Any], odd: Any) -> None:
    """Well-formed JSON of any shape gives messages, skipped rows or typed errors only."""
    drain(write(tmp_path, json.dumps(value).encode()))
    rows += [row(1, "x") | {field: odd} for field in (*row(1), "reference", "forwardedMessage")]
    items, failure = drain(write(tmp_path, json.dumps(channel(*rows)).encode()))
    assert failure is not None or len(items) == len(rows) + 1


@SLOW_DISK
@given(
    st.text(
        st.sampled_from("<@!8>:at`py\n https://a.b )😀") | st.characters(exclude_categories=["Cs"])
    )
)
def test_spans_lie_within_the_text(tmp_path: Path, content: str) -> None:
    """Whatever is written, every span covers characters of the text."""
    message = only(tmp_path, row(1, content, mentions=[ADA | {"id": "8"}]))
    assert all(e.length > 0 and e.offset + e.length <= len(message.text) for e in message.entities)
