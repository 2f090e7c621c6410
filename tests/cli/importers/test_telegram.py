"""Telegram exports: every quirk of the exporter, truncation, and arbitrary bytes."""

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.importers import (
    ImportedChat,
    ImportedMessage,
    SkippedRow,
    Truncated,
    UnreadableExport,
)
from services.cli.importers.telegram import CHUNK_BYTES, TelegramExport
from services.cli.importers.telegram_json import VALUE_BYTES_MAX, EscapeFilter
from tests.cli.importers.reading import (
    SLOW_DISK,
    drain,
    folder_for_all,
    json_values,
    messages,
    shut,
)
from tests.cli.importers.telegram_export import chat, ids, row, write

DEMO = Path(__file__).parents[3] / "services" / "cli" / "demo" / "chat.json"
STORABLE = st.text(st.characters(exclude_categories=["Cs"]))


def test_single_chat(tmp_path: Path) -> None:
    """A single-chat export gives its chat, then its messages with every plain field."""
    items = list(write(tmp_path, chat(row(1, "hi"), row(2, "", reply_to_message_id=1))))
    assert items[0] == ImportedChat("-1000000000042", "Team", "private_supergroup")
    assert items[1] == ImportedMessage(
        chat_external_id="-1000000000042",
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


def test_a_folder_that_cannot_be_read() -> None:
    """An export in a folder that cannot be looked into is one that cannot be read."""
    with folder_for_all() as folder:
        write(folder, chat(row(1)))
        for path in (folder, folder / "result.json"):
            with shut(folder), pytest.raises(UnreadableExport) as raised:
                TelegramExport(path)
            assert str(raised.value) == f"{folder / 'result.json'}: Permission denied"


def test_full_account(tmp_path: Path) -> None:
    """A full-account export gives the chats that were left too, each before its own messages."""
    account = {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 1, "first_name": "Ada", "id": 9},
        "contacts": {"about": "", "list": [{"first_name": "Bob"}]},
        "chats": {"about": "x", "list": [chat(row(1)), chat(row(1), row(2), id=43)]},
        "left_chats": {"about": "y", "list": [chat(row(5), id=44, type="private_group")]},
    }
    assert ids(write(tmp_path, account)) == [
        "-1000000000042",
        "1",
        "-1000000000043",
        "1",
        "2",
        "-44@1",
        "5",
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("personal_chat", "42"),
        ("bot_chat", "42"),
        ("saved_messages", "42@42"),
        ("private_group", "-42"),
        ("private_supergroup", "-1000000000042"),
        ("public_supergroup", "-1000000000042"),
        ("private_channel", "-1000000000042"),
        ("public_channel", "-1000000000042"),
        ("something_new", "42"),
    ],
)
def test_chat_ids(tmp_path: Path, kind: str, expected: str) -> None:
    """A chat has the id that the Bot API gives it, so that a bot and an export meet; own notes are their owner's."""
    first = next(iter(write(tmp_path, chat(type=kind))))
    assert isinstance(first, ImportedChat)
    assert first.external_id == expected


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
    assert SkippedRow("message 1", "service", "migrate_from_group", "Team", is_event=True) in items
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
    assert export.summary.unreadable == 6


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
        (b"\xef\xbb\xbf\r\n \n", "the file is empty"),
        (b"<html>", "not JSON between byte 0 and byte 6; export again as “Machine-readable JSON”"),
        ('{"messages": []}'.encode("utf-16"), "the file is UTF-16"),
        ('{"messages": []}'.encode("utf-16-le"), "the file is UTF-16"),
        (b"[]", "no JSON object"),
        (b"PK\x03\x04\x14\x00\x00", "the file is compressed: unpack it first"),
        (b"\xfd7zXZ\x00\x00\x04", "the file is compressed: unpack it first"),
        (b'{"a": 1}', "neither `messages` nor `chats`"),
        (
            b'{"guild": {}, "messages": []}',
            "not a Telegram export: a chat has no whole-number `id`",
        ),
        (b'{"messages": []}', "no whole-number `id`"),
        (b'{"id": "x", "messages": []}', "no whole-number `id`"),
        (b'{"chats": {"list": 5}}x', "not JSON"),
        (b'{"id": 99999999999999999999999}', "a number too large to read"),
    ],
)
def test_unreadable(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is no export is refused with one line that names the file and the reason."""
    _, failure = drain(write(tmp_path, content))
    assert isinstance(failure, UnreadableExport)
    assert reason in failure.reason
    assert str(failure).startswith(str(tmp_path / "result.json"))


@pytest.mark.parametrize("filling", [b"x", b" "])
def test_a_value_without_end(tmp_path: Path, filling: bytes) -> None:
    """A text or a gap that no message has is refused early: reading it takes ever longer, the longer it gets."""
    quotes = b'"' if filling == b"x" else b""
    data = b'{"id": 1, "name": ' + quotes + filling * (VALUE_BYTES_MAX + 2 * CHUNK_BYTES) + quotes
    _, failure = drain(write(tmp_path, data + (b"}" if quotes else b"1}")))
    assert isinstance(failure, UnreadableExport)
    assert failure.reason == "one value is too large for a message"


def test_a_type_without_end(tmp_path: Path) -> None:
    """Of what kind a chat is no more is kept than any kind has: every row is read by it."""
    data = {"id": 1, "name": "n", "type": "x" * 100_000, "messages": []}
    items, failure = drain(write(tmp_path, json.dumps(data).encode()))
    assert failure is None
    assert items == [ImportedChat("1", "n", "x" * 64)]


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is refused at once, and a folder of pages is told to be the other form of an export."""
    with pytest.raises(UnreadableExport, match="No such file"):
        TelegramExport(tmp_path / "absent.json")
    (tmp_path / "messages.html").touch()
    with pytest.raises(UnreadableExport, match="it is an HTML export; export again as"):
        TelegramExport(tmp_path)


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


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 19, "9" * 5000, "1e99999999999999999999"]
)
def test_a_number_that_cannot_be_held_is_told(tmp_path: Path, number: str) -> None:
    """JSON sets no limit to a number: it ends the reading, but must not be told as if the file were no JSON."""
    content = json.dumps(chat(row(1, "before"), row(2, "with"))).replace(
        '"text": "with"', f'"text": "with", "a": {number}'
    )
    items, failure = drain(write(tmp_path, content.encode()))
    assert [message.text for message in messages(items)] == ["before"]
    assert isinstance(failure, UnreadableExport)
    assert failure.reason.startswith("a number too large to read between byte 0 and byte")
    assert f', "a": {number}'[:15] in failure.reason
    assert failure.reason.endswith("; 1 whole message was read")


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


JSON_VALUES = json_values(
    "id type name messages chats left_chats list text text_entities date from from_id "
    "date_unixtime edited reply_to_message_id action poll answers photo href"
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
