"""The generic JSON Lines import."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    ImportedOrigin,
    SkippedRow,
    UnreadableExport,
    name_of,
)
from services.cli.importers.jsonlines import (
    FIELDS,
    LINE_BYTES_MAX,
    ONE_A_LINE,
    SHOWN_CHARACTERS,
    JsonLines,
)
from services.cli.importing import import_group
from tools.guide import ROOT, run_by

SLOW_DISK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def line(**fields: Any) -> bytes:
    """One good line, with changes."""
    return json.dumps({"id": "1", "text": "hi", "sent_at": 1714557600} | fields).encode()


def write(folder: Path, *lines: bytes) -> JsonLines:
    """A file of these lines to import."""
    file = folder / "talk.jsonl"
    file.write_bytes(b"\n".join(lines))
    return JsonLines(file)


def read(folder: Path, *lines: bytes) -> list[ImportedItem]:
    """What a file of these lines gives."""
    return list(write(folder, *lines))


def test_the_page_says_what_a_line_holds(tmp_path: Path) -> None:
    """Who writes such lines finds every field on the page and in the command's help, and the page's lines are read."""
    page = (ROOT / "docs" / "importing.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == FIELDS
    told = CliRunner().invoke(import_group, ["jsonl", "--help"]).output
    assert set(re.findall(r"\w+", told)) >= FIELDS
    (block,) = run_by("jsonl")
    items = read(tmp_path, *map(str.encode, block.lines))
    assert [item.external_id for item in items if isinstance(item, ImportedMessage)] == list("123")
    assert [item.title for item in items if isinstance(item, ImportedChat)] == ["Operations"]


def test_what_a_shell_opens_is_always_the_same_chat(tmp_path: Path) -> None:
    """`<(command)` has another number each time: its messages must not be those of another chat for that."""
    with (tmp_path / "x").open("w+b") as file:
        file.write(line())
        file.flush()
        chats = list(JsonLines(Path(f"/dev/fd/{file.fileno()}")))
        assert name_of(Path(f"/dev/fd/{file.fileno()}")) == "stdin"
    assert chats[0] == ImportedChat("stdin", "stdin", "jsonlines")


def test_every_field(tmp_path: Path) -> None:
    """Every documented field is read."""
    full = line(
        id=7,
        chat="c",
        chat_title="Chat",
        thread=3,
        reply_to=6,
        author="u1",
        author_name="Ада",
        is_bot=True,
        sent_at="2024-05-01T12:00:00+02:00",
        edited_at="2024-05-01T11:00:00Z",
        forwarded_from="Bob",
        forwarded_from_id=9,
        deleted=True,
    )
    assert read(tmp_path, full) == [
        ImportedChat("c", "Chat", "jsonlines"),
        ImportedMessage(
            chat_external_id="c",
            external_id="7",
            thread_id="3",
            reply_to_external_id="6",
            author_external_id="u1",
            author_name="Ада",
            author_is_bot=True,
            text="hi",
            sent_at=datetime(2024, 5, 1, 10, tzinfo=UTC),
            edited_at=datetime(2024, 5, 1, 11, tzinfo=UTC),
            forwarded_from=ImportedOrigin("9", "Bob"),
            deleted=True,
        ),
    ]


def test_chat_defaults_to_the_file_and_may_change(tmp_path: Path) -> None:
    """A chat is announced before each run of its messages; the file's name stands for none."""
    importer = write(tmp_path, line(), line(id=2), line(chat="b"), line(id=3))
    items = list(importer)
    chats = [item.external_id for item in items if isinstance(item, ImportedChat)]
    assert chats == ["talk", "b", "talk"]
    assert importer.summary.chats == 2


def test_a_title_holds_for_the_lines_after_it(tmp_path: Path) -> None:
    """What a chat is called need be said once, and the last that is said holds; its name stands for none."""
    titled = (line(chat="a", chat_title=title) for title in ("Old", None, "", "New", None))
    items = read(tmp_path, line(chat="a"), line(chat="b"), *titled)
    chats = [(item.external_id, item.title) for item in items if isinstance(item, ImportedChat)]
    assert chats == [("a", "a"), ("b", "b"), ("a", "Old"), ("a", "New")]


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        (b"{", "not JSON", ONE_A_LINE),
        (b"[1]", "not a JSON object", ONE_A_LINE),
        (b"1", "not a JSON object", "1"),
        (b"\xff", "not UTF-8", "at byte 0"),
        (b"[" * 100_000, "not JSON", None),
        (line(id=""), "`id` is missing", "there is id, text, sent_at"),
        (line(id=True), "`id` is not text", "true"),
        (line(id=10**30), "`id` is not text", str(10**30)),
        (line(text=None), "`text` is missing", "there is id, sent_at"),
        (line(text=5), "`text` is not text", "5"),
        (line(text="\ud83d"), "`text` holds half a character (a lone surrogate)", '"?"'),
        (line(author={"id": 1, "name": "x" * 99}), "`author` is not text", None),
        (line(sent_at=None), "`sent_at` is missing", "there is id, text"),
        (
            line(sent_at="2024-05-01T12:00"),
            "`sent_at` names no zone (--timezone NAME does)",
            '"2024-05-01T12:00"',
        ),
        (line(sent_at=1e30), "`sent_at` is not in seconds: are these milliseconds?", "1e+30"),
        (
            line(edited_at=1714557600000),
            "`edited_at` is not in seconds: are these milliseconds?",
            "1714557600000",
        ),
        (b'{"id": ' + b"9" * 5000 + b"}", "a number has too many digits", ""),
        (b'{"id": 1, "text": "", "sent_at": NaN}', "`sent_at` is no time with a zone", "NaN"),
        (
            line(sent_at="1066-10-14T09:00:00Z"),
            "`sent_at` is out of range",
            '"1066-10-14T09:00:00Z"',
        ),
        (line(is_bot="yes"), "`is_bot` is not true or false", '"yes"'),
        (line(text="x" * LINE_BYTES_MAX), f"longer than {LINE_BYTES_MAX} bytes", ""),
    ],
)
def test_bad_lines(tmp_path: Path, bad: bytes, reason: str, detail: str | None) -> None:
    """A bad line is reported with its number and reason, and the others are imported."""
    items = read(tmp_path, line(), b"", bad, line(id=2))
    (skipped,) = [item for item in items if isinstance(item, SkippedRow)]
    assert (skipped.place, skipped.reason) == ("line 3", reason)
    assert detail is None or skipped.detail == detail
    assert len(skipped.detail) <= max(SHOWN_CHARACTERS, len(ONE_A_LINE))
    assert [i.external_id for i in items if isinstance(i, ImportedMessage)] == ["1", "2"]


def test_times_without_a_zone_are_of_the_one_that_is_told(tmp_path: Path) -> None:
    """Lines of a program that wrote its clock's time are read where that clock was; a zone in a line goes before it."""
    file = tmp_path / "talk.jsonl"
    times = "2024-05-01T12:00", "2024-12-01T12:00", "2024-05-01T12:00Z", 1714557600
    file.write_bytes(b"\n".join(line(id=n, sent_at=time) for n, time in enumerate(times)))
    export = JsonLines(file, ZoneInfo("Europe/Kyiv"))
    read = [item.sent_at for item in export if isinstance(item, ImportedMessage)]
    assert [f"{time:%m-%d %H:%M}" for time in read] == [
        "05-01 09:00",
        "12-01 10:00",
        "05-01 12:00",
        "05-01 10:00",
    ]


def test_names_of_half_characters_can_be_told(tmp_path: Path) -> None:
    """A field and a file may have names that are no text; what is told and sent of them is."""
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    file.write_bytes(line(**{"\ud83d": 1}))
    lines = JsonLines(file)
    chat, _ = lines
    assert isinstance(chat, ImportedChat)
    for told in (chat.external_id, chat.title, *lines.summary.notes):
        assert told.encode()


def test_unknown_fields_are_counted(tmp_path: Path) -> None:
    """A field of another name is ignored and the summary says so."""
    file = tmp_path / "talk.jsonl"
    file.write_bytes(line(**{"reply-to": 4}) + b"\n" + line(**{"reply-to": 5}))
    lines = JsonLines(file)
    assert len(list(lines)) == 3
    assert lines.summary.notes == {"field `reply-to` ignored": 2}
    assert lines.bytes_read == lines.bytes_total


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is refused at once."""
    with pytest.raises(UnreadableExport, match="No such file"):
        JsonLines(tmp_path / "absent.jsonl")


@SLOW_DISK
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_texts_round_trip(tmp_path: Path, texts: list[str]) -> None:
    """Texts come out as they went in."""
    items = read(tmp_path, *(line(text=text) for text in texts))
    assert [item.text for item in items if isinstance(item, ImportedMessage)] == texts


@SLOW_DISK
@given(st.binary())
def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    """Arbitrary bytes give skipped lines at worst, and are refused if they have no message at all."""
    with pytest.raises(
        UnreadableExport, match=r"no line is a message|the file is (empty|compressed|UTF-16)"
    ):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "the file is empty"),
        ([b"", b"  "], "the file is empty"),
        ([b"\xef\xbb\xbf", b""], "the file is empty"),
        ([b"{", b"[]"], "line 1: not JSON: this is an array or spread over lines"),
        ([b'{"id": 1, "text": "a"}'], "line 1: `sent_at` is missing: there is id, text"),
        ([b"PK\x03\x04\x14\x00\xff"], "the file is compressed: unpack it first"),
        (['{"id": 1}'.encode("utf-16-be")], "the file is UTF-16"),
    ],
)
def test_a_file_without_a_message_is_not_what_was_meant(
    tmp_path: Path, rows: list[bytes], told: str
) -> None:
    """A file of another kind must be refused with what its first line lacks, not be said to change nothing."""
    with pytest.raises(UnreadableExport, match=told):
        read(tmp_path, *rows)
