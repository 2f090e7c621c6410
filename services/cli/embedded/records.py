"""Which children run, kept on disk so that the next start can end those that a killed supervisor left behind."""

import signal
from pathlib import Path

from services.cli.embedded.process import ProcessIdentity, end

_STOP_SECONDS = 5.0


def record(directory: Path, name: str, pid: int) -> None:
    """Write down a child that has just been started."""
    identity = ProcessIdentity.of(pid)
    if identity:
        (directory / f"{name}.pid").write_text(f"{identity.pid} {identity.began}\n")


def forget(directory: Path, name: str) -> None:
    """Strike out a child that has ended."""
    (directory / f"{name}.pid").unlink(missing_ok=True)


async def end_recorded(directory: Path) -> None:
    """End the children that are written down, unless their pid is another process's by now."""
    left = [_parse(file.read_text()) for file in _files(directory)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = await end(left, number, _STOP_SECONDS)
    for file in _files(directory):
        file.unlink()


def _files(directory: Path) -> list[Path]:
    return list(directory.glob("*.pid"))


def _parse(text: str) -> ProcessIdentity:
    pid, _, began = text.strip().partition(" ")
    return ProcessIdentity(int(pid) if pid.isdecimal() else 0, began)
