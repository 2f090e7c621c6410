"""What an import tells at its end: what became of the messages, and which rows were left out, where and why."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from services.cli.importers import Importer, SkippedRow, name_of
from services.cli.options import Session
from services.cli.sending import Counts
from services.cli.values import counted, shortened

EXAMPLES_MAX = 10
SUPERSEDED_SHOWN = 5
NAME_CHARACTERS = 60


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
    among = f", {chats:,} chats" if chats > 1 else ""
    session.console.print(
        f"{escape(name_of(importer.file))}{among}: {counts.created:,} new, {counts.updated:,} changed, "
        f"{counts.unchanged:,} unchanged, {counts.rejected:,} rejected"
        + (f", {counts.superseded:,} not taken" if counts.superseded else "")
        + (f", {counts.deleted:,} deleted" if counts.deleted else "")
        + (_conclusion(importer, counts) if failure is None else " — not all of it")
    )
    for line in (*_not_taken(importer, counts), *_remarks(importer, skipped)):
        session.console.print(f"  {escape(line)}")
    for rejected in counts.rejections[:EXAMPLES_MAX]:
        place = _place(importer, rejected.external_id, rejected.chat)
        told = f"  rejected {place}: {rejected.field}: {rejected.description}"
        session.console.print(escape(told))


def what_is_missing(importer: Importer, counts: Counts) -> str:
    """What of a file is not stored, though somebody wrote it; empty if that is nothing."""
    unreadable, rejected = importer.summary.unreadable, counts.rejected
    lost = [
        counted(unreadable, "row was", "rows were") + " left out" if unreadable else "",
        counted(rejected, "message was", "messages were") + " rejected" if rejected else "",
    ]
    return " and ".join(filter(None, lost))


def what_is_saved(counts: Counts, *, passes: bool = True) -> str:
    """What an import that is broken off leaves behind, and what to do; `passes` tells that nothing need be mended."""
    if not counts.saved:
        again = ": give the same command again" if passes else ""
        return f"nothing is known to be saved yet{again}"
    return (
        f"{counted(counts.saved, 'message is', 'messages are')} saved; the same command again goes on: "
        "what is saved is not saved twice"
    )


def _conclusion(importer: Importer, counts: Counts) -> str:
    """What to make of an import that changed nothing."""
    if counts.created or counts.updated or counts.deleted or counts.superseded:
        return ""
    return " — nothing has changed" if importer.summary.messages else " — no messages are in it"


def _not_taken(importer: Importer, counts: Counts) -> Iterator[str]:
    """A line for what was in the file and yet is not what is stored, as it may well be: an old export has old texts."""
    if counts.superseded:
        # A file may tell the same message again and again.
        first = list(dict.fromkeys(counts.superseded_first))
        named = [_place(importer, each.external_id, each.chat) for each in first[:SUPERSEDED_SHOWN]]
        is_all = len(first) == len(named) and counts.superseded == len(counts.superseded_first)
        more = "" if is_all else ", …"
        yield (
            "not taken, as another version is stored and nothing (`edited_at`) says that this one is newer: "
            f"{counts.superseded:,} ({', '.join(named)}{more})"
        )
    if counts.erased:
        yield f"erased here, and stays so: {counts.erased:,}"


def _remarks(importer: Importer, skipped: Sequence[SkippedRow]) -> Iterator[str]:
    """A line for each reason to leave rows out, with the first of them, and for each remark."""
    for reason, count in importer.summary.skipped.items():
        named = [row for row in skipped if row.reason == reason]
        yield f"left out, {reason}: {count:,}{_first_of(importer, named, count)}"
    for remark, count in importer.summary.notes.items():
        yield f"{remark}: {count:,}"


def _first_of(importer: Importer, named: Sequence[SkippedRow], count: int) -> str:
    """Where the first of some rows are, and what is wrong with that; of events, which nobody will mend, at most one."""
    if not named or (named[0].is_event and not named[0].detail):
        return ""
    first, *others = [_place(importer, row.place, row.chat) for row in named]
    told = f"{first}, {named[0].detail}" if named[0].detail else first
    if named[0].is_event or not others:
        return f" (first: {told})"
    more = ", …" if count > len(named) else ""
    return f" (first: {told}; then {', '.join(others)}{more})"


def _place(importer: Importer, place: str, chat: str) -> str:
    """Where something is in a file, which may hold many chats."""
    named = shortened(place, NAME_CHARACTERS)
    several = importer.summary.chats > 1
    return f"{named} in {shortened(chat, NAME_CHARACTERS)}" if chat and several else named


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
        "superseded": counts.superseded,
        "erased": counts.erased,
        "rejected": counts.rejected,
        "deleted": counts.deleted,
        "skipped": summary.skipped,
        "unreadable": summary.unreadable,
        "skipped_first": list(map(asdict, skipped)),
        "rejected_first": list(map(asdict, counts.rejections)),
        "superseded_first": list(map(asdict, counts.superseded_first)),
        "notes": summary.notes,
        "failure": None if failure is None else str(failure),
    }
