"""The part of ExtractorService by which people change what is known: judge, edit, withdraw, merge, take apart."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from services.common.database import Connection, Database
from services.common.rpc import current_caller, request_sha256
from services.extractor import (
    bonds,
    curation,
    edits,
    library,
    rendering,
    review,
    store,
    topic_bonds,
)
from services.extractor.requests import ids_of, read_atom, reviewer_of, title_of, uuid_of
from services.extractor.review import Reviewer
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1 import extractor_pb2_grpc
from winnow.types.v1 import types_pb2 as types


class CuratingRpc(extractor_pb2_grpc.ExtractorServiceServicer):
    """Changes in the caller's workspace, each in one transaction."""

    def __init__(self, database: Database, kick: Callable[[], None]) -> None:
        self._database, self._kick = database, kick

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
        reviewer = reviewer_of(request)

        async def attempt() -> types.Atom:
            async with self._database.transaction(reviewer.workspace) as connection:
                await act(connection, reviewer)
                return await read_atom(connection, reviewer.workspace, atom)

        result = await self._database.retrying(attempt)
        self._kick()
        return result

    async def MergeAtoms(
        self, request: pb.MergeAtomsRequest, context: Any
    ) -> pb.MergeAtomsResponse:
        """Merge atoms into one."""
        atom, others = UUID(request.atom_id), ids_of(request.merged_atom_ids)

        async def act(connection: Connection, reviewer: Reviewer) -> None:
            await curation.merge(connection, reviewer, atom, others)

        return pb.MergeAtomsResponse(atom=await self._reviewed(request, atom, act))

    async def UnmergeAtom(
        self, request: pb.UnmergeAtomRequest, context: Any
    ) -> pb.UnmergeAtomResponse:
        """Take a merged atom apart."""
        atom = UUID(request.atom_id)

        async def act(connection: Connection, reviewer: Reviewer) -> None:
            await curation.unmerge(connection, reviewer, atom)

        return pb.UnmergeAtomResponse(atom=await self._reviewed(request, atom, act))

    async def MergeTopics(
        self, request: pb.MergeTopicsRequest, context: Any
    ) -> pb.MergeTopicsResponse:
        """Merge topics into one."""
        topic, others = UUID(request.topic_id), ids_of(request.merged_topic_ids)
        title = title_of(request)

        async def act(connection: Connection, workspace: UUID) -> list[UUID]:
            await topic_bonds.merge_by_hand(connection, workspace, topic, others, title)
            return [topic]

        (merged,) = await self._topics_after(request, act)
        return pb.MergeTopicsResponse(topic=merged)

    async def SplitTopic(
        self, request: pb.SplitTopicRequest, context: Any
    ) -> pb.SplitTopicResponse:
        """Split a topic in two."""
        topic, messages = UUID(request.topic_id), ids_of(request.message_ids)
        title = title_of(request)

        async def act(connection: Connection, workspace: UUID) -> list[UUID]:
            return [await topic_bonds.split(connection, workspace, topic, messages, title), topic]

        made, rest = await self._topics_after(request, act)
        return pb.SplitTopicResponse(topic=made, rest=rest)

    async def RenameTopic(
        self, request: pb.RenameTopicRequest, context: Any
    ) -> pb.RenameTopicResponse:
        """Give a topic another title."""
        topic, title = UUID(request.topic_id), title_of(request)

        async def act(connection: Connection, workspace: UUID) -> list[UUID]:
            await topic_bonds.rename(connection, workspace, topic, title)
            return [topic]

        (renamed,) = await self._topics_after(request, act)
        return pb.RenameTopicResponse(topic=renamed)

    async def _topics_after(
        self, request: Any, act: Callable[[Connection, UUID], Awaitable[list[UUID]]]
    ) -> list[types.Topic]:
        """Carry out what a person asks under the lock of the workspace's knowledge; return the topics it names.

        A request that was carried out before changes nothing.
        """
        workspace, sha256 = current_caller().workspace, request_sha256(request)
        identity = uuid_of(request.request_id)

        async def attempt() -> list[types.Topic]:
            async with self._database.transaction(workspace) as connection:
                await store.lock_for_writing(connection, workspace)
                await bonds.lock(connection, workspace)
                ids = await topic_bonds.once(connection, workspace, identity, sha256, act)
                rows = await library.topics(connection, workspace, limit=len(ids), ids=ids)
                found = {row["id"]: rendering.topic(row) for row in rows}
                if gone := set(ids) - found.keys():
                    raise await topic_bonds.not_live(connection, workspace, min(gone))
                return [found[each] for each in ids]

        result = await self._database.retrying(attempt)
        self._kick()
        return result
