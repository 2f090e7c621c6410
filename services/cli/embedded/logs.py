"""The log files of children."""

from pathlib import Path

_KEPT = 3
_TAIL_BYTES = 8192
_TAIL_LINES = 5


def rotate(log: Path) -> None:
    """Set the last start's log aside as `.1` and drop the oldest."""
    names = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, _KEPT + 1))]
    for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
        if newer.exists():
            newer.replace(older)


def tail(log: Path) -> list[str]:
    """Return the last few lines that say something."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-_TAIL_LINES:]
