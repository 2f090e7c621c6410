"""Writes one reading of a window: what it says again keeps its id, what it no longer says is retired.

What people have judged or edited stays as they left it while its messages stand, and what was merged stays merged
while its words do.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.common.database import Connection
from services.common.ids import uuid7
from services.extractor import bonds, topic_bonds
from services.extractor.extraction import Extraction, MessageId
from services.extractor.placing import KnownAtom, PlacedAtom, place
from services.extractor.store import QUERIES, text_sha256, title_key


@dataclass(frozen=True, slots=True)
class Change:
    """The subjects whose vectors must follow: new or changed ones with their hash, gone ones with None.

    `touched` are all live atoms whose words or evidence may be others now; `revived` hold again, with their old words,
    and must be compared again.
    """

    atoms: dict[UUID, bytes | None]
    topics: dict[UUID, bytes | None]
    touched: frozenset[UUID] = frozenset()
    revived: frozenset[UUID] = frozenset()


async def write(
    connection: Connection,
    workspace: UUID,
    source: UUID,
    window: UUID,
    run: UUID,
    extraction: Extraction,
    sent_at: dict[UUID, datetime],
) -> Change:
    """Replace what earlier readings of the window left by what this one says.

    Of messages that it could not read a reading says nothing but what it mentions.
    """
    await bonds.lock(connection, workspace)
    rows = await connection.fetch(QUERIES["known_atoms_of_window"], workspace, window)
    known = [_known(row) for row in rows]
    topics, fresh_topics = await _put_topics(connection, workspace, source, window, run, extraction)
    placed = place(known, extraction, topics, sent_at)
    said = {atom.id for atom in placed}
    cited = {message for draft in extraction.atoms for message in draft.message_ids}
    kept = sorted(
        atom.id
        for atom in known
        if atom.id not in said
        and (atom.stands if _is_passed_over(atom, extraction, cited) else atom.outlives_silence)
    )
    gone = sorted({atom.id for atom in known} - said - set(kept))
    touched = sorted(said.union(gone))
    await connection.execute(QUERIES["forget_links"], workspace, touched)
    await connection.execute(QUERIES["forget_evidence"], workspace, touched)
    await connection.execute(QUERIES["forget_lost_evidence"], workspace, kept)
    await connection.execute(QUERIES["realign_evidence"], workspace, kept)
    await connection.execute(QUERIES["retire_atoms"], workspace, gone)
    await _put_atoms(connection, workspace, source, window, run, placed)
    await _put_evidence(connection, workspace, placed)
    await _put_links(connection, workspace, run, placed, extraction)
    atoms, lenders, revived = await _follow_bonds(connection, workspace, known, placed, gone, kept)
    retired = await _assign_messages(connection, workspace, window, topics, extraction)
    await connection.execute(QUERIES["leave_topics"], workspace, retired)
    await topic_bonds.follow(connection, workspace, sorted(said))
    await connection.execute(QUERIES["count_topic_messages"], workspace, sorted(fresh_topics))
    subjects = dict(fresh_topics) | dict.fromkeys(retired)
    return Change(atoms, subjects, frozenset(said | lenders), frozenset(revived))


def _is_passed_over(atom: KnownAtom, extraction: Extraction, cited: Set[MessageId]) -> bool:
    """Whether an atom rests on messages that were not read, and of which nothing else is said."""
    unread = atom.message_ids & extraction.unread
    return bool(unread) and unread.isdisjoint(cited)


async def _follow_bonds(
    connection: Connection,
    workspace: UUID,
    known: Sequence[KnownAtom],
    placed: Sequence[PlacedAtom],
    gone: Sequence[UUID],
    kept: Sequence[UUID],
) -> tuple[dict[UUID, bytes | None], set[UUID], set[UUID]]:
    """Release what was concluded from words that are no longer said, and let evidence follow where atoms are merged.

    Returns the atoms whose vectors must follow, those that borrow evidence, and those that hold again.
    """
    mine = [atom.id for atom in known]
    borrowing = await bonds.lenders_of(connection, workspace, mine)
    changed = [atom.id for atom in placed if atom.is_changed and atom.is_known]
    released = await bonds.release(connection, workspace, changed, gone)
    lenders = released.lenders | borrowing
    resting = lenders.union((atom.id for atom in placed), kept)
    again = await bonds.refresh(connection, workspace, resting)
    merged = {atom.id for atom in known if atom.merged_by == "person"}
    atoms: dict[UUID, bytes | None] = {
        atom.id: atom.sha256 for atom in placed if atom.is_changed and atom.id not in merged
    }
    return atoms | released.live | dict.fromkeys(gone), lenders, released.revived.union(again)


async def _put_topics(
    connection: Connection,
    workspace: UUID,
    source: UUID,
    window: UUID,
    run: UUID,
    extraction: Extraction,
) -> tuple[list[UUID], dict[UUID, bytes]]:
    """Save the topics in the order of their keys; return their ids by position, and the new ones' hashes."""
    ids: dict[str, UUID] = {}
    fresh: dict[UUID, bytes] = {}
    for title in sorted((topic.title for topic in extraction.topics), key=title_key):
        key = title_key(title)
        if key in ids:
            continue
        made, sha256 = uuid7(), text_sha256(title)
        [row] = await connection.fetch(
            QUERIES["put_topic"], workspace, made, source, title, key, sha256, window
        )
        ids[key] = row["id"]
        if row["created"]:
            fresh[made] = sha256
            await connection.execute(QUERIES["add_topic_version"], workspace, made, title, run)
    return [ids[title_key(topic.title)] for topic in extraction.topics], fresh


def _known(row: Any) -> KnownAtom:
    return KnownAtom(
        row["id"],
        row["version"],
        tuple(row["texts"]),
        tuple(row["types"]),
        frozenset(row["message_ids"]),
        len(row["message_ids"]),
        row["standing"],
        row["approval_state"],
        row["origin"],
        row["is_ended"],
        row["is_invalidated"],
        row["borrowed"],
        row["merged_by"],
    )


async def _put_atoms(
    connection: Connection,
    workspace: UUID,
    source: UUID,
    window: UUID,
    run: UUID,
    placed: Sequence[PlacedAtom],
) -> None:
    held = sorted((atom for atom in placed if atom.is_held), key=lambda atom: atom.id)
    await connection.execute(
        QUERIES["move_held_atoms"],
        workspace,
        [atom.id for atom in held],
        [atom.topic_id for atom in held],
    )
    fresh = [atom for atom in placed if not atom.is_known]
    await connection.execute(
        QUERIES["add_atoms"],
        workspace,
        source,
        window,
        [atom.id for atom in fresh],
        [atom.topic_id for atom in fresh],
        [atom.draft.type for atom in fresh],
        [atom.draft.title for atom in fresh],
        [atom.draft.content for atom in fresh],
        [atom.sha256 for atom in fresh],
        [atom.draft.confidence for atom in fresh],
        [atom.valid_from for atom in fresh],
    )
    known = [atom for atom in placed if atom.is_known and not atom.is_held]
    for atom in sorted(known, key=lambda atom: atom.id):
        draft = atom.draft
        text = (draft.type, draft.title, draft.content, atom.sha256, draft.confidence)
        await connection.execute(
            QUERIES["change_atom"],
            workspace,
            atom.id,
            atom.topic_id,
            *text,
            atom.valid_from,
            atom.version,
        )
    changed = [atom for atom in placed if atom.is_changed]
    await connection.execute(
        QUERIES["add_atom_versions"],
        workspace,
        run,
        [atom.id for atom in changed],
        [atom.version for atom in changed],
        [atom.draft.type for atom in changed],
        [atom.draft.title for atom in changed],
        [atom.draft.content for atom in changed],
    )


async def _put_evidence(
    connection: Connection, workspace: UUID, placed: Sequence[PlacedAtom]
) -> None:
    rows = [
        (atom.id, passage.message_id, position, passage.quote, passage.start)
        for atom in placed
        for position, passage in enumerate(atom.draft.evidence)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 5
    await connection.execute(QUERIES["add_evidence"], workspace, *columns)


async def _put_links(
    connection: Connection,
    workspace: UUID,
    run: UUID,
    placed: Sequence[PlacedAtom],
    extraction: Extraction,
) -> None:
    rows = [
        (placed[link.source].id, placed[link.target].id, link.type, link.confidence)
        for link in extraction.links
        if link.source != link.target
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
    await connection.execute(QUERIES["add_links"], workspace, run, *columns)


async def _assign_messages(
    connection: Connection,
    workspace: UUID,
    window: UUID,
    topics: Sequence[UUID],
    extraction: Extraction,
) -> list[UUID]:
    """Say which messages belong to which topics; return the topics that are left without a message."""
    told = {message for draft in extraction.topics for message in draft.message_ids}
    unread = list(extraction.unread - told)
    before = await connection.fetch(QUERIES["forget_topic_messages"], workspace, window, unread)
    rows = [
        (topic, message)
        for topic, draft in zip(topics, extraction.topics, strict=True)
        for message in draft.message_ids
    ]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 2
    held = [[row[name] for row in before] for name in ("topic_id", "message_id")]
    await connection.execute(QUERIES["add_topic_messages"], workspace, *columns, window, *held)
    # What people have put elsewhere stays there, and may be all that a topic of this reading has.
    maybe_empty = sorted({row["topic_id"] for row in before}.union(topics))
    retired = await connection.fetch(QUERIES["retire_empty_topics"], workspace, maybe_empty)
    return [row["id"] for row in retired]
