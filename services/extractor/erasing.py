"""The stage `erase_extractor`: nothing that was made of erased messages outlives one transaction a chunk.

An atom that rests on other messages too is removed with its words, and what is left of its conversation is read again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.outbox import Task, enqueue, enqueue_embedding
from services.common.work import Result
from services.extractor import bonds, store
from services.extractor.readings import enqueue_reading
from services.extractor.windows import WindowLimits

QUERIES = sql.load(Path(__file__).with_name("erasing.sql"))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages of one erasure, by the number of their chunk."""

    operation: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What has gone, how much of it counts, the windows that may say some of it still, and atoms to compare again."""

    ids: list[UUID]
    windows: set[UUID]
    counts: tuple[int, ...]
    again: frozenset[UUID] = frozenset()


class EraseStage:
    """Removes what windows, topics and atoms hold of erased messages."""

    name = "erase_extractor"

    def __init__(
        self, engine_version: str, kick: Callable[[], None], limits: WindowLimits | None = None
    ) -> None:
        self._engine_version, self.after_commit = engine_version, kick
        self._limits = limits or WindowLimits()

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[Chunk]]:
        """Read what is asked: the spec is the number of a chunk."""
        return [Result(task, Chunk(task.subject, int(task.spec)), 0) for task in tasks]

    async def lock(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Chunk]]
    ) -> None:
        """Wait until nobody writes what was read before."""
        await store.lock_for_erasing(connection, workspace)

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Chunk]]
    ) -> None:
        """Remove chunk after chunk."""
        again: set[UUID] = set()
        for result in sorted(
            results, key=lambda result: (result.value.operation, result.value.number)
        ):
            again |= await self._erase(connection, workspace, result.value)
        await bonds.compare_again(connection, workspace, again)

    async def _erase(
        self, connection: Connection, workspace: UUID, chunk: Chunk
    ) -> frozenset[UUID]:
        """Remove a chunk; return the atoms that must be compared again once all embedding is asked for."""
        place = (workspace, chunk.operation, chunk.number)
        messages: list[UUID] = await connection.fetchval(QUERIES["messages_of_chunk"], *place)
        saw = await store.windows_that_saw(connection, workspace, messages, self._limits)
        own = sorted({row["id"] for row in saw if row["is_own"]})
        atoms = await _remove_atoms(connection, workspace, messages, saw)
        topics = await _remove_topics(connection, workspace, messages, saw)
        members = await connection.fetchval(QUERIES["remove_memberships"], workspace, messages)
        evidence, *removed = atoms.counts
        counts = (evidence, *topics.counts, members, *removed)
        await connection.execute(QUERIES["add_report"], *place, *counts, atoms.ids, topics.ids)
        # Some windows say the same as before, and their tasks are done.
        windows = sorted({*own, *atoms.windows, *topics.windows})
        await enqueue_reading(connection, workspace, windows, self._engine_version, reopen=True)
        spec = f"knowledge:{chunk.number}"
        await enqueue(connection, workspace, "erase_embedder", [chunk.operation], [spec])
        return atoms.again


async def _remove_atoms(
    connection: Connection, workspace: UUID, messages: Sequence[UUID], saw: Sequence[Any]
) -> Removed:
    """Remove atoms that rest on the messages or quote what nobody says any more, and history that may repeat them."""
    windows = sorted({row["id"] for row in saw})
    rows = await connection.fetch(QUERIES["atoms_to_remove"], workspace, messages, windows)
    ids = [row["id"] for row in rows]
    evidence = await connection.fetchval(QUERIES["count_evidence"], workspace, messages, ids)
    released = await bonds.release(connection, workspace, [], ids)
    for name in ("evidence", "links", "separations", "causes", "reviews", "versions", "atoms"):
        await connection.execute(QUERIES[f"remove_{name}"], workspace, ids)
    for name in ("reviews", "versions"):
        await connection.execute(QUERIES[f"remove_earlier_{name}"], workspace, windows)
    lenders = released.lenders.difference(ids)
    await bonds.refresh(connection, workspace, lenders)
    # Atoms that had joined a removed one stand for themselves again.
    gone = set(ids)
    again_live = {atom: text for atom, text in released.live.items() if atom not in gone}
    hashes: list[bytes | None] = list(again_live.values())
    await enqueue_embedding(connection, workspace, "atom", list(again_live), hashes, reopen=True)
    live = [row for row in rows if row["is_live"]]
    shared = {row["window_id"] for row in live if row["rests_on_others"]}
    again = sum(row["rests_on_others"] for row in live)
    counts = (evidence, len(live) - again, again)
    return Removed(ids, shared, counts, frozenset(lenders | released.revived))


async def _remove_topics(
    connection: Connection,
    workspace: UUID,
    messages: Sequence[UUID],
    saw: Sequence[Any],
) -> Removed:
    """Take the messages out of their topics, and remove the topics whose titles nothing else explains.

    What people called so keeps what is left of it.
    """
    links = await connection.fetch(QUERIES["remove_topic_messages"], workspace, messages)
    left = sorted({row["topic_id"] for row in links})
    windows = sorted({row["id"] for row in saw})
    rows = await connection.fetch(QUERIES["topics_concerned"], workspace, left, windows, messages)
    ids = [row["id"] for row in rows if row["goes"]]
    kept = [row["id"] for row in rows if not row["goes"]]
    named = [row["id"] for row in rows if row["is_persons"] and not row["goes"]]
    read = await connection.fetch(QUERIES["windows_of_topics"], workspace, ids)
    more = await connection.fetchval(QUERIES["count_links_to_erased"], workspace, ids)
    for name in (
        "remove_former_titles",
        "leave_aliases",
        "leave_removed_topics",
        "remove_messages_of_topics",
        "remove_separations",
        "remove_topic_versions",
        "remove_topics",
    ):
        await connection.execute(QUERIES[name], workspace, ids)
    await connection.execute(QUERIES["remove_earlier_titles"], workspace, kept)
    await connection.execute(QUERIES["keep_messages"], workspace, named, windows)
    return Removed(ids, {row["window_id"] for row in read}, (len(links) + more,))
