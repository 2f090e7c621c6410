"""What a person says of an atom: judged, edited or withdrawn, in the caller's transaction, each request once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.errors import Conflict, FieldViolation, InvalidFields, NotFound
from services.common.outbox import enqueue_embedding
from services.extractor import bonds, store
from services.extractor.store import atom_sha256

QUERIES = sql.load(Path(__file__).with_name("review.sql"))
State = Literal["proposed", "approved", "rejected"]


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who speaks, why, and with which request."""

    workspace: UUID
    key_id: UUID
    reason: str
    request_id: UUID | None
    request_sha256: bytes


async def judge(
    connection: Connection, reviewer: Reviewer, atom: UUID, version: int, state: State
) -> None:
    """Judge a version, the current one for 0; unless rejected it is no longer invalidated."""
    known = await lock(connection, reviewer, atom)
    if known is None:
        return
    version = version or known["version"]
    place = (reviewer.workspace, atom)
    judged = await connection.fetchval(QUERIES["judge_version"], *place, version, state)
    if judged is None:
        raise NotFound("version", f"{version} of atom {atom}")
    if version == known["version"]:
        await connection.execute(QUERIES["judge_atom"], *place, state)
        if state == "rejected":
            affected = await bonds.renounce(connection, reviewer.workspace, atom)
        else:
            await _restore(connection, reviewer, known)
            # What it is judged decides what joins what.
            affected = [atom]
        await bonds.compare_again(connection, reviewer.workspace, affected)
    await record(connection, reviewer, atom, version, state)


async def edit(
    connection: Connection, reviewer: Reviewer, atom: UUID, seen: int, changes: Mapping[str, Any]
) -> None:
    """Change type, title, content or valid_to; `seen` is the version that must be current, 0 for any.

    Other words or another type are approved, so that it is no longer invalidated; an end judges nothing.
    """
    known = await lock(connection, reviewer, atom)
    if known is None:
        return
    if seen not in (0, known["version"]):
        raise Conflict(f"atom {atom} has version {known['version']} now, not {seen}")
    end = changes.get("valid_to")
    if end is not None and end < known["valid_from"]:
        raise InvalidFields(FieldViolation("valid_to", "must not be before valid_from"))
    if "valid_to" in changes:
        await connection.execute(QUERIES["end_atom"], reviewer.workspace, atom, end)
    words = {name: changes.get(name, known[name]) for name in ("type", "title", "content")}
    version = known["version"]
    if any(words[name] != known[name] for name in words):
        version += 1
        await _restore(connection, reviewer, known)
        affected = await bonds.renounce(connection, reviewer.workspace, atom)
        await _reword(connection, reviewer.workspace, atom, version, words)
        if known["text_sha256"] == atom_sha256(words["title"], words["content"]):
            # Another type alone makes no vector, which would ask for it.
            affected.append(atom)
        await bonds.compare_again(connection, reviewer.workspace, affected)
    await record(connection, reviewer, atom, version, "edited")


async def invalidate(connection: Connection, reviewer: Reviewer, atom: UUID) -> None:
    """Say that an atom was wrong from the start: it and its vectors go, its memory stays."""
    known = await lock(connection, reviewer, atom)
    if known is None:
        return
    await connection.execute(QUERIES["invalidate_atom"], reviewer.workspace, atom)
    affected = await bonds.renounce(connection, reviewer.workspace, atom)
    await _embed(connection, reviewer.workspace, atom, None)
    await bonds.compare_again(connection, reviewer.workspace, affected)
    await record(connection, reviewer, atom, known["version"], "invalidated")


async def lock(connection: Connection, reviewer: Reviewer, atom: UUID) -> Any | None:
    """The atom as it is until the transaction ends; None for a request that was carried out before."""
    await lock_knowledge(connection, reviewer)
    if await was_carried_out(connection, reviewer):
        return None
    known = await connection.fetchrow(QUERIES["lock_atom"], reviewer.workspace, atom)
    if known is None:
        raise await not_live(connection, reviewer.workspace, atom)
    return known


async def not_live(connection: Connection, workspace: UUID, atom: UUID) -> NotFound:
    """What is said of an atom that is not live: where it has gone, if it was merged."""
    merged = await connection.fetchrow(QUERIES["merged_atom"], workspace, atom)
    if merged is None:
        return NotFound("live atom", str(atom))
    return NotFound("live atom", f"{atom}: it was merged into {merged['merged_into']}")


async def lock_knowledge(connection: Connection, reviewer: Reviewer) -> None:
    """Let nothing be compared or joined until the transaction ends."""
    await store.lock_for_writing(connection, reviewer.workspace)
    await bonds.lock(connection, reviewer.workspace)


async def was_carried_out(connection: Connection, reviewer: Reviewer) -> bool:
    """Whether the same request was carried out before; InvalidFields if another one had its id."""
    if reviewer.request_id is None:
        return False
    place = (reviewer.workspace, reviewer.request_id)
    earlier = await connection.fetchval(QUERIES["review_of_request"], *place)
    if earlier not in (None, reviewer.request_sha256):
        raise _request_taken()
    return earlier is not None


async def record(
    connection: Connection, reviewer: Reviewer, atom: UUID, version: int, verdict: str
) -> None:
    """Remember who said what of a version, and why."""
    said = (reviewer.reason, reviewer.key_id, reviewer.request_id, reviewer.request_sha256)
    place = (reviewer.workspace, atom, version, verdict)
    if await connection.fetchval(QUERIES["add_review"], *place, *said) is None:
        raise _request_taken()


def _request_taken() -> InvalidFields:
    return InvalidFields(FieldViolation("request_id", "another request had it"))


async def _restore(connection: Connection, reviewer: Reviewer, known: Any) -> None:
    if known["invalidated_at"] is not None:
        await connection.execute(QUERIES["restore_atom"], reviewer.workspace, known["id"])
        await _embed(connection, reviewer.workspace, known["id"], known["text_sha256"])


async def _reword(
    connection: Connection, workspace: UUID, atom: UUID, version: int, words: Mapping[str, str]
) -> None:
    text = (words["type"], words["title"], words["content"])
    sha256 = atom_sha256(words["title"], words["content"])
    await connection.execute(QUERIES["edit_atom"], workspace, atom, *text, sha256, version)
    await connection.execute(QUERIES["add_edited_version"], workspace, atom, version, *text)
    await _embed(connection, workspace, atom, sha256)


async def _embed(connection: Connection, workspace: UUID, atom: UUID, sha256: bytes | None) -> None:
    await enqueue_embedding(connection, workspace, "atom", [atom], [sha256], reopen=True)
