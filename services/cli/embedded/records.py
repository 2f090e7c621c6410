"""Which children run, kept on disk so that the next start can end those that a killed supervisor left behind."""

import signal
from pathlib import Path

from services.cli.embedded.files import identity
from services.cli.embedded.process import ProcessIdentity, end, pid_in

_STOP_SECONDS = 5.0


def record(directory: Path, name: str, pid: int) -> None:
    """Write down a child that has just been started."""
    process = ProcessIdentity.of(pid)
    if process:
        told = f"{process.pid} {process.began}\n{identity(directory)}\n"
        (directory / f"{name}.pid").write_text(told)


def forget(directory: Path, name: str) -> None:
    """Strike out a child that has ended."""
    (directory / f"{name}.pid").unlink(missing_ok=True)


async def end_recorded(directory: Path) -> None:
    """End the children that are written down, unless their pid is another process's by now.

    Those of a directory that this is a copy of are left alone: they are somebody else's.
    """
    told = [file.read_text(errors="replace") for file in _files(directory)]
    left = [_parse(text, identity(directory)) for text in told]
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = await end(left, number, _STOP_SECONDS)
    for file in _files(directory):
        file.unlink()


def _files(directory: Path) -> list[Path]:
    return list(directory.glob("*.pid"))


def _parse(text: str, here: str) -> ProcessIdentity:
    process, _, directory = text.strip().partition("\n")
    pid, _, began = process.partition(" ")
    is_ours = directory in ("", here)
    return ProcessIdentity((pid_in(pid) or 0) if is_ours else 0, began)
