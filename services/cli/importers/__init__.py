"""The import seam: an adapter streams chats and messages out of a file and counts the rest.

An adapter yields an `ImportedChat` before each run of its messages (again whenever the chat
changes), then `ImportedMessage` values, and a `SkippedRow` for everything that is no message;
`summary` counts them all and is final once the iteration has ended or raised. Reading the same file
again yields the same keys, so importing is safe to repeat.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from services.cli.values import counted
from services.common.errors import WinnowError

REASONS_MAX = 100
OTHER_REASONS = "something else"
_OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"))


def name_of(file: Path) -> str:
    """What to call a file; what a shell opens, `<(command)`, has another number each time."""
    return "stdin" if file.parent in _OPEN_FILES else file.name or str(file.resolve())


@dataclass(frozen=True, slots=True)
class ImportedChat:
    """A conversation; `kind` is the adapter's own word for it, `title` may be empty."""

    external_id: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class ImportedEntity:
    """A formatted span of a text; offset and length in code points."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class ImportedAttachment:
    """A file, poll or place with a message; `file_name` is empty where the file was left out."""

    type: str
    file_name: str = ""
    mime_type: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ImportedOrigin:
    """Where a message was forwarded from: who wrote it or the chat it stood in, as far as the source says."""

    external_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """One message; strings are empty where the source does not know, times are aware, in UTC.

    `zone_assumed` tells that the source names no zone for its times.
    """

    chat_external_id: str
    external_id: str
    thread_id: str
    reply_to_external_id: str
    author_external_id: str
    author_name: str
    author_is_bot: bool
    text: str
    sent_at: datetime
    edited_at: datetime | None = None
    entities: tuple[ImportedEntity, ...] = ()
    attachments: tuple[ImportedAttachment, ...] = ()
    kind: str = "text"
    forwarded_from: ImportedOrigin | None = None
    deleted: bool = False
    zone_assumed: bool = False


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that is no message: its place (`line 7`, `message 15`), why, what was wrong, and where helpful its chat.

    `is_event` tells that nobody said it and that nothing is lost with it: somebody joined, a call was made.
    """

    place: str
    reason: str
    detail: str = ""
    chat: str = ""
    is_event: bool = False


@dataclass(slots=True)
class ImportSummary:
    """What an import has met so far; `skipped` and `notes` count by reason.

    `unreadable` are those of the skipped that are no events, so that somebody may miss them.
    """

    chats: int = 0
    messages: int = 0
    unreadable: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str, *, is_event: bool = False) -> None:
        """Count one row left out."""
        self.unreadable += not is_event
        _count(self.skipped, reason)

    def note(self, remark: str) -> None:
        """Count one row imported with a remark."""
        _count(self.notes, remark)


def _count(counts: dict[str, int], reason: str) -> None:
    """Count a reason; a file may make them up, so beyond REASONS_MAX they count as one."""
    known = reason in counts or len(counts) < REASONS_MAX
    name = reason if known else OTHER_REASONS
    counts[name] = counts.get(name, 0) + 1


ImportedItem = ImportedChat | ImportedMessage | SkippedRow


class Importer(Protocol):
    """What every adapter offers; `bytes_read` of `bytes_total` is the progress."""

    file: Path
    bytes_total: int
    summary: ImportSummary

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""

    def __iter__(self) -> Iterator[ImportedItem]:
        """Read the file from the start; raises `ImportFailure` where it cannot go on."""


class ImportFailure(WinnowError):
    """A file that cannot be imported any further; its text is one line for the user."""


class UnreadableExport(ImportFailure):
    """The file is not what the adapter reads."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class Truncated(ImportFailure):
    """The file ends too early; every message before the break has been yielded."""

    def __init__(self, file: Path, byte_offset: int, messages_read: int) -> None:
        super().__init__(
            f"{file}: ends too early, at byte {byte_offset}; "
            f"{counted(messages_read, 'whole message was', 'whole messages were')} read"
        )
        self.file = file
        self.byte_offset = byte_offset
        self.messages_read = messages_read
