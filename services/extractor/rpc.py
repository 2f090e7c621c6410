"""ExtractorService: requests to the library and back."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

from services.common import pages
from services.common.database import Connection, Database
from services.common.errors import NotFound
from services.common.ids import uuid7
from services.common.outbox import enqueue
from services.common.rpc import current_caller
from services.extractor import edits, library, rendering, review, store
from services.extractor.feed import Feed
from services.extractor.review import Reviewer
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1 import extractor_pb2_grpc
from winnow.types.v1 import types_pb2 as types

SCOPES = {
    "ExtractNow": "admin",
    "ListTopics": "read",
    "GetTopic": "read",
    "ListAtoms": "read",
    "GetAtom": "read",
    "ListAtomVersions": "read",
    "ListRuns": "read",
    "StreamKnowledge": "read",
    "ReviewAtom": "admin",
    "UpdateAtom": "admin",
    "InvalidateAtom": "admin",
}


def _uuid(text: str) -> UUID | None:
    return UUID(text) if text else None


def _reviewer(request: Any) -> Reviewer:
    caller, body = current_caller(), request.SerializeToString(deterministic=True)
    digest = hashlib.sha256(request.DESCRIPTOR.name.encode() + body).digest()
    return Reviewer(
        caller.workspace, caller.key_id, request.reason, _uuid(request.request_id), digest
    )


async def _read_atom(connection: Connection, workspace: UUID, atom: UUID) -> types.Atom:
    """One atom with its evidence and the messages."""
    rows = await library.atoms(connection, workspace, limit=1, ids=[atom])
    if not rows:
        raise NotFound("atom", str(atom))
    passages = (await library.evidence(connection, workspace, [atom]))[atom]
    ids = [passage["message_id"] for passage in passages]
    messages = await library.messages(connection, workspace, ids)
    return rendering.atom(rows[0], passages, messages)


class ExtractorRpc(extractor_pb2_grpc.ExtractorServiceServicer):
    """Answers from the caller's workspace."""

    def __init__(self, database: Database, kick: Callable[[], None], feed: Feed) -> None:
        self._database, self._kick, self._feed = database, kick, feed

    async def ExtractNow(
        self, request: pb.ExtractNowRequest, context: Any
    ) -> pb.ExtractNowResponse:
        """Ask for open windows to be closed."""
        workspace, source = current_caller().workspace, _uuid(request.source_id)
        async with self._database.transaction(workspace) as connection:
            sources = await store.pending_sources(connection, workspace, source)
            count = await store.pending_conversations(connection, workspace, source)
            specs = [f"close:{uuid7()}" for _ in sources]
            await enqueue(connection, workspace, "window", sources, specs)
        self._kick()
        return pb.ExtractNowResponse(conversations=count)

    async def ListTopics(
        self, request: pb.ListTopicsRequest, context: Any
    ) -> pb.ListTopicsResponse:
        """List topics, the one with the latest message first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 2)
        before = (position.moment(0), position.uuid(1)) if position else None
        source = _uuid(request.source_id)
        async with self._database.transaction(workspace) as connection:
            rows = await library.topics(
                connection, workspace, limit=size, source=source, before=before
            )
        more = len(rows) == size
        last = [rows[-1]["last_at"].isoformat(), str(rows[-1]["id"])] if more else []
        token = pages.encode(request, last) if more else ""
        return pb.ListTopicsResponse(
            topics=[rendering.topic(row) for row in rows], next_page_token=token
        )

    async def GetTopic(self, request: pb.GetTopicRequest, context: Any) -> pb.GetTopicResponse:
        """Return a topic with its messages and atoms."""
        workspace, topic = current_caller().workspace, UUID(request.topic_id)
        async with self._database.transaction(workspace) as connection:
            rows = await library.topics(connection, workspace, limit=1, ids=[topic])
            if not rows:
                raise NotFound("topic", request.topic_id)
            messages, atoms = await library.topic_contents(connection, workspace, topic)
        return pb.GetTopicResponse(
            topic=rendering.topic(rows[0]),
            message_ids=[str(message) for message in messages],
            atom_ids=[str(atom) for atom in atoms],
        )

    async def ListAtoms(self, request: pb.ListAtomsRequest, context: Any) -> pb.ListAtomsResponse:
        """List atoms, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        async with self._database.transaction(workspace) as connection:
            rows = await library.atoms(
                connection,
                workspace,
                limit=size,
                type_name=rendering.name(types.AtomType, request.type),
                topic=_uuid(request.topic_id),
                source=_uuid(request.source_id),
                before=position.uuid(0) if position else None,
                state=rendering.name(types.ApprovalState, request.approval_state),
                only_invalidated=request.only_invalidated,
            )
            passages = await library.evidence(connection, workspace, [row["id"] for row in rows])
            ids = {e["message_id"] for found in passages.values() for e in found}
            wanted = sorted(ids) if request.include_messages else []
            messages = await library.messages(connection, workspace, wanted)
        token = pages.encode(request, [str(rows[-1]["id"])]) if len(rows) == size else ""
        atoms = [rendering.atom(row, passages[row["id"]], messages) for row in rows]
        return pb.ListAtomsResponse(atoms=atoms, next_page_token=token)

    async def GetAtom(self, request: pb.GetAtomRequest, context: Any) -> pb.GetAtomResponse:
        """Return an atom, the messages it rests on, and its links."""
        workspace, identity = current_caller().workspace, UUID(request.atom_id)
        async with self._database.transaction(workspace) as connection:
            atom = await _read_atom(connection, workspace, identity)
            links = await library.links(connection, workspace, identity)
        return pb.GetAtomResponse(atom=atom, links=[rendering.link(row) for row in links])

    async def ReviewAtom(
        self, request: pb.ReviewAtomRequest, context: Any
    ) -> pb.ReviewAtomResponse:
        """Judge a version of an atom."""
        atom, version = UUID(request.atom_id), request.version
        state: Any = rendering.name(types.ApprovalState, request.approval_state)

        async def act(connection: Connection, reviewer: Reviewer) -> None:
            await review.judge(connection, reviewer, atom, version, state)

        return pb.ReviewAtomResponse(atom=await self._reviewed(request, atom, act))

    async def UpdateAtom(
        self, request: pb.UpdateAtomRequest, context: Any
    ) -> pb.UpdateAtomResponse:
        """Change an atom by hand."""
        atom, changes = UUID(request.atom_id), edits.changes_of(request)

        async def act(connection: Connection, reviewer: Reviewer) -> None:
            await review.edit(connection, reviewer, atom, request.version, changes)

        return pb.UpdateAtomResponse(atom=await self._reviewed(request, atom, act))

    async def InvalidateAtom(
        self, request: pb.InvalidateAtomRequest, context: Any
    ) -> pb.InvalidateAtomResponse:
        """Say that an atom was wrong."""
        atom = UUID(request.atom_id)

        async def act(connection: Connection, reviewer: Reviewer) -> None:
            await review.invalidate(connection, reviewer, atom)

        return pb.InvalidateAtomResponse(atom=await self._reviewed(request, atom, act))

    async def _reviewed(
        self, request: Any, atom: UUID, act: Callable[[Connection, Reviewer], Awaitable[None]]
    ) -> types.Atom:
        """Carry out what a person asks, and return the atom as it is then."""
        reviewer = _reviewer(request)

        async def attempt() -> types.Atom:
            async with self._database.transaction(reviewer.workspace) as connection:
                await act(connection, reviewer)
                return await _read_atom(connection, reviewer.workspace, atom)

        result = await self._database.retrying(attempt)
        self._kick()
        return result

    async def ListAtomVersions(
        self, request: pb.ListAtomVersionsRequest, context: Any
    ) -> pb.ListAtomVersionsResponse:
        """List an atom's versions, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        before = position.integer(0) if position else None
        async with self._database.transaction(workspace) as connection:
            rows = await library.versions(
                connection, workspace, UUID(request.atom_id), limit=size, before=before
            )
        if not rows and position is None:
            raise NotFound("atom", request.atom_id)
        token = pages.encode(request, [rows[-1]["version"]]) if len(rows) == size else ""
        return pb.ListAtomVersionsResponse(
            versions=[rendering.version(row) for row in rows], next_page_token=token
        )

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        """List runs, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        outcome = rendering.name(pb.RunOutcome, request.outcome)
        before = position.uuid(0) if position else None
        async with self._database.transaction(workspace) as connection:
            rows = await library.runs(
                connection, workspace, limit=size, outcome=outcome, before=before
            )
        token = pages.encode(request, [str(rows[-1]["id"])]) if len(rows) == size else ""
        return pb.ListRunsResponse(runs=[rendering.run(row) for row in rows], next_page_token=token)

    async def StreamKnowledge(
        self, request: pb.StreamKnowledgeRequest, context: Any
    ) -> AsyncIterator[pb.StreamKnowledgeResponse]:
        """Send what changed, and then what changes."""
        workspace = current_caller().workspace
        after = await self._feed.start(workspace, request)
        async for change in self._feed.follow(workspace, after):
            yield change
