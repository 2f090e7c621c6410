"""Telegram exports: every quirk of the exporter, truncation, and arbitrary bytes."""

import json
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.cli.importers import (
    ImportedAttachment,
    ImportedChat,
    ImportedEntity,
    ImportedItem,
    ImportedMessage,
    ImportFailure,
    SkippedRow,
    Truncated,
    UnreadableExport,
)
from services.cli.importers.telegram import CHUNK_BYTES, TelegramExport
from services.cli.importers.telegram_json import EscapeFilter
from services.cli.importers.telegram_message import NAIVE_DATE

DEMO = Path(__file__).parents[3] / "services" / "cli" / "demo" / "chat.json"
SLOW_DISK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
STORABLE = st.text(st.characters(exclude_categories=["Cs"]))


def row(number: int, text: Any = "hello", **fields: Any) -> dict[str, Any]:
    """A message row as the exporter writes it."""
    return {
        "id": number,
        "type": "message",
        "date": "2024-05-01T12:00:00",
        "date_unixtime": "1714557600",
        "from": "Ada",
        "from_id": "user7",
        "text": text,
    } | fields


def chat(*rows: Any, **fields: Any) -> dict[str, Any]:
    """A single-chat export."""
    return {"name": "Team", "type": "private_supergroup", "id": 42} | fields | {"messages": rows}


def write(folder: Path, content: Any) -> TelegramExport:
    """The content as a file to import: bytes as they are, anything else as JSON."""
    file = folder / "result.json"
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False).encode()
    file.write_bytes(content)
    return TelegramExport(file)


def messages(items: Iterable[ImportedItem]) -> list[ImportedMessage]:
    """Only the messages."""
    return [item for item in items if isinstance(item, ImportedMessage)]


def only(folder: Path, one: dict[str, Any]) -> ImportedMessage:
    """The message that an export of one row gives."""
    (message,) = messages(write(folder, chat(one)))
    return message


def drain(export: TelegramExport) -> tuple[list[ImportedItem], ImportFailure | None]:
    """Everything read before the end or the failure."""
    items: list[ImportedItem] = []
    try:
        items.extend(export)
    except ImportFailure as failure:
        return items, failure
    return items, None


def test_single_chat(tmp_path: Path) -> None:
    """A single-chat export gives its chat, then its messages with every plain field."""
    items = list(write(tmp_path, chat(row(1, "hi"), row(2, "", reply_to_message_id=1))))
    assert items[0] == ImportedChat("-10042", "Team", "private_supergroup")
    assert items[1] == ImportedMessage(
        chat_external_id="-10042",
        external_id="1",
        thread_id="",
        reply_to_external_id="",
        author_external_id="user7",
        author_name="Ada",
        author_is_bot=False,
        text="hi",
        sent_at=datetime(2024, 5, 1, 10, 0, tzinfo=UTC),
    )
    assert isinstance(items[2], ImportedMessage)
    assert items[2].reply_to_external_id == "1"


def test_folder(tmp_path: Path) -> None:
    """The export's folder may be given in place of its file."""
    write(tmp_path, chat(row(1)))
    assert len(messages(TelegramExport(tmp_path))) == 1


def test_full_account(tmp_path: Path) -> None:
    """A full-account export gives the chats that were left too, each before its own messages."""
    account = {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 1, "first_name": "Ada", "id": 9},
        "contacts": {"about": "", "list": [{"first_name": "Bob"}]},
        "chats": {"about": "x", "list": [chat(row(1)), chat(row(1), row(2), id=43)]},
        "left_chats": {"about": "y", "list": [chat(row(5), id=44, type="private_group")]},
    }
    seen = [
        item.external_id
        for item in write(tmp_path, account)
        if isinstance(item, ImportedChat | ImportedMessage)
    ]
    assert seen == ["-10042", "1", "-10043", "1", "2", "-44", "5"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("personal_chat", "42"),
        ("bot_chat", "42"),
        ("saved_messages", "42"),
        ("private_group", "-42"),
        ("private_supergroup", "-10042"),
        ("public_supergroup", "-10042"),
        ("private_channel", "-10042"),
        ("public_channel", "-10042"),
        ("something_new", "42"),
    ],
)
def test_chat_ids(tmp_path: Path, kind: str, expected: str) -> None:
    """A chat has the id that the Bot API gives it, so that a bot and an export meet."""
    first = next(iter(write(tmp_path, chat(type=kind))))
    assert isinstance(first, ImportedChat)
    assert first.external_id == expected


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


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (rb"a\x0bb", "a\x0bb"),
        (rb"\x1f\x01", "\x1f\x01"),
        (rb"C:\\x41", r"C:\x41"),
        (rb"\\\x07", "\\\x07"),
        (rb"\\\\x07", r"\\x07"),
        (rb"\"\x02\"", '"\x02"'),
        (rb"\ud83d\ude00", "😀"),
        (rb"\ud83d alone", "\ufffd alone"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\u2028\n", "\u2028\n"),
    ],
)
def test_escapes_at_every_offset(tmp_path: Path, written: bytes, expected: str) -> None:
    """Illegal escapes are read right wherever a chunk's end cuts them; escaped backslashes stay."""
    head, tail = json.dumps(chat(row(1, "@"))).encode().split(b"@")
    for shift in range(len(written) + 1):
        pad = CHUNK_BYTES - len(head) - shift
        (message,) = messages(write(tmp_path, head + b"p" * pad + written + tail))
        assert message.text == "p" * pad + expected


@given(st.lists(st.sampled_from([b"\\", b"x", b"4", b"1", b"u", b"d83d", b"de00", b'"', b"z"])))
def test_filter_does_not_depend_on_chunks(parts: list[bytes]) -> None:
    """The filter gives the same bytes however its input is cut."""
    whole, split = EscapeFilter(), EscapeFilter()
    data = b"".join(parts)
    expected = whole.feed(data) + whole.finish()
    bytewise = [split.feed(data[i : i + 1]) for i in range(len(data))]
    assert b"".join([*bytewise, split.finish()]) == expected


def test_edits(tmp_path: Path) -> None:
    """An edit's Unix time is kept; an old export's "never" in 1970 is no edit."""
    edited = only(tmp_path, row(1, edited="2024-05-02T00:00:00", edited_unixtime="1714600000"))
    assert edited.edited_at == datetime.fromtimestamp(1714600000, UTC)
    for never in ("1970-01-01T00:00:00", "1970-01-01T03:00:00"):
        assert only(tmp_path, row(1, edited=never)).edited_at is None


def test_missing_unixtime(tmp_path: Path) -> None:
    """Without a Unix time the date is read as UTC, and the summary says so."""
    old = row(1, from_id=7)
    del old["date_unixtime"]
    export = write(tmp_path, chat(old))
    (message,) = messages(export)
    assert message.sent_at == datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
    assert message.author_external_id == "user7"
    assert export.summary.notes == {NAIVE_DATE: 1}


def test_deleted_account(tmp_path: Path) -> None:
    """A null sender keeps its id and has no name."""
    message = only(tmp_path, row(1, **{"from": None}))
    assert (message.author_external_id, message.author_name) == ("user7", "")


def test_bots(tmp_path: Path) -> None:
    """The peer of a bot chat is a bot, and so is who is called one; a Talbot Smith is not."""
    peer = messages(write(tmp_path, chat(row(1), id=7, type="bot_chat")))
    assert peer[0].author_is_bot
    assert only(tmp_path, row(1, **{"from": "Release Bot"})).author_is_bot
    assert not only(tmp_path, row(1, **{"from": "Talbot Smith"})).author_is_bot


def test_forward(tmp_path: Path) -> None:
    """A forwarded message says from whom; the sender is who forwarded it."""
    message = only(tmp_path, row(1, forwarded_from="Grace", forwarded_from_id="user8"))
    assert (message.forwarded_from, message.author_name) == ("Grace", "Ada")


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


def test_skipped_rows_are_counted(tmp_path: Path) -> None:
    """Rows that are no messages are reported one by one and counted by reason."""
    rows = [
        {"id": 1, "type": "service", "action": "migrate_from_group", "date_unixtime": "1714557600"},
        {"id": 2, "type": "unsupported"},
        {"type": "message", "text": "x"},
        "nonsense",
        row(3, date_unixtime="soon"),
        row(4, {"odd": 1}),
        row(5, [7]),
        row(6, type="hologram"),
        row(-999_999_999),
    ]
    export = write(tmp_path, chat(*rows))
    items = list(export)
    assert SkippedRow("message 1", "service", "migrate_from_group") in items
    assert [m.external_id for m in messages(items)] == ["-999999999"]
    assert export.summary.skipped == {
        "service": 1,
        "unsupported": 1,
        "no id": 1,
        "not a JSON object": 1,
        "no usable date": 1,
        "text of an unknown shape": 2,
        "unknown type": 1,
    }


def test_truncated_at_every_byte(tmp_path: Path) -> None:
    """A file cut anywhere gives every message that is whole, then says where it broke."""
    data = json.dumps(chat(row(1, "a\\b"), row(2, ["п", {"type": "bold", "text": "ні"}]))).encode()
    ends = [data.index(b'"id": 2') - 4, data.rindex(b"}]")]
    for length in range(1, len(data)):
        items, failure = drain(write(tmp_path, data[:length]))
        assert isinstance(failure, Truncated)
        whole = sum(length > end for end in ends)
        assert (failure.byte_offset, failure.messages_read) == (length, whole)
        assert len(messages(items)) == whole


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>", "not JSON between byte 0 and byte 6"),
        (b"[]", "no JSON object"),
        (b'{"a": 1}', "neither `messages` nor `chats`"),
        (b'{"messages": []}', "no whole-number `id`"),
        (b'{"id": "x", "messages": []}', "no whole-number `id`"),
        (b'{"chats": {"list": 5}}x', "not JSON"),
        (b'{"id": 99999999999999999999999}', "not JSON"),
    ],
)
def test_unreadable(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is no export is refused with one line that names the file and the reason."""
    _, failure = drain(write(tmp_path, content))
    assert isinstance(failure, UnreadableExport)
    assert reason in failure.reason
    assert str(failure).startswith(str(tmp_path / "result.json"))


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is refused at once."""
    with pytest.raises(UnreadableExport, match="No such file"):
        TelegramExport(tmp_path / "absent.json")


def test_corrupt_middle(tmp_path: Path) -> None:
    """Bytes that are not JSON stop the import after the whole messages before them."""
    data = json.dumps(chat(row(1), row(2))).encode().replace(b'"id": 2', b'"id": \xff')
    items, failure = drain(write(tmp_path, data))
    assert len(messages(items)) == 1
    assert isinstance(failure, UnreadableExport)
    assert "1 whole message" in failure.reason


def test_byte_order_mark(tmp_path: Path) -> None:
    """A byte-order mark in front of the export is passed over."""
    data = b"\xef\xbb\xbf" + json.dumps(chat(row(1))).encode()
    assert len(messages(write(tmp_path, data))) == 1


def test_deep_nesting(tmp_path: Path) -> None:
    """Nesting deeper than Python's call stack is read or refused, never a crash."""
    data = json.dumps(chat(row(1, "@"), row(2))).replace('"@"', "[" * 5000 + "]" * 5000)
    export = write(tmp_path, data.encode())
    assert [m.external_id for m in messages(export)] == ["2"]


def test_progress(tmp_path: Path) -> None:
    """The bytes read rise to the file's size, so that a rate and a time left can be shown."""
    export = write(tmp_path, chat(*(row(n, "x" * 1000) for n in range(300))))
    seen = [export.bytes_read for _ in export]
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] == export.bytes_total


def test_reads_twice(tmp_path: Path) -> None:
    """Iterating again starts over, with the same keys and a fresh summary."""
    export = write(tmp_path, chat(row(1), row(2)))
    assert list(export) == list(export)
    assert export.summary.messages == 2


def test_flat_memory(tmp_path: Path) -> None:
    """Only a small, constant part of an export is ever held."""
    export = write(tmp_path, chat(*(row(n, "x" * 200) for n in range(20_000))))
    tracemalloc.start()
    count = sum(1 for _ in export)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_001
    assert peak < 4 << 20 < export.bytes_total


@SLOW_DISK
@given(texts=st.lists(STORABLE | st.lists(STORABLE, max_size=4), max_size=8), cut=st.data())
def test_texts_round_trip(tmp_path: Path, texts: list[Any], cut: st.DataObject) -> None:
    """Whatever texts an export holds, as the exporter writes them, they come out the same."""
    rows = [
        row(n, text if isinstance(text, str) else [{"type": "bold", "text": t} for t in text])
        for n, text in enumerate(texts, start=1)
    ]
    data = as_telegram_writes(json.dumps(chat(*rows), ensure_ascii=False))
    read = [m.text for m in messages(write(tmp_path, data))]
    assert read == [text if isinstance(text, str) else "".join(text) for text in texts]


def as_telegram_writes(text: str) -> bytes:
    """Legal JSON with its control-character escapes in the exporter's illegal form."""
    escapes = {f"\\u{code:04x}": f"\\x{code:02x}" for code in range(32)}
    parts = text.split("\\\\")
    for legal, illegal in escapes.items():
        parts = [part.replace(legal, illegal) for part in parts]
    return "\\\\".join(parts).encode()


@SLOW_DISK
@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    """Arbitrary bytes give typed errors only."""
    drain(write(tmp_path, data))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "id type name messages chats left_chats list text text_entities date from from_id "
                "date_unixtime edited reply_to_message_id action poll answers photo href".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@SLOW_DISK
@given(value=JSON_VALUES, rows=st.lists(JSON_VALUES, max_size=4), odd=JSON_VALUES)
def test_arbitrary_shapes(tmp_path: Path, value: Any, rows: list[Any], odd: Any) -> None:
    """Well-formed JSON of any shape gives messages, skipped rows or typed errors only."""
    drain(write(tmp_path, json.dumps(value).encode()))
    fields = ("text", "date_unixtime", "date", "from_id", "poll", "type", "id", "file_name")
    rows += [row(1, "x") | {field: odd} for field in fields]
    items, failure = drain(write(tmp_path, json.dumps(chat(*rows)).encode()))
    assert failure is not None or len(items) == len(rows) + 1


def test_demo_chat() -> None:
    """The shipped sample chat imports whole: two languages, replies, formatting, an edit, a bot."""
    export = TelegramExport(DEMO)
    read = messages(export)
    ids = {message.external_id for message in read}
    assert len(read) > 140
    assert export.summary.skipped == {"service": 3}
    assert {m.reply_to_external_id for m in read} - {""} <= ids
    assert {e.type for m in read for e in m.entities} == {"code", "link", "mention", "pre"}
    assert any(m.edited_at for m in read)
    assert {m.author_name for m in read if m.author_is_bot} == {"Harbor CI Bot"}
    assert len({m.author_external_id for m in read}) == 7
