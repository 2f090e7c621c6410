"""ExtractorService: requests to the library and back; what a person changes is in curating_rpc."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from services.common import pages, replies
from services.common.database import Connection, Database
from services.common.errors import NotFound
from services.common.moments import Span
from services.common.rpc import current_caller
from services.extractor import library, manual, neighbours, providing, rendering, store, topic_bonds
from services.extractor.curating_rpc import CuratingRpc
from services.extractor.feed import Feed, wanted_of
from services.extractor.manual import Choice, Plan, Reading
from services.extractor.providing import Provider
from services.extractor.requests import ids_of, moment_of, read_atom, read_atoms, uuid_of
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types

T = TypeVar("T")

CONTENTS_MAX: Final = 1_000
LINKS_MAX: Final = 1_000
SCOPES = {
    "ExtractNow": "admin",
    "ExtractMessages": "admin",
    "ListTopicVersions": "read",
    "MergeTopics": "admin",
    "SplitTopic": "admin",
    "RenameTopic": "admin",
    "ListAtomLinks": "read",
    "MergeAtoms": "admin",
    "UnmergeAtom": "admin",
    "ListTopics": "read",
    "GetTopic": "read",
    "ListTopicMessages": "read",
    "ListAtoms": "read",
    "GetAtom": "read",
    "ListAtomVersions": "read",
    "ListRuns": "read",
    "StreamKnowledge": "read",
    "ReviewAtom": "admin",
    "UpdateAtom": "admin",
    "InvalidateAtom": "admin",
    "GetProviderStatus": "admin",
}


class ExtractorRpc(CuratingRpc):
    """Answers from the caller's workspace."""

    def __init__(
        self,
        database: Database,
        kick: Callable[[], None],
        feed: Feed,
        reading: Reading,
        provider: Provider,
    ) -> None:
        super().__init__(database, kick)
        self._feed, self._reading, self._provider = feed, reading, provider

    async def ExtractNow(
        self, request: pb.ExtractNowRequest, context: Any
    ) -> pb.ExtractNowResponse:
        """Ask for open windows to be closed, also those that messages have yet to be put into."""
        workspace, source = current_caller().workspace, uuid_of(request.source_id)

        async def ask(connection: Connection) -> dict[UUID, int]:
            await manual.require_source(connection, workspace, source)
            found = await store.open_conversations(connection, workspace, source)
            await manual.ask_to_close(connection, workspace, list(found))
            return found

        found = await self._committed(workspace, ask)
        self._kick()
        return pb.ExtractNowResponse(conversations=sum(found.values()))

    async def ExtractMessages(
        self, request: pb.ExtractMessagesRequest, context: Any
    ) -> pb.ExtractMessagesResponse:
        """Read chosen messages, or say what that would cost."""
        workspace = current_caller().workspace
        choice = Choice(
            tuple(ids_of(request.message_ids)),
            uuid_of(request.source_id),
            moment_of(request, "since"),
            moment_of(request, "until"),
        )
        async with self._database.transaction(workspace) as connection:
            plan = await manual.plan(connection, workspace, choice, self._reading)
        if not request.dry_run:
            await self._read(workspace, plan)
        return rendering.plan(plan)

    async def _read(self, workspace: UUID, plan: Plan) -> None:
        """Make the tasks of a plan, a commit for every few hundred windows."""
        size = manual.WINDOWS_PER_COMMIT
        is_waited_for = len(plan.closed) <= manual.WAITED_FOR_MAX
        for start in range(0, len(plan.closed), size):
            part = plan.closed[start : start + size]
            await self._committed(workspace, partial(self._ask, workspace, part, is_waited_for))
        await self._committed(workspace, lambda c: manual.ask_to_close(c, workspace, plan.sources))
        self._kick()

    async def _ask(
        self,
        workspace: UUID,
        windows: Sequence[UUID],
        is_waited_for: bool,
        connection: Connection,
    ) -> None:
        place = (connection, workspace, windows)
        await manual.ask(*place, self._reading, is_waited_for=is_waited_for)

    async def _committed(self, workspace: UUID, act: Callable[[Connection], Awaitable[T]]) -> T:
        """Act in a transaction, again if workers that hold the same tasks were in the way."""

        async def attempt() -> T:
            async with self._database.transaction(workspace) as connection:
                return await act(connection)

        return await self._database.retrying(attempt)

    async def ListTopics(
        self, request: pb.ListTopicsRequest, context: Any
    ) -> pb.ListTopicsResponse:
        """List topics, the one with the latest message first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 2)
        before = (position.moment(0), position.uuid(1)) if position else None
        source = uuid_of(request.source_id)
        async with self._database.snapshot(workspace) as connection:
            rows = await library.topics(
                connection,
                workspace,
                limit=size,
                source=source,
                before=before,
                as_of=moment_of(request, "as_of"),
            )
        topics, last = replies.page(rows, size, rendering.topic)
        place = [last["last_at"].isoformat(), str(last["id"])] if last else []
        token = pages.encode(request, place) if last else ""
        return pb.ListTopicsResponse(topics=topics, next_page_token=token)

    async def GetTopic(self, request: pb.GetTopicRequest, context: Any) -> pb.GetTopicResponse:
        """Return a topic with the ids of its messages and atoms."""
        workspace, topic = current_caller().workspace, UUID(request.topic_id)
        as_of = moment_of(request, "as_of")
        async with self._database.snapshot(workspace) as connection:
            row = await _read_topic(connection, workspace, topic, as_of)
            place = (connection, workspace, topic)
            messages = await library.topic_messages(*place, limit=CONTENTS_MAX, as_of=as_of)
            atoms = await library.topic_atoms(*place, limit=CONTENTS_MAX, as_of=as_of)
        return pb.GetTopicResponse(
            topic=rendering.topic(row),
            message_ids=[str(each["message_id"]) for each in messages],
            atom_ids=[str(atom) for atom in atoms],
        )

    async def ListTopicMessages(
        self, request: pb.ListTopicMessagesRequest, context: Any
    ) -> pb.ListTopicMessagesResponse:
        """List a topic's messages, oldest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        topic, as_of = UUID(request.topic_id), moment_of(request, "as_of")
        position = pages.decode(request, 2)
        after = (position.moment(0), position.uuid(1)) if position else None
        async with self._database.snapshot(workspace) as connection:
            rows = await library.topic_messages(
                connection, workspace, topic, limit=size, after=after, as_of=as_of
            )
            if not rows and position is None:
                await _read_topic(connection, workspace, topic, as_of)
            ids = [row["message_id"] for row in rows]
            messages = await library.messages(connection, workspace, ids)
        listed, last = replies.page(
            rows, size, lambda row: rendering.message(messages[row["message_id"]])
        )
        place = [last["sent_at"].isoformat(), str(last["message_id"])] if last else []
        token = pages.encode(request, place) if last else ""
        return pb.ListTopicMessagesResponse(messages=listed, next_page_token=token)

    async def ListAtoms(self, request: pb.ListAtomsRequest, context: Any) -> pb.ListAtomsResponse:
        """List atoms, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position, as_of = pages.decode(request, 1), moment_of(request, "as_of")
        async with self._database.snapshot(workspace) as connection:
            rows = await library.atoms(
                connection,
                workspace,
                limit=size,
                type_name=rendering.name(types.AtomType, request.type),
                topic=uuid_of(request.topic_id),
                source=uuid_of(request.source_id),
                ids=ids_of(request.atom_ids) or None,
                before=position.uuid(0) if position else None,
                state=rendering.name(types.ApprovalState, request.approval_state),
                only_invalidated=request.only_invalidated,
                as_of=as_of,
            )
            found = [row["id"] for row in rows]
            passages = await library.evidence(connection, workspace, found, as_of)
            ids = {e["message_id"] for cited in passages.values() for e in cited}
            wanted = sorted(ids) if request.include_messages else []
            messages = await library.messages(connection, workspace, wanted)
        atoms, last = replies.page(
            rows, size, lambda row: rendering.atom(row, passages[row["id"]], messages)
        )
        token = pages.encode(request, [str(last["id"])]) if last else ""
        return pb.ListAtomsResponse(atoms=atoms, next_page_token=token)

    async def GetAtom(self, request: pb.GetAtomRequest, context: Any) -> pb.GetAtomResponse:
        """Return an atom, the messages it rests on, and its links."""
        workspace, identity = current_caller().workspace, UUID(request.atom_id)
        as_of = moment_of(request, "as_of")
        async with self._database.snapshot(workspace) as connection:
            atom = await read_atom(connection, workspace, identity, as_of)
            links = await library.links(connection, workspace, [identity], as_of=as_of)
        surest = sorted(links, key=lambda link: -link["confidence"])[:LINKS_MAX]
        return pb.GetAtomResponse(atom=atom, links=[rendering.link(row) for row in surest])

    async def ListAtomLinks(
        self, request: pb.ListAtomLinksRequest, context: Any
    ) -> pb.ListAtomLinksResponse:
        """Walk the links of an atom."""
        workspace, identity = current_caller().workspace, UUID(request.atom_id)
        kinds = [rendering.name(types.LinkType, kind) for kind in request.types]
        measures = (request.confidence_min, pages.size_of(request.limit))
        async with self._database.snapshot(workspace) as connection:
            await read_atom(connection, workspace, identity)
            found = await neighbours.explore(
                connection, workspace, identity, request.depth or 1, kinds, *measures
            )
            ids = [each.atom for each in found.reached]
            atoms = await read_atoms(connection, workspace, ids)
        return rendering.surroundings(identity, found, atoms)

    async def ListAtomVersions(
        self, request: pb.ListAtomVersionsRequest, context: Any
    ) -> pb.ListAtomVersionsResponse:
        """List an atom's versions, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        before = position.integer(0) if position else None
        async with self._database.snapshot(workspace) as connection:
            rows = await library.versions(
                connection, workspace, UUID(request.atom_id), limit=size, before=before
            )
        if not rows and position is None:
            raise NotFound("atom", request.atom_id)
        versions, last = replies.page(rows, size, rendering.version)
        token = pages.encode(request, [last["version"]]) if last else ""
        return pb.ListAtomVersionsResponse(versions=versions, next_page_token=token)

    async def ListTopicVersions(
        self, request: pb.ListTopicVersionsRequest, context: Any
    ) -> pb.ListTopicVersionsResponse:
        """List a topic's versions, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        before = position.integer(0) if position else None
        async with self._database.snapshot(workspace) as connection:
            rows = await library.topic_versions(
                connection, workspace, UUID(request.topic_id), limit=size, before=before
            )
        if not rows and position is None:
            raise NotFound("topic", request.topic_id)
        versions, last = replies.page(rows, size, rendering.topic_version)
        token = pages.encode(request, [last["version"]]) if last else ""
        return pb.ListTopicVersionsResponse(versions=versions, next_page_token=token)

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        """List runs, newest first."""
        workspace, size = current_caller().workspace, pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        outcome = rendering.name(pb.RunOutcome, request.outcome)
        made = Span.read(request, "created_after", "created_before")
        before = position.uuid(0) if position else None
        async with self._database.snapshot(workspace) as connection:
            rows = await library.runs(
                connection,
                workspace,
                limit=size,
                outcome=outcome,
                before=before,
                window=uuid_of(request.window_id),
                source=uuid_of(request.source_id),
                made=made,
            )
        runs, last = replies.page(rows, size, rendering.run)
        token = pages.encode(request, [str(last["id"])]) if last else ""
        return pb.ListRunsResponse(runs=runs, next_page_token=token)

    async def GetProviderStatus(
        self, request: pb.GetProviderStatusRequest, context: Any
    ) -> pb.GetProviderStatusResponse:
        """Say what reads conversations, and how it does."""
        return await providing.status(self._database, current_caller().workspace, self._provider)

    async def StreamKnowledge(
        self, request: pb.StreamKnowledgeRequest, context: Any
    ) -> AsyncIterator[pb.StreamKnowledgeResponse]:
        """Send what changed, and then what changes."""
        workspace = current_caller().workspace
        after = await self._feed.start(workspace, request)
        if request.only_new or request.HasField("since"):
            yield pb.StreamKnowledgeResponse(cursor=str(after))
        async for change in self._feed.follow(workspace, after, wanted_of(request)):
            yield change


async def _read_topic(
    connection: Connection, workspace: UUID, topic: UUID, as_of: datetime | None
) -> library.Row:
    """One live topic; NotFound if there is none, or none that had been talked about then."""
    rows = await library.topics(connection, workspace, limit=1, ids=[topic], as_of=as_of)
    if not rows and as_of:
        raise NotFound("topic", f"{topic} as of {as_of:%Y-%m-%dT%H:%M:%SZ}")
    if not rows:
        raise await topic_bonds.not_live(connection, workspace, topic)
    return rows[0]
