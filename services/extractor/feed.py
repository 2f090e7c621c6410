"""Follows knowledge in the order it was committed: read from the feed by position, so any position can be resumed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import FieldViolation, InvalidFields
from services.common.waiting import wait_at_most
from services.extractor import library, rendering
from services.extractor.requests import moment_of, read_atoms, uuid_of
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types

CHANGES_MAX: Final = 100
_KINDS: Final = {"atom": types.SUBJECT_KIND_ATOM, "topic": types.SUBJECT_KIND_TOPIC}


@dataclass(frozen=True)
class Wanted:
    """What of the changes is asked for: kinds, all if there are none, and a source."""

    kinds: Sequence[str]
    source: UUID | None


def wanted_of(request: pb.StreamKnowledgeRequest) -> Wanted:
    """What a request asks for."""
    kinds = [name for name, number in _KINDS.items() if number in request.kinds]
    return Wanted(kinds, uuid_of(request.source_id))


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
        after, since = int(request.cursor or 0), moment_of(request, "since")
        async with self._database.transaction(workspace) as connection:
            if since is not None:
                return await library.feed_before(connection, workspace, since)
            end = await library.feed_end(connection, workspace)
        if after > end:
            raise InvalidFields(
                FieldViolation("cursor", "is later than the workspace's last change")
            )
        return end if request.only_new else after

    async def follow(
        self, workspace: UUID, after: int, wanted: Wanted
    ) -> AsyncIterator[pb.StreamKnowledgeResponse]:
        """Every change after a position, and those to come; no connection is held while nothing happens."""
        while not self._draining.is_set():
            found = await self._read(workspace, after, wanted)
            for position, response in found:
                if response is not None:
                    yield response
                after = position
            if len(found) < CHANGES_MAX:
                await wait_at_most(self._draining, self._poll_seconds)

    async def _read(
        self, workspace: UUID, after: int, wanted: Wanted
    ) -> list[tuple[int, pb.StreamKnowledgeResponse | None]]:
        """Positions with what is told there, None for what lives in other sources alone."""
        async with self._database.snapshot(workspace) as connection:
            changes = await library.changes(connection, workspace, after, CHANGES_MAX, wanted.kinds)
            if not changes:
                return []
            atoms = await _atoms(connection, workspace, _subjects(changes, "atom"))
            topics = await _topics(connection, workspace, _subjects(changes, "topic"))
            elsewhere = await _elsewhere(connection, workspace, wanted.source, atoms, topics)
        return [
            (
                row["position"],
                None if row["subject_id"] in elsewhere else _response(row, atoms, topics),
            )
            for row in changes
        ]


async def _elsewhere(
    connection: Connection,
    workspace: UUID,
    source: UUID | None,
    atoms: Collection[UUID],
    topics: Collection[UUID],
) -> set[UUID]:
    """Those of live atoms and topics that have nothing of a source; none if no source is asked for."""
    if source is None:
        return set()
    found: list[Any] = []
    for ids, list_live in ((list(atoms), library.atoms), (list(topics), library.topics)):
        if ids:
            found += await list_live(
                connection, workspace, limit=CHANGES_MAX, source=source, ids=ids
            )
    return {*atoms, *topics} - {row["id"] for row in found}


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
