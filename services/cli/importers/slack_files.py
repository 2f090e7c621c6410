"""The files of a Slack export, in a folder or a zip, each read in chunks."""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from services.cli.importers import UnreadableExport
from services.cli.importers.folders import Folder, chunks_of

INDEXES = ("users.json", "channels.json", "groups.json", "mpims.json", "dms.json")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
_NAMES_ARE_UTF8 = 0x800
# What zipfile raises for a file that is no zip, or is damaged, encrypted or packed in an unknown way.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What an export holds: its index files by name, and the days of every channel's folder in order."""

    indexes: dict[str, str] = field(default_factory=dict)
    days: dict[str, list[str]] = field(default_factory=dict)
    bytes_total: int = 0


class Archive:
    """A zipped export; nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_ERRORS as error:
            raise UnreadableExport(path, _no_zip(path, error)) from error
        self._members = {_name(member): member for member in self._zip.infolist()}

    def close(self) -> None:
        """Close the zip."""
        self._zip.close()

    def sizes(self) -> dict[str, int]:
        """Every file's unpacked size in bytes by its path within the export."""
        return {name: member.file_size for name, member in self._members.items()}

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's unpacked bytes. Raises UnreadableExport for one that is damaged or encrypted."""
        try:
            with self._zip.open(self._members[name]) as stream:
                yield from chunks_of(stream)
        except _ZIP_ERRORS as error:
            raise UnreadableExport(self._path / name, f"damaged in the zip: {error}") from error


Files = Folder | Archive


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Lend the files of an export. Raises UnreadableExport or OSError."""
    if path.is_dir():
        yield Folder(path)
        return
    archive = Archive(path)
    with closing(archive):
        yield archive


def layout(sizes: dict[str, int]) -> Layout | None:
    """Find the export among the files, at whatever depth it was packed; None if there is none."""
    names = sorted(name for name in sizes if "__MACOSX" not in PurePosixPath(name).parts)
    root = _root([PurePosixPath(name) for name in names])
    if root is None:
        return None
    indexes: dict[str, str] = {}
    days: dict[str, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.parent == root and path.name in INDEXES:
            indexes[path.name] = name
        elif path.parent.parent == root != path.parent and _DAY.fullmatch(path.name):
            days.setdefault(path.parent.name, []).append(name)
    used = [*indexes.values(), *(name for listed in days.values() for name in listed)]
    return Layout(indexes, days, sum(sizes[name] for name in used))


def _root(paths: list[PurePosixPath]) -> PurePosixPath | None:
    """The folder of the highest index, or if there is none, the one above the highest day."""
    indexes = [path.parent for path in paths if path.name in INDEXES]
    days = [path.parent.parent for path in paths if _DAY.fullmatch(path.name)]
    return min(indexes or days, key=lambda root: len(root.parts), default=None)


def _no_zip(path: Path, error: Exception) -> str:
    """Why a file is not the export: it may be a zip that is not whole, or never have been one."""
    with path.open("rb") as stream:
        head = stream.read(2)
    if head in (b"", b"P", b"PK"):
        return f"no whole zip file ({error}); is the download complete?"
    return "not a Slack export: that is a zip, or the folder it was unpacked to"


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name; packers that write UTF-8 often forget to say so."""
    if member.flag_bits & _NAMES_ARE_UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename
