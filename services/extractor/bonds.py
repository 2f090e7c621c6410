"""What atoms are to each other: merged, ended, linked, and released again when the words behind it change or go.

A merged atom keeps its own evidence and its own end; the atom that it was merged into shows the one as borrowed and
ends with the other. So nothing is lost by merging, and taking it back only means to look again. All of it happens
under the lock of the workspace's knowledge.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.outbox import enqueue
from services.extractor.deciding import MeaningLink

QUERIES = sql.load(Path(__file__).with_name("bonds.sql"))
# So many messages of merged atoms an atom shows; the contract names it.
BORROWED_MAX: Final = 500
Cause = Literal["meaning", "person"]


@dataclass
class Released:
    """Atoms that are live again with the hash of their text, and atoms whose borrowed evidence must be looked at.

    `revived` hold again and must be compared again: something else may contradict them.
    """

    live: dict[UUID, bytes] = field(default_factory=dict)
    lenders: set[UUID] = field(default_factory=set)
    revived: set[UUID] = field(default_factory=set)


async def lock(connection: Connection, workspace: UUID) -> None:
    """Let nobody else compare and join until the transaction ends."""
    await connection.execute(QUERIES["lock_knowledge"], workspace)


async def join(
    connection: Connection, workspace: UUID, into: UUID, atoms: Sequence[UUID], by: Cause
) -> None:
    """Merge atoms into one: they are retired and point to it, it takes their evidence as a new version."""
    place = (workspace, into, atoms)
    await connection.execute(QUERIES["redirect_ends"], *place)
    await connection.execute(QUERIES["forget_end_by"], *place)
    await connection.execute(QUERIES["forget_inherited_ends"], workspace, atoms)
    await connection.execute(QUERIES["join_atoms"], *place, by)
    await _inherit_ends(connection, workspace, [into])
    await connection.execute(QUERIES["forget_conclusions"], workspace, atoms)
    await borrow(connection, workspace, [into, *atoms])
    await connection.execute(QUERIES["add_version"], workspace, [into], "merged", atoms[0])


async def part(connection: Connection, workspace: UUID, atom: UUID, cause: UUID) -> set[UUID]:
    """Take back what an atom borrowed of one that was merged into it, as a new version.

    Return what must be compared again.
    """
    again = await _leave(connection, workspace, [atom], [cause])
    await borrow(connection, workspace, [atom, cause])
    await connection.execute(QUERIES["add_version"], workspace, [atom], "parted", cause)
    return again


async def _leave(
    connection: Connection, workspace: UUID, atoms: Sequence[UUID], leaving: Sequence[UUID]
) -> set[UUID]:
    """Let atoms that others have left hold again, and what they had ended, but for what those that stay say of it.

    Return all of them: what each is by itself is concluded anew.
    """
    ends = (workspace, [*atoms, *leaving], atoms)
    rows = await connection.fetch(QUERIES["forget_common_ends"], *ends)
    again = {*atoms, *(row["id"] for row in rows)}.difference(leaving)
    await _inherit_ends(connection, workspace, sorted(again))
    return again


async def _inherit_ends(connection: Connection, workspace: UUID, atoms: Sequence[UUID]) -> None:
    if atoms:
        await connection.execute(QUERIES["inherit_ends"], workspace, atoms)


async def refresh(connection: Connection, workspace: UUID, atoms: Iterable[UUID]) -> list[UUID]:
    """Borrow the evidence of merged atoms anew, as it stands now, without making a version of it.

    Return what must be compared again: it begins when it had ended already.
    """
    ids = sorted(set(atoms))
    if not ids:
        return []
    again = await borrow(connection, workspace, ids)
    await connection.execute(QUERIES["count_evidence"], workspace, ids)
    return again


async def borrow(connection: Connection, workspace: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Show with each atom the evidence of those merged into it, and begin it with the first of all.

    Return those that begin when they had ended already, and hold again.
    """
    await connection.execute(QUERIES["return_evidence"], workspace, ids)
    await connection.execute(QUERIES["borrow_evidence"], workspace, ids, BORROWED_MAX)
    await connection.execute(QUERIES["begin_with_evidence"], workspace, ids)
    rows = await connection.fetch(QUERIES["forget_vain_ends"], workspace, ids)
    return [row["id"] for row in rows]


async def release(
    connection: Connection, workspace: UUID, changed: Iterable[UUID], gone: Iterable[UUID]
) -> Released:
    """Take back what was concluded from the words of atoms that now have others, or none; it is concluded anew later.

    What people merged stays together: if the atom that stayed is gone, the oldest of the others takes its place.
    """
    lost = set(gone)
    atoms = sorted({*changed, *lost})
    result = Released()
    if not atoms:
        return result
    members = await connection.fetch(QUERIES["members"], workspace, atoms)
    orphans: dict[UUID, list[UUID]] = {}
    for row in members:
        if row["merged_by"] == "person" and row["merged_into"] in lost and row["id"] not in lost:
            orphans.setdefault(row["merged_into"], []).append(row["id"])
    freed = [row["id"] for row in members if row["merged_by"] == "meaning"]
    parted = await connection.fetch(
        QUERIES["part_atoms"], workspace, [*atoms, *freed], sorted(lost)
    )
    for row in parted:
        result.lenders.add(row["canonical"])
        if row["is_live"]:
            result.live[row["id"]] = row["text_sha256"]
    left = sorted(result.lenders.difference(atoms))
    leaving = [row["id"] for row in parted]
    result.revived.update(await _leave(connection, workspace, left, leaving))
    for _, own in sorted(orphans.items()):
        await _succeed(connection, workspace, own, result)
    await connection.execute(QUERIES["forget_own_end"], workspace, atoms)
    result.revived.update(await _hold_again(connection, workspace, atoms))
    await connection.execute(QUERIES["forget_conclusions"], workspace, atoms)
    result.lenders.update(atoms)
    return result


async def _succeed(
    connection: Connection, workspace: UUID, members: Sequence[UUID], result: Released
) -> None:
    """Let the oldest of what a person merged stand for the rest."""
    heir, *others = members
    query = QUERIES["promote"]
    result.live[heir] = await connection.fetchval(query, workspace, heir)
    await connection.execute(QUERIES["forget_common_ends"], workspace, [heir], [])
    if others:
        await connection.execute(QUERIES["join_atoms"], workspace, heir, others, "person")
        await _inherit_ends(connection, workspace, [heir])
    result.lenders.add(heir)


async def renounce(connection: Connection, workspace: UUID, atom: UUID) -> list[UUID]:
    """Let hold again what an atom had ended, and forget the links that comparing it made.

    Return what holds again, which must be compared again: something else may contradict it.
    """
    again = await _hold_again(connection, workspace, [atom])
    await connection.execute(QUERIES["forget_conclusions"], workspace, [atom])
    return again


async def _hold_again(connection: Connection, workspace: UUID, atoms: Sequence[UUID]) -> list[UUID]:
    rows = await connection.fetch(QUERIES["hold_again"], workspace, atoms)
    again = [row["id"] for row in rows]
    await _inherit_ends(connection, workspace, again)
    return again


async def compare_again(connection: Connection, workspace: UUID, atoms: Iterable[UUID]) -> None:
    """Ask for live atoms to be compared anew: how much they rest on decides whether a rule approves them.

    After all embedding that the transaction asks for, since whoever writes vectors locks those tasks first.
    """
    rows = await connection.fetch(QUERIES["texts_of"], workspace, sorted(set(atoms)))
    subjects = [row["id"] for row in rows]
    specs = [f"atom:{row['text_sha256'].hex()}" for row in rows]
    await enqueue(connection, workspace, "merge", subjects, specs, reopen=True)


async def lenders_of(connection: Connection, workspace: UUID, atoms: Sequence[UUID]) -> set[UUID]:
    """The atoms whose borrowed evidence follows that of the given ones."""
    rows = await connection.fetch(QUERIES["canonicals"], workspace, atoms)
    return {row["id"] for row in rows}


async def end(
    connection: Connection, workspace: UUID, atom: UUID, moment: datetime, by: UUID
) -> None:
    """Say that an atom held until a newer one contradicted it."""
    await connection.execute(QUERIES["end_atom"], workspace, atom, moment, by)


async def link(connection: Connection, workspace: UUID, links: Sequence[MeaningLink]) -> None:
    """Save links that comparing has found; one that is known stays as it is."""
    rows = [(each.source, each.target, each.type, each.confidence) for each in links]
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        await connection.execute(QUERIES["add_meaning_links"], workspace, *columns)
