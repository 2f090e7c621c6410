"""Slack exports: zipped and unpacked, in order, damaged, and made of arbitrary bytes."""

import io
import tracemalloc
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.importers import (
    ImportedChat,
    ImportedMessage,
    ImportFailure,
    SkippedRow,
    Truncated,
    UnreadableExport,
    slack,
)
from services.cli.importers.slack import BROKEN_DAY, UNLISTED, SlackExport
from tests.cli.importers.reading import (
    SLOW_DISK,
    drain,
    folder_for_all,
    json_values,
    messages,
    shut,
)
from tests.cli.importers.slack_export import (
    DAY,
    as_bytes,
    export,
    row,
    unpacked,
    zipped,
)


def test_zip_and_folder(tmp_path: Path) -> None:
    """A zip and the folder it unpacks to give the same chat and messages, with every plain field."""
    files = export(row(1714557600, "hi"))
    items = list(unpacked(tmp_path, files))
    assert items == list(zipped(tmp_path, files))
    assert items == [
        ImportedChat("slack:C1", "general", "channel"),
        ImportedMessage(
            chat_external_id="slack:C1",
            external_id="1714557600.000100",
            thread_id="",
            reply_to_external_id="",
            author_external_id="U1",
            author_name="Ada",
            author_is_bot=False,
            text="hi",
            sent_at=datetime(2024, 5, 1, 10, 0, 0, 100, tzinfo=UTC),
        ),
    ]


def test_a_folder_that_cannot_be_read() -> None:
    """A channel whose folder cannot be looked into is not left out in silence: the import says which and ends."""
    with folder_for_all() as folder:
        unpacked(folder, export(row(1)) | {"ops/2024-04-01.json": [row(1)]})
        for shut_out in (folder / "export" / "ops", folder / "export"):
            with shut(shut_out), pytest.raises(UnreadableExport) as raised:
                SlackExport(folder / "export")
            assert str(raised.value) == f"{shut_out}: Permission denied"


def test_days_and_channels_in_order(tmp_path: Path) -> None:
    """Every channel's days are read in order, one channel after the other."""
    files = export(row(3)) | {
        "general/2024-04-30.json": [row(2)],
        "ops/2024-04-01.json": [row(1)],
        "general/canvas.json": [row(9)],
        "canvases.json": [],
    }
    for source in (unpacked(tmp_path, files), zipped(tmp_path, files)):
        seen = [(m.chat_external_id, m.external_id[0]) for m in messages(source)]
        assert seen == [("slack:C1", "2"), ("slack:C1", "3"), ("slack:C2", "1")]


def test_packed_deeper(tmp_path: Path) -> None:
    """An export that was packed again inside of a folder, with a Mac's shadow files, is found."""
    files = {f"Team export/{name}": content for name, content in export(row(1)).items()}
    files["__MACOSX/Team export/._users.json"] = b"\0"
    files["__MACOSX/users.json"] = b"\0"
    assert len(messages(zipped(tmp_path, files))) == 1


def test_folder_named_in_other_letters(tmp_path: Path) -> None:
    """A packer that writes UTF-8 names without saying so does not part a channel from its id."""
    files = {"channels.json": [{"id": "C9", "name": "загальний"}]}
    zipped(tmp_path, files)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("channels.json", as_bytes(files["channels.json"]))
        archive.writestr("xxxxxxxxxxxxxxxxxx/2024-05-01.json", as_bytes([row(1)]))
    name = "загальний".encode()
    (tmp_path / "export.zip").write_bytes(raw.getvalue().replace(b"x" * len(name), name))
    (message,) = messages(SlackExport(tmp_path / "export.zip"))
    assert message.chat_external_id == "slack:C9"


def test_private_conversations(tmp_path: Path) -> None:
    """Groups keep their names; direct messages, whose folder is their id, are called by their members."""
    files = export() | {
        "groups.json": [{"id": "G1", "name": "board"}],
        "mpims.json": [{"id": "G2", "name": "mpdm-ada--grace-1", "members": ["U1", "U2", "U9"]}],
        "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
        "board/2024-05-01.json": [row(1)],
        "mpdm-ada--grace-1/2024-05-01.json": [row(1)],
        "D1/2024-05-01.json": [row(1)],
    }
    chats = {item for item in unpacked(tmp_path, files) if isinstance(item, ImportedChat)}
    assert chats == {
        ImportedChat("slack:C1", "general", "channel"),
        ImportedChat("slack:G1", "board", "group"),
        ImportedChat("slack:G2", "Ada, Grace H, U9", "mpim"),
        ImportedChat("slack:D1", "Ada, Grace H", "dm"),
    }


def test_unlisted_channel(tmp_path: Path) -> None:
    """Without the lists, folders stand for ids, ids for names, and it is said."""
    source = unpacked(tmp_path, {DAY: [row(1)]})
    items = list(source)
    assert items[0] == ImportedChat("slack:general", "general", "channel")
    assert messages(items)[0].author_external_id == "U1"
    assert source.summary.notes == {UNLISTED: 1}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_folder_as_macos_names_it(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    """A channel is found by its folder however its letters are written: macOS takes й apart when it unpacks."""
    channels = [{"id": "C7", "name": unicodedata.normalize("NFC", "новий-список-її")}]
    day = unicodedata.normalize(form, "новий-список-її") + "/2024-05-01.json"
    source = zipped(tmp_path, {"channels.json": channels, day: [row(1)]})
    items = list(source)
    assert items[0] == ImportedChat("slack:C7", "новий-список-її", "channel")
    assert source.summary.notes == {}


def test_skipped_rows_are_counted(tmp_path: Path) -> None:
    """Rows that nobody said are reported one by one and counted by reason."""
    rows = [
        row(1, subtype="channel_join"),
        row(2, subtype="channel_join"),
        row(3, subtype="pinned_item"),
        row(4, subtype=["odd"]),
        row(5, type="event"),
        "nonsense",
        row(6, ts="soon"),
        row(7, ts="99999999999.000000"),
        row(8, ts=None),
        row(9, subtype="me_message"),
    ]
    source = unpacked(tmp_path, export(*rows))
    items = list(source)
    assert SkippedRow(f"{DAY}, message 1.000100", "channel_join", is_event=True) in items
    assert [m.external_id for m in messages(items)] == ["9.000100"]
    assert source.summary.skipped == {
        "channel_join": 2,
        "pinned_item": 1,
        "unknown subtype": 1,
        "unknown type": 1,
        "not a JSON object": 1,
        "no usable ts": 3,
    }
    assert source.summary.unreadable == 6


def test_damaged_day(tmp_path: Path) -> None:
    """A day that is cut off is read as far as it is whole, the others too, and the end says where."""
    data = as_bytes([row(1), row(2)])
    files = export() | {DAY: data[:-20], "ops/2024-05-01.json": [row(3)]}
    for source in (unpacked(tmp_path, files), zipped(tmp_path, files)):
        items, failure = drain(source)
        assert [m.external_id[0] for m in messages(items)] == ["1", "3"]
        assert isinstance(failure, Truncated)
        assert (failure.file, failure.byte_offset) == (source.file / DAY, len(data) - 20)
        assert source.summary.skipped == {BROKEN_DAY: 1}


def test_damaged_zip(tmp_path: Path) -> None:
    """A zip that is cut off anywhere is refused; one whose bytes were changed gives typed errors only."""
    zipped(tmp_path, export(row(1, "x" * 500)))
    file = tmp_path / "export.zip"
    data = file.read_bytes()
    for length in range(0, len(data), 7):
        file.write_bytes(data[:length])
        with pytest.raises(UnreadableExport, match=r"export\.zip: no whole zip file"):
            SlackExport(file)
    for place in range(len(data)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        drain_file(file)


@pytest.mark.parametrize("content", [b'[{"type": "message"}]', b"\x1f\x8b\x08"])
def test_a_file_that_was_never_a_zip(tmp_path: Path, content: bytes) -> None:
    """Who gives one file out of an export, or another format, learns what an export is, not to download it again."""
    (tmp_path / "general.json").write_bytes(content)
    with pytest.raises(UnreadableExport, match="that is a zip, or the folder"):
        SlackExport(tmp_path / "general.json")


def drain_file(path: Path) -> None:
    """Read an export that may be refused at once."""
    try:
        export = SlackExport(path)
    except ImportFailure:
        return
    drain(export)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"readme.json": {}}, "not a Slack export"),
        (export() | {"users.json": b"{}"}, "users.json: the file is no JSON array"),
        (export() | {"channels.json": b""}, "channels.json: the file is empty"),
        (export() | {"channels.json": b"\n"}, "channels.json: the file is empty"),
        (export() | {DAY: {"messages": []}}, f"{DAY}: the file is no JSON array"),
    ],
)
def test_unreadable(tmp_path: Path, files: dict[str, Any], reason: str) -> None:
    """What is no export is refused with one line that names the file and the reason."""
    for pack in (unpacked, zipped):
        with pytest.raises(UnreadableExport, match=reason):
            list(pack(tmp_path, files))


def test_missing_file(tmp_path: Path) -> None:
    """A path that is not there is refused at once."""
    with pytest.raises(UnreadableExport, match="No such file"):
        SlackExport(tmp_path / "absent.zip")


def test_progress_and_reading_twice(tmp_path: Path) -> None:
    """The bytes read rise to the export's size, and iterating again starts over."""
    files = export(*(row(n, "x" * 1000) for n in range(200)))
    for source in (unpacked(tmp_path, files), zipped(tmp_path, files)):
        seen = [source.bytes_read for _ in source]
        assert seen == sorted(seen)
        assert 0 < seen[0] < seen[-1] == source.bytes_total
        assert list(source) == list(source)
        assert source.summary.messages == 200


def test_flat_memory(tmp_path: Path) -> None:
    """Only a small, constant part of an export is ever held, however large one day is."""
    source = zipped(tmp_path, export(*(row(n, "x" * 300) for n in range(15_000))))
    tracemalloc.start()
    count = sum(1 for _ in source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 15_001
    assert peak < 4 << 20 < source.bytes_total


def test_an_index_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small archive that unpacks to any number of people does not fill the memory: it is refused by its file."""
    monkeypatch.setattr(slack, "KNOWN_MAX", 100)
    people = [{"id": f"U{number}", "name": "x"} for number in range(101)]
    with pytest.raises(UnreadableExport, match=r"users\.json: more than 100 people and channels"):
        list(zipped(tmp_path, export(row(1)) | {"users.json": people}))


def test_a_row_without_end(tmp_path: Path) -> None:
    """A small archive that unpacks to a row of any size does not fill the memory: it is refused by its file."""
    endless = row(1, attachments=[{"text": "x" * 1_000_000}] * 40)
    items, failure = drain(zipped(tmp_path, export(row(2), endless)))
    assert [message.text for message in messages(items)] == ["hello"]
    assert isinstance(failure, UnreadableExport)
    assert failure.reason == "one value is too large for a message; 1 whole message was read"


def test_names_without_end(tmp_path: Path) -> None:
    """Of a name no more is kept than is shown, and an id that no message can have is not kept at all."""
    long = "x" * 1_000_000
    people = [{"id": f"U{number}", "name": long} for number in range(20)]
    people += [{"id": f"{long}{number}", "name": "x"} for number in range(20)]
    chats = [{"id": f"C{number}", "name": f"{number}{long}"} for number in range(20)]
    source = zipped(tmp_path, {"users.json": people, "channels.json": chats})
    tracemalloc.start()
    drain(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20


@SLOW_DISK
@given(data=st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    """Arbitrary bytes, as a zip or as any file of one, give typed errors only."""
    (tmp_path / "export.zip").write_bytes(data)
    drain_file(tmp_path / "export.zip")
    for name in ("users.json", "channels.json", DAY):
        drain(zipped(tmp_path, export() | {name: data}))


JSON_VALUES = json_values(
    "id type subtype name text ts thread_ts user message edited files file profile members "
    "display_name elements fields blocks attachments title value is_bot"
)
FIELDS = "type subtype text ts thread_ts user edited files file blocks attachments message bot_id"


@SLOW_DISK
@given(
    index=st.lists(JSON_VALUES, max_size=3), rows=st.lists(JSON_VALUES, max_size=4), odd=JSON_VALUES
)
def test_arbitrary_shapes(tmp_path: Path, index: list[Any], rows: list[Any], odd: Any) -> None:
    """Well-formed JSON of any shape gives messages, skipped rows or typed errors only."""
    rows += [row(1, "") | {field: odd} for field in FIELDS.split()]
    rows.append({"type": "message", "subtype": "message_changed", "message": odd})
    files = {"users.json": index, "channels.json": index, "dms.json": index, DAY: rows}
    items, failure = drain(zipped(tmp_path, files))
    assert failure is not None or len(items) == len(rows) + 1
