"""Files of the model cache: copying with a digest, locks between processes, remembered digests."""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

CHUNK_BYTES: Final = 1 << 20
POLL_SECONDS: Final = 0.2

Progress = Callable[[str, int, int], None]
"""Called with the stage (wait, download, extract, convert, verify), bytes done and bytes in all."""


Stamp = list[int]


def ignore_progress(stage: str, done_bytes: int, total_bytes: int) -> None:
    """Report nothing."""


def copy_with_digest(
    read: Callable[[int], bytes],
    target: IO[bytes] | None,
    stage: str,
    total_bytes: int,
    progress: Progress,
) -> str:
    """Copy what is read, or only read it, and return the sha256 of its bytes in hex."""
    digest, done = hashlib.sha256(), 0
    progress(stage, 0, total_bytes)
    while chunk := read(CHUNK_BYTES):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        done += len(chunk)
        progress(stage, done, total_bytes)
    return digest.hexdigest()


def file_digest(path: Path, progress: Progress = ignore_progress) -> str:
    """Return the sha256 of the file in hex."""
    with path.open("rb") as file:
        return copy_with_digest(file.read, None, "verify", path.stat().st_size, progress)


@contextmanager
def exclusive_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock among threads and processes; `waiting` is called again and again while another holds it."""
    with path.open("ab") as file:
        while not _locked(file):
            waiting()
            time.sleep(POLL_SECONDS)
        yield


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class DigestNotes:
    """Digests already computed, valid while a file keeps its size, time and inode."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def recall(self, path: Path) -> str | None:
        """Return the digest noted for the file as it is now, or None."""
        note = self._note(path)
        try:
            known = json.loads(note.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        current = isinstance(known, dict) and known.get("stamp") == stamp_of(path)
        return str(known["sha256"]) if current else None

    def remember(self, path: Path, sha256: str, stamp: Stamp) -> None:
        """Note the digest of a file that was like this before it was read, since it may be another one by now.

        A cache that cannot be written only costs time later.
        """
        note = self._note(path)
        text = json.dumps({"path": str(path), "stamp": stamp, "sha256": sha256})
        partial = note.with_suffix(f".{os.getpid()}.part")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            partial.write_text(text, "utf-8")
            partial.replace(note)
        except OSError:
            # A folder that is mounted read-only refuses to remove even what is not there.
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _note(self, path: Path) -> Path:
        key = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:24]
        return self._directory / f"{key}.json"


def stamp_of(path: Path) -> Stamp:
    """What of a file changes whenever it does: its size, time and inode."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]
