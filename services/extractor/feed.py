"""Follows knowledge in the order it was committed: read from the feed by position, so any position can be resumed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
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
LOOKS_MAX: Final = 10_000
"""Changes that one statement looks at for those that are asked for, in some tens of milliseconds."""
_KINDS: Final = {"atom": types.SUBJECT_KIND_ATOM, "topic": types.SUBJECT_KIND_TOPIC}


@dataclass(frozen=True)
class Wanted:
    """What of the changes is asked for: kinds, all if there are none, and a source."""

    kinds: Sequence[str]
    source: UUID | None

    @property
    def is_filter(self) -> bool:
        """Whether something is left out."""
        return bool(self.kinds or self.source)


def wanted_of(request: pb.StreamKnowledgeRequest) -> Wanted:
    """What a request asks for."""
    kinds = [name for name, number in _KINDS.items() if number in request.kinds]
    return Wanted(kinds, uuid_of(request.source_id))


@dataclass(frozen=True)
class Part:
    """What is told of some changes, the position of the last one looked at, and whether that is the last of all."""

    responses: Sequence[pb.StreamKnowledgeResponse]
    position: int
    is_last: bool


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
            part = await self._read(workspace, after, wanted)
            for response in part.responses:
                yield response
            after = part.position
            if part.is_last:
                await wait_at_most(self._draining, self._poll_seconds)

    async def _read(self, workspace: UUID, after: int, wanted: Wanted) -> Part:
        async with self._database.snapshot(workspace) as connection:
            asked = (CHANGES_MAX, wanted.kinds, wanted.source, LOOKS_MAX)
            changes = await library.changes(connection, workspace, after, *asked)
            position = changes[-1]["position"] if changes else after
            is_last = len(changes) < CHANGES_MAX
            if is_last and wanted.is_filter:
                looked, position = await library.looked_at(connection, workspace, after, LOOKS_MAX)
                is_last = looked < LOOKS_MAX
            atoms = await _atoms(connection, workspace, _subjects(changes, "atom"))
            topics = await _topics(connection, workspace, _subjects(changes, "topic"))
        return Part([_response(row, atoms, topics) for row in changes], position, is_last)


def _subjects(changes: Sequence[Any], kind: str) -> list[UUID]:
    return [row["subject_id"] for row in changes if row["kind"] == kind]


async def _atoms(
    connection: Connection, workspace: UUID, ids: Sequence[UUID]
) -> dict[UUID, types.Atom]:
    """The live ones of atoms."""
    if not ids:
        return {}
    found = await read_atoms(connection, workspace, ids)
    return {
        identity: atom
        for identity, atom in found.items()
        if not atom.HasField("invalidated_at") and not atom.merged_into_id
    }


async def _topics(
    connection: Connection, workspace: UUID, ids: Sequence[UUID]
) -> dict[UUID, types.Topic]:
    if not ids:
        return {}
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
