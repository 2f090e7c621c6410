"""A disk in a file whose power can be cut: an ext4 file system on a loop device, which root alone can make."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_WITHOUT_FLUSHING_THE_LOG = 2


@dataclass(frozen=True)
class Disk:
    """A mounted file system and the file that holds it."""

    image: Path
    path: Path

    def cut(self) -> None:
        """Let nothing more reach the disk, not even the journal: what was not forced to it before is lost."""
        place = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING_THE_LOG))
        finally:
            os.close(place)

    def mount_again(self) -> None:
        """Mount what is left, once nobody has a file of it open."""
        subprocess.run(["umount", self.path], check=True)
        self._mount()

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Take all room that is left, and give it back."""
        ballast = self.path / "ballast"
        free = os.statvfs(self.path)
        try:
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
            yield
        finally:
            ballast.unlink(missing_ok=True)

    def _mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)


@contextmanager
def disk(folder: Path, name: str, megabytes: int) -> Iterator[Disk]:
    """Make a disk, lend it, and take it away."""
    made = Disk(folder / f"{name}.img", folder / name)
    made.path.mkdir()
    with made.image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", made.image], check=True)
    made._mount()
    made.path.chmod(0o755)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", made.path], check=False)
        shutil.rmtree(made.path, ignore_errors=True)
        made.image.unlink()
