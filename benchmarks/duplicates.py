"""What a workspace knows twice after the same chats came in from a second source.

    python -m benchmarks.duplicates [--data FOLDER] [--chats NAME ...] [--replicas 1] [--frame 97] [--pause 0.0]
                                    [--skip 0] [--shuffle] [--show]

PostgreSQL, nats-server and the four services run as `winnow up` runs them, with so many extractors. Each chat is
imported as `winnow import telegram` does, and again under another source, in frames of another size that wait
`--pause` seconds for each other, without the first `--skip` messages; with `--shuffle` neighbouring frames come in
the other order. Chats are the Telegram
exports of a folder (also the variable DATA); without one, the chat of the demo.

An atom is `extra` if it is live after the second import and was not after the first, whatever it says: a second copy of
the same messages should teach nothing. It is `repeated` if another live atom rests on the same messages, those of
two sources counted once, and shares most words. An atom is `lost` if it was live, and now neither is nor was merged
into one that is; a message is lost if it proved something and now neither it nor its copy does. The last line is
one JSON object; `--show` prints each extra atom beside the atom that is most like it.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from benchmarks.deployment import Deployed, deployed
from services.cli.importers import ImportedChat, ImportedItem
from services.cli.importers.telegram import TelegramExport
from services.cli.importing import FrameReader
from services.cli.sending import Frame, Sender
from services.cli.target import Target
from services.extractor import wording
from winnow.extractor.v1 import extractor_pb2
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

DEMO = Path(__file__).parents[1] / "services" / "cli" / "demo" / "chat.json"
REPEATED_WORDS = 0.6
ATOMS = """
select a.id, a.type, a.title, a.content, a.merged_into, a.retired_at is null as is_live,
  array(select encode(m.text_sha256, 'hex') || ' ' || extract(epoch from m.sent_at) || ' ' || m.author_name
        from extractor.atom_evidence e join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id
        where e.workspace_id = a.workspace_id and e.atom_id = a.id
        order by 1) as messages
from extractor.atom a where a.workspace_id = $1 order by a.id
"""


@dataclass(frozen=True)
class Known:
    """An atom as it is stored; `messages` are equal for the same message of two sources."""

    id: UUID
    type: str
    title: str
    content: str
    merged_into: UUID | None
    is_live: bool
    messages: frozenset[str]

    @property
    def stems(self) -> frozenset[str]:
        """The stems of its words."""
        return wording.read(f"{self.title}\n{self.content}").stems


class SecondSource:
    """An export whose chats have other ids, as if another account had exported them."""

    def __init__(self, importer: TelegramExport) -> None:
        self._importer = importer
        self.file, self.bytes_total = importer.file, importer.bytes_total
        self.summary = importer.summary

    @property
    def bytes_read(self) -> int:
        """How far the file has been read."""
        return self._importer.bytes_read

    def __iter__(self) -> Iterator[ImportedItem]:
        """The items of the export."""
        for item in self._importer:
            if isinstance(item, ImportedChat):
                yield replace(item, external_id=f"second {item.external_id}")
            else:
                yield item


def cut_up(frames: Sequence[Frame], options: argparse.Namespace) -> Iterator[Frame]:
    """The messages of one chat's frames in frames of another size, after a pause each, perhaps in another order."""
    messages = [message for frame in frames for message in frame.messages][options.skip :]
    size, source = options.frame, frames[0].source
    pieces = [Frame(0, source, messages[at : at + size]) for at in range(0, len(messages), size)]
    if options.shuffle:
        pieces = [piece for i in range(0, len(pieces), 2) for piece in reversed(pieces[i : i + 2])]
    for number, piece in enumerate(pieces):
        time.sleep(options.pause)
        yield replace(piece, number=number)


async def load(target: Target, files: Sequence[Path], options: argparse.Namespace | None) -> int:
    """Import the files, the second time with the options; return the number of messages."""
    total = 0
    for file in files:
        kind = ingest_pb2.SOURCE_KIND_TELEGRAM
        sender = Sender(target, lambda: None)
        if options is None:
            await sender.send(FrameReader(TelegramExport(file), kind))
        else:
            frames = list(FrameReader(SecondSource(TelegramExport(file)), kind))
            await sender.send(cut_up(frames, options))
        total += sender.counts.created
    return total


async def settle(target: Target, what: str) -> None:
    """Close the open windows and wait until all is read, embedded and compared."""
    async with target.channel("extractor") as channel:
        extractor, pipeline = ExtractorServiceStub(channel), PipelineServiceStub(channel)
        request, now = pipeline_pb2.GetStatusRequest(), extractor_pb2.ExtractNowRequest()
        shown = 0.0
        while True:
            status = await pipeline.GetStatus(request, metadata=target.metadata, timeout=30)
            left = sum(stage.ready + stage.leased for stage in status.stages)
            due = sum(s.ready + s.leased for s in status.stages if s.stage != "window")
            if not due and not status.vectors_missing:
                if not status.messages_in_open_windows and not left:
                    return
                await extractor.ExtractNow(now, metadata=target.metadata, timeout=30)
            if time.monotonic() - shown > 5:
                shown = time.monotonic()
                say(f"{what}: {status.atoms} atoms, {left} tasks left …")
            await asyncio.sleep(0.3)


async def known(admin: asyncpg.Connection, workspace: UUID) -> dict[UUID, Known]:
    """All atoms by id."""
    rows = await admin.fetch(ATOMS, workspace)
    return {
        row["id"]: Known(
            row["id"],
            row["type"],
            row["title"],
            row["content"],
            row["merged_into"],
            row["is_live"],
            frozenset(row["messages"]),
        )
        for row in rows
    }


def likest(atom: Known, others: Sequence[Known]) -> tuple[float, float, Known | None]:
    """The other atom that is most alike: by the share of messages both rest on, then by words."""
    best: tuple[float, float, Known | None] = (0.0, 0.0, None)
    for other in others:
        if other.id == atom.id:
            continue
        both, either = atom.messages & other.messages, atom.messages | other.messages
        overlap = len(both) / len(either) if either else 0.0
        words = wording.covered(atom.stems, other.stems)
        if (overlap, words) > best[:2]:
            best = (overlap, words, other)
    return best


def compare(before: dict[UUID, Known], after: dict[UUID, Known]) -> dict[str, Any]:
    """What the second import added and lost."""
    first = [atom for atom in before.values() if atom.is_live]
    live = [atom for atom in after.values() if atom.is_live]
    extra = [atom for atom in live if atom.id not in before or not before[atom.id].is_live]
    repeated = [
        atom
        for atom in extra
        if (found := likest(atom, live))[0] == 1.0 and found[1] >= REPEATED_WORDS
    ]
    ids = {atom.id for atom in live}
    lost = [a for a in first if a.id not in ids and after[a.id].merged_into not in ids]
    proven = {message for atom in live for message in atom.messages}
    messages = {message for atom in first for message in atom.messages} - proven
    return {
        "atoms_first": len(first),
        "atoms_second": len(live),
        "extra": len(extra),
        "extra_share": round(len(extra) / len(live), 4),
        "repeated": len(repeated),
        "repeated_share": round(len(repeated) / len(live), 4),
        "lost_atoms": len(lost),
        "lost_messages": len(messages),
    }


def show(before: dict[UUID, Known], after: dict[UUID, Known]) -> None:
    """Print each extra atom with the one that is most like it."""
    live = [atom for atom in after.values() if atom.is_live]
    for atom in live:
        if atom.id in before and before[atom.id].is_live:
            continue
        overlap, words, other = likest(atom, live)
        print(f"\n+ [{atom.type}] {atom.title}\n    {atom.content[:300]}")
        if other:
            print(f"~ [{other.type}] {other.title}   messages {overlap:.2f} words {words:.2f}")
            print(f"    {other.content[:300]}")


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Import twice and compare."""
    files = exports(options)
    async with deployed() as bench:
        await start(bench, options)
        target = Target(bench.addresses, bench.key)
        messages = await load(target, files, None)
        await settle(target, "first import")
        before = await known(bench.admin, bench.workspace)
        messages += await load(target, files, options)
        await settle(target, "second import")
        after = await known(bench.admin, bench.workspace)
        if options.show:
            show(before, after)
        return {"messages": messages, "replicas": options.replicas, **compare(before, after)}


async def start(bench: Deployed, options: argparse.Namespace) -> None:
    """Start the services, the extractor as often as asked."""
    for name in ("ingest", "embedder", "search", "extractor"):
        await bench.start(name)
    for number in range(2, options.replicas + 1):
        await bench.start_replica("extractor", number)


def exports(options: argparse.Namespace) -> list[Path]:
    """The exports that are wanted."""
    if options.data is None:
        return [DEMO]
    if options.data.is_file():
        return [options.data]
    found = sorted(options.data.glob("*.result.json"))
    wanted = [
        file for file in found if not options.chats or file.name.split(".")[0] in options.chats
    ]
    if not wanted:
        raise SystemExit(f"{options.data}: no such export")
    return wanted


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line, run, and print the last line."""
    given = argparse.ArgumentParser(
        "python -m benchmarks.duplicates", description=__doc__.splitlines()[0]
    )
    folder = os.environ.get("DATA")
    given.add_argument("--data", type=Path, default=Path(folder) if folder else None)
    given.add_argument("--chats", nargs="*", default=os.environ.get("CHATS", "").split())
    given.add_argument("--replicas", type=int, default=int(os.environ.get("REPLICAS", "1")))
    given.add_argument("--frame", type=int, default=97)
    given.add_argument("--pause", type=float, default=0.0)
    given.add_argument("--skip", type=int, default=0)
    given.add_argument("--shuffle", action="store_true")
    given.add_argument("--show", action="store_true")
    print(json.dumps(asyncio.run(run(given.parse_args()))))


if __name__ == "__main__":
    main()
