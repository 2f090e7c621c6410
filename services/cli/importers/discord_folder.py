"""A folder of DiscordChatExporter's JSON exports, as it writes them of a whole server: a file a channel."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from services.cli.importers import (
    ImportedChat,
    ImportedItem,
    ImportedMessage,
    ImportFailure,
    ImportSummary,
    SkippedRow,
    UnreadableExport,
)
from services.cli.importers.discord import ADVICE, DiscordExport
from services.cli.importers.folders import Folder

NO_EXPORT = "file is no export of a channel"
_MEDIA = "_Files"  # how the folders end into which the exporter puts what was attached


class DiscordFolder:
    """All channels and threads of a folder, read one after another.

    Files that are no exports are left out. One that is damaged is read as far as it is whole and the others are still
    imported; the failure is raised at the end.
    """

    def __init__(self, path: Path) -> None:
        self.file = path
        self.summary = ImportSummary()
        names = sorted(name for name in Folder(path).sizes() if not _is_attached(name))
        if not names:
            raise UnreadableExport(path, f"no .json file is in it; {ADVICE}")
        self._exports = {name: DiscordExport(path / name) for name in names}
        self.bytes_total = sum(export.bytes_total for export in self._exports.values())

    @property
    def bytes_read(self) -> int:
        """How far the files have been read."""
        return sum(export.bytes_read for export in self._exports.values())

    def __iter__(self) -> Iterator[ImportedItem]:
        """Channels, messages and skipped rows. Raises UnreadableExport or Truncated."""
        self.summary = ImportSummary()
        failure: ImportFailure | None = None
        channels: set[str] = set()
        for name, export in self._exports.items():
            try:
                for item in export:
                    if isinstance(item, ImportedChat):
                        channels.add(item.external_id)
                        self.summary.chats = len(channels)
                    yield self._counted(item, name)
            except ImportFailure as error:
                if isinstance(error, UnreadableExport) and not export.summary.chats:
                    yield self._counted(SkippedRow(name, NO_EXPORT, error.reason), "")
                else:
                    failure = failure or error
            for remark, count in export.summary.notes.items():
                self.summary.notes[remark] = self.summary.notes.get(remark, 0) + count
        if failure is None and not channels:
            failure = UnreadableExport(self.file, f"none of its files is an export; {ADVICE}")
        if failure is not None:
            raise failure

    def _counted(self, item: ImportedItem, name: str) -> ImportedItem:
        """An item, counted; a row that is left out is found by its file as well."""
        if isinstance(item, ImportedMessage):
            self.summary.messages += 1
        elif isinstance(item, SkippedRow):
            self.summary.skip(item.reason, is_event=item.is_event)
            return replace(item, place=f"{name}, {item.place}" if name else item.place)
        return item


def _is_attached(name: str) -> bool:
    """Whether a file was attached to a message, and is not an export."""
    return any(part.endswith(_MEDIA) for part in PurePosixPath(name).parts[:-1])


def open_discord(path: Path) -> DiscordExport | DiscordFolder:
    """A file of one channel, or a folder of such files. Raises UnreadableExport."""
    return DiscordFolder(path) if path.is_dir() else DiscordExport(path)
