"""Atoms that a person merges or takes apart, in the caller's transaction, each request once."""

from collections.abc import Sequence
from uuid import UUID

from services.common.database import Connection
from services.common.errors import FieldViolation, InvalidFields, NotFound
from services.common.outbox import enqueue_embedding
from services.extractor import bonds, review
from services.extractor.review import Reviewer


async def merge(
    connection: Connection, reviewer: Reviewer, atom: UUID, others: Sequence[UUID]
) -> None:
    """Merge others into an atom; NotFound unless all are live."""
    if atom in others:
        raise InvalidFields(FieldViolation("merged_atom_ids", "must not name atom_id"))
    workspace = reviewer.workspace
    await review.lock_knowledge(connection, reviewer)
    if await review.was_carried_out(connection, reviewer):
        return
    versions = {}
    for each in sorted((atom, *others)):
        known = await connection.fetchrow(review.QUERIES["lock_atom"], workspace, each)
        if known is None or known["retired_at"] is not None:
            raise await review.not_live(connection, workspace, each)
        versions[each] = known["version"]
    await connection.execute(bonds.QUERIES["allow_together"], workspace, atom, others)
    await bonds.join(connection, workspace, atom, others, "person")
    gone: list[bytes | None] = [None] * len(others)
    await enqueue_embedding(connection, workspace, "atom", others, gone, reopen=True)
    await bonds.compare_again(connection, workspace, [atom])
    await review.record(connection, reviewer, atom, versions[atom] + 1, "merged")


async def unmerge(connection: Connection, reviewer: Reviewer, atom: UUID) -> None:
    """Make a merged atom live again, and keep it for good from those that it was merged with."""
    workspace = reviewer.workspace
    await review.lock_knowledge(connection, reviewer)
    if await review.was_carried_out(connection, reviewer):
        return
    known = await connection.fetchrow(review.QUERIES["merged_atom"], workspace, atom)
    if known is None:
        raise NotFound("merged atom", str(atom))
    canonical: UUID = known["merged_into"]
    rows = await connection.fetch(review.QUERIES["siblings"], workspace, canonical)
    # All of them were taken for the same: kept from one of them alone it would come back through another.
    siblings = [canonical, *(row["id"] for row in rows)]
    await connection.execute(bonds.QUERIES["keep_apart"], workspace, atom, siblings)
    sha256 = await connection.fetchval(bonds.QUERIES["promote"], workspace, atom)
    again = await bonds.part(connection, workspace, canonical, atom)
    await enqueue_embedding(connection, workspace, "atom", [atom], [sha256], reopen=True)
    await bonds.compare_again(connection, workspace, again)
    await review.record(connection, reviewer, atom, known["version"], "parted")
