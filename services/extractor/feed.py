"""Follows knowledge in the order it was committed: read from the feed by position, so any position can be resumed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import FieldViolation, InvalidFields
from services.common.waiting import wait_at_most
from services.extractor import library, rendering
from services.extractor.requests import read_atoms
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types

CHANGES_MAX: Final = 100
_KINDS: Final = {"atom": types.SUBJECT_KIND_ATOM, "topic": types.SUBJECT_KIND_TOPIC}


class Feed:
    """Lends the changes of a workspace until it is drained; looks every `poll_seconds` when there are none."""

    def __init__(self, database: Database, poll_seconds: float) -> None:
        self._database, self._poll_seconds = database, poll_seconds
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """End every stream after what it has read."""
        self._draining.set()

    async def run(self) -> None:
        """Wait to be drained."""
        await self._draining.wait()

    async def start(self, workspace: UUID, request: pb.StreamKnowledgeRequest) -> int:
        """The position after which a request wants to read; InvalidFields for one that no change has had yet."""
        after = int(request.cursor or 0)
        async with self._database.transaction(workspace) as connection:
            end = await library.feed_end(connection, workspace)
        if after > end:
            raise InvalidFields(
                FieldViolation("cursor", "is later than the workspace's last change")
            )
        return end if request.only_new else after

    async def follow(
        self, workspace: UUID, after: int
    ) -> AsyncIterator[pb.StreamKnowledgeResponse]:
        """Every change after a position, and those to come; no connection is held while nothing happens."""
        while not self._draining.is_set():
            found = await self._read(workspace, after)
            for position, response in found:
                yield response
                after = position
            if len(found) < CHANGES_MAX:
                await wait_at_most(self._draining, self._poll_seconds)

    async def _read(
        self, workspace: UUID, after: int
    ) -> list[tuple[int, pb.StreamKnowledgeResponse]]:
        async with self._database.snapshot(workspace) as connection:
            changes = await library.changes(connection, workspace, after, CHANGES_MAX)
            if not changes:
                return []
            atoms = await _atoms(connection, workspace, _subjects(changes, "atom"))
            topics = await _topics(connection, workspace, _subjects(changes, "topic"))
        return [(row["position"], _response(row, atoms, topics)) for row in changes]


def _subjects(changes: Sequence[Any], kind: str) -> list[UUID]:
    return [row["subject_id"] for row in changes if row["kind"] == kind]


async def _atoms(
    connection: Connection, workspace: UUID, ids: Sequence[UUID]
) -> dict[UUID, types.Atom]:
    """The live ones of atoms."""
    found = await read_atoms(connection, workspace, ids)
    return {
        identity: atom
        for identity, atom in found.items()
        if not atom.HasField("invalidated_at") and not atom.merged_into_id
    }


async def _topics(
    connection: Connection, workspace: UUID, ids: Sequence[UUID]
) -> dict[UUID, types.Topic]:
    rows = await library.topics(connection, workspace, limit=CHANGES_MAX, ids=ids)
    return {row["id"]: rendering.topic(row) for row in rows}


def _response(
    change: Any, atoms: dict[UUID, types.Atom], topics: dict[UUID, types.Topic]
) -> pb.StreamKnowledgeResponse:
    kind, subject = change["kind"], change["subject_id"]
    response = pb.StreamKnowledgeResponse(cursor=str(change["position"]))
    if kind == "atom" and subject in atoms:
        response.atom.CopyFrom(atoms[subject])
    elif kind == "topic" and subject in topics:
        response.topic.CopyFrom(topics[subject])
    else:
        response.removal.CopyFrom(pb.Removal(kind=_KINDS[kind], id=str(subject)))
    return response
