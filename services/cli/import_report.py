"""What an import tells at its end: what became of the messages, and which rows were left out, where and why."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from services.cli.importers import Importer, SkippedRow
from services.cli.options import Session
from services.cli.sending import Counts
from services.cli.values import counted

EXAMPLES_MAX = 10


def report(
    session: Session,
    importer: Importer,
    counts: Counts,
    skipped: Sequence[SkippedRow],
    failure: Exception | None,
) -> None:
    """Print it; `skipped` are the first rows that were left out, `failure` is why the import ended early."""
    if session.as_json:
        session.print_json(_as_json(importer, counts, skipped, failure))
        return
    chats = importer.summary.chats
    name = importer.file.name or str(importer.file.resolve())
    among = f", {chats:,} chats" if chats > 1 else ""
    session.console.print(
        f"{escape(name)}{among}: {counts.created:,} new, {counts.updated:,} changed, "
        f"{counts.unchanged:,} unchanged, {counts.rejected:,} rejected"
        + (f", {counts.deleted:,} deleted" if counts.deleted else "")
        + (_conclusion(importer, counts) if failure is None else " — not all of it")
    )
    for line in _remarks(importer, skipped):
        session.console.print(f"  {escape(line)}")
    for rejected in counts.rejections[:EXAMPLES_MAX]:
        place = _place(importer, rejected.external_id, rejected.chat)
        told = f"  rejected {place}: {rejected.field}: {rejected.description}"
        session.console.print(escape(told))


def what_is_saved(counts: Counts) -> str:
    """What an import that is broken off leaves behind, and what to do."""
    if not counts.saved:
        return "nothing is known to be saved yet: give the same command again"
    return (
        f"{counted(counts.saved, 'message is', 'messages are')} saved; the same command again goes on: "
        "what is saved is not saved twice"
    )


def _conclusion(importer: Importer, counts: Counts) -> str:
    """What to make of an import that changed nothing."""
    if counts.created or counts.updated or counts.deleted:
        return ""
    return " — nothing has changed" if importer.summary.messages else " — no messages are in it"


def _remarks(importer: Importer, skipped: Sequence[SkippedRow]) -> Iterator[str]:
    """A line for each reason to leave rows out, with the first that has more to say, and for each remark."""
    for reason, count in importer.summary.skipped.items():
        first = next((row for row in skipped if row.reason == reason and row.detail), None)
        place = _place(importer, first.place, first.chat) if first else ""
        where = f" (first: {place}, {first.detail})" if first else ""
        yield f"left out, {reason}: {count:,}{where}"
    for remark, count in importer.summary.notes.items():
        yield f"{remark}: {count:,}"


def _place(importer: Importer, place: str, chat: str) -> str:
    """Where something is in a file, which may hold many chats."""
    return f"{place} in {chat}" if chat and importer.summary.chats > 1 else place


def _as_json(
    importer: Importer,
    counts: Counts,
    skipped: Sequence[SkippedRow],
    failure: Exception | None,
) -> dict[str, Any]:
    summary = importer.summary
    return {
        "file": str(importer.file),
        "chats": summary.chats,
        "messages": summary.messages,
        "created": counts.created,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "rejected": counts.rejected,
        "deleted": counts.deleted,
        "skipped": summary.skipped,
        "skipped_first": list(map(asdict, skipped)),
        "rejected_first": list(map(asdict, counts.rejections)),
        "notes": summary.notes,
        "failure": None if failure is None else str(failure),
    }
