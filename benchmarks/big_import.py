"""Imports a generated export of a given size as a user would, and watches the memory of everybody involved.

    python -m benchmarks.big_import [--gigabytes 2]

The export is a full account with `chats` and `left_chats`: texts as strings and as arrays, `\\xNN`
escapes, replies, edits, media that was left out, and, as in real ones, more bytes in what is no
message (service rows, lists of entities, reactions) than in texts. `winnow import telegram` runs as a
process of its own against servers as `winnow up` starts them; idle is an import of a small export. The
file and the data are thrown away. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import uvloop

from benchmarks.ingest import Bench, deployed, resident_mb
from services.common.auth import SCOPES, mint_key, store_key

CHATS = 20
SAMPLE_SECONDS = 0.2
MB_ABOVE_IDLE_MAX = 300


class Export:
    """Writes a full-account export until it has a size."""

    def __init__(self, file: TextIO, size: int) -> None:
        self._file, self._size, self._dice = file, size, random.Random(5)
        letters = "etaoinshrdlucmfwypvbgkjqxzабвгдежзиклмнопрсту"
        self._words = ["".join(self._dice.choices(letters, k=n % 9 + 2)) for n in range(5000)]
        self._texts = [self._some(25) for _ in range(1000)]
        self._lists = [[self._some(60) for _ in range(20)] for _ in range(50)]
        self._number = 0
        self.messages = 0

    def write(self) -> None:
        """Write all of it."""
        self._file.write('{"about": "generated", "chats": {"about": "", "list": [')
        self._write_chats(0, CHATS - 2)
        self._file.write(']}, "left_chats": {"about": "", "list": [')
        self._write_chats(CHATS - 2, CHATS)
        self._file.write("]}}")

    def _write_chats(self, first: int, last: int) -> None:
        for chat in range(first, last):
            head = {"name": f"Chat {chat}", "type": "private_supergroup", "id": 7000 + chat}
            self._file.write(("" if chat == first else ",") + json.dumps(head)[:-1])
            self._file.write(', "messages": [')
            comma = ""
            while self._file.tell() < self._size * (chat + 1) // CHATS:
                rows = [self._row() for _ in range(50)]
                self._file.write(comma + ",".join(rows))
                comma = ","
            self._file.write("]}")

    def _row(self) -> str:
        """A row; the control character stands as the exporter writes it."""
        self._number += 1
        row: dict[str, Any] = {
            "id": self._number,
            "type": "message",
            "date": "2024-01-01T00:00:00",
            "date_unixtime": str(1_700_000_000 + self._number),
        }
        if self._number % 3:
            members = self._dice.choice(self._lists)
            row |= {"type": "service", "action": "invite_members", "members": members, "text": ""}
            return json.dumps(row, ensure_ascii=False)
        self.messages += 1
        text = f"{self._dice.choice(self._texts)} {self._number}"
        parts = [text, {"type": "bold", "text": self._words[self._number % 5000]}, " \x07"]
        row |= {
            "from": f"Author {self._number % 40}",
            "from_id": f"user{self._number % 40}",
            "text": text if self._number % 2 else parts,
            "text_entities": [{"type": "plain", "text": text}],
            "reactions": [{"type": "emoji", "count": n, "emoji": "👍"} for n in range(4)],
        }
        if not self._number % 7:
            row["reply_to_message_id"] = self._number - 3
        if not self._number % 11:
            row["file"] = "(File not included. Change data exporting settings to download.)"
            row["edited_unixtime"] = str(1_700_000_100 + self._number)
        return json.dumps(row, ensure_ascii=False).replace("\\u0007", "\\x07")

    def _some(self, count: int) -> str:
        return " ".join(self._dice.choices(self._words, k=count))


@dataclass
class Import:
    """What one import has shown; memory in MB at its highest."""

    seconds: float
    importer_mb: float
    service_mb: float
    report: dict[str, Any]


async def run_import(bench: Bench, file: Path, key: str) -> Import:
    """Import a file through the command."""
    environment = os.environ | {"WINNOW_INGEST_ADDRESS": bench.address, "WINNOW_API_KEY": key}
    began = time.perf_counter()
    command = (sys.executable, "-m", "services", "import", "telegram", str(file), "--json")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    finished = asyncio.ensure_future(process.communicate())
    importer = service = 0.0
    while not finished.done():
        await asyncio.wait([finished], timeout=SAMPLE_SECONDS)
        if process.returncode is None:
            importer = max(importer, resident_mb(process.pid))
            service = max(service, resident_mb(bench.pids["ingest"]))
    output, _ = finished.result()
    if process.returncode:
        raise SystemExit(f"the import ended with {process.returncode}")
    return Import(time.perf_counter() - began, importer, service, json.loads(output))


def generate(file: Path, size: int) -> int:
    """Write an export; return how many messages it has."""
    with file.open("w") as stream:
        export = Export(stream, size)
        export.write()
    return export.messages


async def main() -> None:
    """Generate, import, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_import")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--data", help="not read: the export is made up")
    size = int(parser.parse_args().gigabytes * 1e9)
    with TemporaryDirectory(prefix="winnow-export-") as folder:
        small, big = Path(folder) / "small.json", Path(folder) / "big.json"
        generate(small, 1_000_000)
        print(f"generating {size / 1e9:g} GB …", flush=True)
        messages = generate(big, size)
        async with deployed() as bench:
            idle_key, key = mint_key(), mint_key()
            await store_key(bench.admin, "idle", "bench", idle_key, SCOPES)
            await store_key(bench.admin, "big", "bench", key, SCOPES)
            idle = await run_import(bench, small, idle_key.text)
            print(f"importing {big.stat().st_size:,} bytes, {messages:,} messages …", flush=True)
            done = await run_import(bench, big, key.text)
        figures = {
            "file_bytes": big.stat().st_size,
            "messages": messages,
            "created": done.report["created"],
            "seconds": round(done.seconds, 1),
            "importer_mb_above_idle": round(done.importer_mb - idle.importer_mb, 1),
            "service_mb_above_idle": round(done.service_mb - idle.service_mb, 1),
        }
    print(f"idle: importer {idle.importer_mb:.0f} MB, ingest service {idle.service_mb:.0f} MB")
    print(f"peak: importer {done.importer_mb:.0f} MB, ingest service {done.service_mb:.0f} MB")
    print(json.dumps(figures))
    assert done.report["created"] == messages
    above = figures["importer_mb_above_idle"] + figures["service_mb_above_idle"]
    assert above < MB_ABOVE_IDLE_MAX, f"{above} MB above idle"


if __name__ == "__main__":
    uvloop.run(main())
