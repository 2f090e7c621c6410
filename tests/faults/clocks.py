"""A clock for each process that can be put forward and back while the process runs."""

import functools
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")


@dataclass(frozen=True)
class Clock:
    """What a process takes for the time of day, by a file that it maps."""

    library: Path
    file: Path

    @classmethod
    def make(cls, folder: Path, name: str) -> "Clock":
        """A clock that is right, in a folder that the process may read."""
        clock = cls(_library(folder), folder / f"{name}.clock")
        clock.file.write_bytes(struct.pack("q", 0))
        return clock

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is started with to go by this clock."""
        return {"LD_PRELOAD": str(self.library), "CLOCK_FILE": str(self.file)}

    def put(self, seconds: float) -> None:
        """Let it be so many seconds fast; slow, if below zero."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("q", round(seconds * 1e9)))


@functools.cache
def _library(folder: Path) -> Path:
    built = folder / "clock.so"
    # Not the one that Python was built with, which need not be here.
    compilers = filter(None, map(shutil.which, (os.environ.get("CC", ""), "cc", "gcc", "clang")))
    command = [next(compilers), "-shared", "-fPIC", "-O2", "-o", built, _SOURCE]
    subprocess.run(command, check=True)
    return built
