"""The files of an unpacked export, each read in chunks."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from services.cli.importers import UnreadableExport

CHUNK_BYTES = 1 << 16


class Folder:
    """An unpacked export."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sizes(self) -> dict[str, int]:
        """Every file's size in bytes by its path within the export. Raises UnreadableExport or OSError."""
        files = (
            Path(folder, name)
            for folder, _, names in os.walk(self._path, onerror=_refuse)
            for name in names
            if name.endswith(".json")
        )
        return {
            file.relative_to(self._path).as_posix(): file.stat().st_size
            for file in files
            if file.is_file()
        }

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes. Raises OSError."""
        with (self._path / name).open("rb") as stream:
            yield from chunks_of(stream)


def chunks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes of an open file."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _refuse(error: OSError) -> None:
    """A folder that cannot be looked into, whatever is in it, is no reason to leave it out."""
    raise UnreadableExport(Path(error.filename), error.strerror or str(error)) from error
