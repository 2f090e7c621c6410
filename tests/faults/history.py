"""What happened, one JSON object a line, in the order in which it happened."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class History:
    """Keeps the entries of one schedule, and writes them down at once if it has a file."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._file = path.open("w", encoding="utf-8") if path else None
        self._began = time.monotonic()
        self._awaited: dict[str, asyncio.Event] = {}

    def note(self, event: str, **details: Any) -> None:
        """Add an entry with the seconds since the beginning."""
        entry = {"at": round(time.monotonic() - self._began, 4), "event": event, **details}
        self.entries.append(entry)
        if self._file:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()
        if event in self._awaited:
            self._awaited.pop(event).set()

    async def next(self, event: str, seconds: float) -> None:
        """Return when an event is noted next, or after some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awaited.setdefault(event, asyncio.Event()).wait()

    def close(self) -> None:
        """Write no more."""
        if self._file:
            self._file.close()


def read(path: Path) -> list[Entry]:
    """The entries of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
