"""What an import sends: frames within what the service takes; and what it says while the service takes none."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import protovalidate
import pytest
from click.testing import CliRunner

from services.cli import sending
from services.cli.app import winnow
from services.cli.importers import (
    OTHER_REASONS,
    REASONS_MAX,
    ImportedAttachment,
    ImportedChat,
    ImportedEntity,
    ImportedItem,
    ImportedMessage,
    ImportedOrigin,
    ImportSummary,
    SkippedRow,
)
from services.cli.importing import (
    FRAME_BYTES,
    HELD_MESSAGES,
    UNKEYED_CHAT,
    FrameReader,
    message_input,
    source_ref,
)
from services.cli.sending import _deletions
from services.common.checking import violations_of
from services.common.rpc import REQUEST_BYTES_MAX
from winnow.ingest.v1 import ingest_pb2 as pb

SENT_AT = datetime(2026, 1, 5, tzinfo=UTC)


class LinkedTalk:
    """A chat of messages whose links weigh far more than their words."""

    file, bytes_total, bytes_read = Path("talk"), 1, 1
    summary = ImportSummary()

    def __iter__(self) -> Iterator[ImportedItem]:
        yield ImportedChat("chat", "Chat", "channel")
        for number in range(40):
            links = [
                ImportedEntity("text_link", n, 1, "https://a.example/" + "x" * 3000)
                for n in range(60)
            ]
            yield ImportedMessage(
                "chat",
                str(number),
                "",
                "",
                "u",
                "U",
                False,
                "words " * 20,
                SENT_AT,
                None,
                tuple(links),
            )


def test_frames_fit_whatever_makes_them_large() -> None:
    """No frame is larger than what ingest takes, and none is split more than it must be."""
    frames = list(FrameReader(LinkedTalk(), pb.SOURCE_KIND_IMPORT))
    sizes = [sum(message.ByteSize() for message in frame.messages) for frame in frames]
    assert [m.external_id for frame in frames for m in frame.messages] == [
        str(n) for n in range(40)
    ]
    assert max(sizes) < REQUEST_BYTES_MAX
    assert min(sizes[:-1]) > FRAME_BYTES / 2


class Turns:
    """A file in the order of time, in which chats take turns; one says what it is called later on."""

    file, bytes_total, bytes_read = Path("talk"), 1, 1
    summary = ImportSummary()

    def __init__(self, chats: int, messages: int) -> None:
        self._chats, self._messages = chats, messages

    def __iter__(self) -> Iterator[ImportedItem]:
        for number in range(self._messages):
            chat = str(number % self._chats)
            yield ImportedChat(chat, f"Chat {chat}" if number else chat, "jsonlines")
            yield ImportedMessage(
                chat, str(number), "", "", "u", "U", False, f"words {number}", SENT_AT
            )


@pytest.mark.parametrize(("chats", "frames_max"), [(1, 40), (7, 42), (100, 200), (3000, 3_000)])
def test_chats_that_take_turns_fill_frames(chats: int, frames_max: int) -> None:
    """A frame is no smaller because the next line is of another chat; each chat's messages stay whole and in order."""
    sent: dict[str, list[str]] = {}
    frames = list(FrameReader(Turns(chats, 10_000), pb.SOURCE_KIND_IMPORT))
    for frame in frames:
        keys = [message.external_id for message in frame.messages]
        sent.setdefault(frame.source.external_id, []).extend(keys)
    assert sent == {
        str(chat): [str(number) for number in range(chat, 10_000, chats)] for chat in range(chats)
    }
    assert len(frames) <= frames_max
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert {frame.source.title for frame in frames if frame.source.external_id == "0"} == {"Chat 0"}


def test_thousands_of_chats_that_take_turns_still_share_frames() -> None:
    """What is sent a message at a time costs a commit each; what is held is let go of where most of it is together."""
    frames = list(FrameReader(Turns(5_000, 100_000), pb.SOURCE_KIND_IMPORT))
    assert len(frames) < 100_000 / 5
    assert sum(len(frame.messages) for frame in frames) == 100_000


@pytest.mark.parametrize(("title", "sent"), [("Ops", "Ops"), (" \u3000", ""), ("", "")])
def test_a_title_of_spaces_is_sent_as_none(title: str, sent: str) -> None:
    """The service refuses a title that nobody can read, for which no message should be lost."""
    chat = ImportedChat("1", title, "group")
    assert source_ref(chat, pb.SOURCE_KIND_IMPORT).title == sent


def test_what_waits_for_its_frame_is_bounded() -> None:
    """However many chats take turns, a file is not held in memory: frames go while it is read."""
    reader = FrameReader(Turns(100_000, 50_000), pb.SOURCE_KIND_IMPORT)
    first = next(iter(reader))
    assert int(first.messages[-1].external_id) <= HELD_MESSAGES


class InventedReasons:
    """A file that leaves every row out for another reason."""

    file, bytes_total, bytes_read = Path("talk"), 1, 1

    def __init__(self) -> None:
        self.summary = ImportSummary()

    def __iter__(self) -> Iterator[ImportedItem]:
        for number in range(2000):
            self.summary.skip(f"kind {number}")
            yield SkippedRow(f"line {number}", f"kind {number}")


def test_what_is_left_out_takes_no_more_room_than_a_report() -> None:
    """However many reasons a file makes up, a bounded number is kept, and every row is counted."""
    importer = InventedReasons()
    reader = FrameReader(importer, pb.SOURCE_KIND_IMPORT)
    assert list(reader) == []
    assert len(reader.skipped) <= 3 * REASONS_MAX
    assert len(importer.summary.skipped) == REASONS_MAX + 1
    assert importer.summary.skipped[OTHER_REASONS] == 2000 - REASONS_MAX


def test_an_import_says_that_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While ingest cannot be reached the import says so, and then ends with how to reach it."""
    for name, value in (("TOLD_AFTER_SECONDS", 0), ("WAIT_SECONDS_UNSEEN", 0.1)):
        monkeypatch.setattr(sending, name, value)
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_INGEST_ADDRESS", "127.0.0.1:1")
    file = tmp_path / "talk.jsonl"
    file.write_text('{"id": "1", "text": "hi", "sent_at": 1714557600}')
    result = CliRunner().invoke(winnow, ["import", "jsonl", str(file)])
    assert result.exit_code == 3
    assert "ingest cannot be reached, trying again" in result.output
    assert "cannot reach Winnow" in result.output
    assert "nothing is known to be saved yet: give the same command again" in result.output


def said(text: str = "hi", **fields: Any) -> pb.MessageInput:
    """What is sent of a message."""
    return message_input(
        ImportedMessage("c", "1", "", "", "u", "U", False, text, SENT_AT, **fields)
    )


def test_a_text_beyond_all_bounds_is_sent_to_be_refused() -> None:
    """A text that no request could carry is still refused by its field, and so ends no import."""
    message = said("x" * (4 << 20))
    assert message.ByteSize() < FRAME_BYTES
    (violation,) = violations_of(protovalidate.Validator(), message)
    assert violation.field == "text"


@pytest.mark.parametrize(
    "fields",
    [
        {"entities": (ImportedEntity("bold", 0, 1),) * 1_001},
        {"entities": (ImportedEntity("text_link", 0, 1, "https://a.example/" + "x" * 4_096),)},
        {"entities": (ImportedEntity("text_link", 0, 1, "https://a.example/\0"),)},
        {"entities": (ImportedEntity("text_link", 0, 1, "x" * 4_000),) * 1_000},
        {"entities": (ImportedEntity("щ" * 40, 0, 1, language="щ" * 40),)},
        {"attachments": (ImportedAttachment("щ" * 40, "щ" * 600, "щ" * 200),)},
        {"attachments": (ImportedAttachment("document", "a\0b"),) * 101},
        {"forwarded_from": ImportedOrigin("x" * 257, "щ" * 600)},
        {"forwarded_from": ImportedOrigin("a\0", "a\0")},
    ],
    ids="spans,long link,NUL,many links,kinds,names,files,long origin,origin".split(","),
)
def test_what_comes_with_a_text_does_not_have_it_refused(fields: dict[str, Any]) -> None:
    """Spans and files beyond the limits are cut or left out, and the words are taken."""
    message = said(**fields)
    assert message.ByteSize() < FRAME_BYTES
    assert violations_of(protovalidate.Validator(), message) == []


class OddKeys:
    """Chats with ids that ingest does not take, between chats that it does."""

    file, bytes_total, bytes_read = Path("talk"), 1, 1

    def __init__(self) -> None:
        self.summary = ImportSummary()

    def __iter__(self) -> Iterator[ImportedItem]:
        for chat in ("a", "x" * 257, "b\0", "", "c"):
            self.summary.messages += 1
            yield ImportedChat(chat, "Chat", "jsonlines")
            yield ImportedMessage(chat, f"of {chat[:1]}", "", "", "u", "U", False, "hi", SENT_AT)


def test_a_chat_that_ingest_would_not_take_ends_no_import() -> None:
    """The messages of such a chat are left out and counted, and those of the others are sent."""
    importer = OddKeys()
    reader = FrameReader(importer, pb.SOURCE_KIND_IMPORT)
    assert [frame.source.external_id for frame in reader] == ["a", "c"]
    assert (importer.summary.messages, importer.summary.skipped) == (2, {UNKEYED_CHAT: 3})
    assert [row.place for row in reader.skipped] == ["message of x", "message of b", "message of "]


@pytest.mark.parametrize(
    "field", ["external_id", "thread_id", "reply_to_external_id", "author.external_id"]
)
def test_an_id_beyond_all_bounds_is_sent_to_be_refused(field: str) -> None:
    """An id that no request could carry is refused by its field, and so ends no import."""
    keys = dict.fromkeys(("external_id", "thread_id", "reply_to_external_id"), "1")
    keys |= {"author_external_id": "1", field.replace(".", "_"): "x" * (4 << 20)}
    message = message_input(
        ImportedMessage("c", author_name="", author_is_bot=False, text="", sent_at=SENT_AT, **keys)
    )
    assert message.ByteSize() < FRAME_BYTES
    (violation,) = violations_of(protovalidate.Validator(), message)
    assert violation.field == field


class Deleting:
    """A chat in which one message is deleted, and one whose id ingest does not take."""

    file, bytes_total, bytes_read = Path("talk"), 1, 1
    summary = ImportSummary()

    def __iter__(self) -> Iterator[ImportedItem]:
        yield ImportedChat("c", "Chat", "jsonlines")
        for key in ("1", "x" * 257):
            yield ImportedMessage("c", key, "", "", "", "", False, "", SENT_AT, deleted=True)


def test_only_what_can_be_stored_is_deleted() -> None:
    """A deleted message is not sent at all; one whose id is refused is sent to be refused, and not deleted."""
    reader = FrameReader(Deleting(), pb.SOURCE_KIND_IMPORT)
    sent = [message.external_id for frame in reader for message in frame.messages]
    assert sent == ["x" * 257]
    assert [key for _, key in reader.deleted] == ["1"]


class DeletingAll:
    """Chats that take turns, in which everything is deleted."""

    file, bytes_total, bytes_read = Path("talk"), 1, 1

    def __init__(self, messages: int) -> None:
        self._messages, self.summary = messages, ImportSummary()

    def __iter__(self) -> Iterator[ImportedItem]:
        for number in range(self._messages):
            chat = f"chat {number % 3}"
            yield ImportedChat(chat, chat.title(), "jsonlines")
            key = f"{number:0250}"
            yield ImportedMessage(chat, key, "", "", "", "", False, "", SENT_AT, deleted=True)


def test_deletions_are_those_of_the_file() -> None:
    """Each is told once, of the chat it is in and by what that is called, in few requests though chats take turns."""
    reader = FrameReader(DeletingAll(3_000), pb.SOURCE_KIND_IMPORT)
    assert list(reader) == []
    requests = list(_deletions(reader.deleted))
    assert [(r.source.external_id, r.source.title, len(r.external_ids)) for r in requests] == [
        (f"chat {number}", f"Chat {number}", 500) for number in (0, 0, 1, 1, 2, 2)
    ]
    assert {int(key) for request in requests for key in request.external_ids} == set(range(3_000))
