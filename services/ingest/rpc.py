"""IngestService: requests to batches, and what became of them back."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.common.database import Connection, Database
from services.common.errors import FieldViolation, InvalidFields, NotFound
from services.common.moments import read_moment, read_span
from services.common.rates import Rate
from services.common.rpc import current_caller, request_sha256
from services.ingest import listing, rescoring, store
from services.ingest.erasing import Eraser, Target
from services.ingest.intake import Batch, Intake, Sender
from services.ingest.moving import Mover
from services.ingest.operations import NewOperation, Operations
from services.ingest.reading import read_source
from services.ingest.rendering import Results, is_asked_for_kept, message_of
from services.ingest.renumbering import Renumbering
from services.ingest.saving import Saver
from services.ingest.store import SourceKey
from services.ingest.streaming import AHEAD, MessageFrame, Room, in_order, take_group
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc

SCOPES = {
    "IngestMessages": "ingest",
    "StreamMessages": "ingest",
    "UpdateMessage": "ingest",
    "DeleteMessages": "ingest",
    "MoveSource": "ingest",
    "GetMessage": "read",
    "ListMessages": "read",
    "ListSources": "read",
    "EraseMessages": "admin",
    "EraseSource": "admin",
    "RescoreMessages": "admin",
    "GetOperation": "admin",
    "ListOperations": "admin",
}


class IngestRpc(ingest_pb2_grpc.IngestServiceServicer):
    """Answers in the caller's workspace."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        saver: Saver,
        operations: Operations,
        eraser: Eraser,
        mover: Mover,
        scorer_version: str,
        rate: Rate,
    ) -> None:
        self._rate = rate
        self._database, self._intake, self._saver = database, intake, saver
        self._operations, self._eraser, self._mover = operations, eraser, mover
        self._scorer_version = scorer_version

    async def IngestMessages(
        self, request: pb.IngestMessagesRequest, context: Any
    ) -> pb.IngestMessagesResponse:
        """Save a batch."""
        workspace = current_caller().workspace
        source = read_source(request.source)
        self._rate.take(workspace, len(request.messages))
        batch = await self._intake.prepare(workspace, source, request.messages, Sender())
        saved = await self._intake.save(workspace, batch, all_kept=True)
        results = Results(batch, saved, self._scorer_version, factors=request.include_factors)
        return pb.IngestMessagesResponse(results=results.all())

    async def StreamMessages(
        self, request_iterator: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Save frame after frame, those that wait together; the next are scored while those before are committed."""
        workspace, sender = current_caller().workspace, Sender()

        async def prepare(
            group: Sequence[MessageFrame],
        ) -> tuple[Sequence[MessageFrame], Batch]:
            for frame in group:
                await self._rate.wait(workspace, len(frame.request.messages))
            messages = [each for frame in group for each in frame.request.messages]
            batch = await self._intake.prepare(workspace, group[0].source, messages, sender)
            return group, batch

        async def commit(
            ready: tuple[Sequence[MessageFrame], Batch],
        ) -> Sequence[pb.StreamMessagesResponse]:
            group, batch = ready
            all_kept = any(is_asked_for_kept(frame.request) for frame in group)
            saved = await self._intake.save(workspace, batch, all_kept=all_kept)
            results = Results(batch, saved, self._scorer_version, factors=False)
            return results.acknowledgements([frame.request for frame in group])

        def take(waiting: deque[MessageFrame]) -> Sequence[MessageFrame]:
            return take_group(waiting, is_disordered=sender.is_disordered)

        frames = _frames(request_iterator)
        async for response in in_order(
            frames, MessageFrame.size, take, prepare, commit, Room(AHEAD)
        ):
            yield response

    async def UpdateMessage(
        self, request: pb.UpdateMessageRequest, context: Any
    ) -> pb.UpdateMessageResponse:
        """Save the next version of a stored message."""
        workspace = current_caller().workspace
        source = read_source(request.source)
        self._rate.take(workspace)
        batch = await self._intake.prepare_edit(workspace, source, request)
        saved = await self._intake.save(workspace, batch, all_kept=True)
        (result,) = Results(batch, saved, self._scorer_version, factors=False).all()
        return pb.UpdateMessageResponse(result=result)

    async def DeleteMessages(
        self, request: pb.DeleteMessagesRequest, context: Any
    ) -> pb.DeleteMessagesResponse:
        """Mark messages as deleted, whether they are known or not."""
        deleted_at = datetime.now(UTC)
        if request.HasField("deleted_at"):
            deleted_at = read_moment("deleted_at", request.deleted_at)
        workspace, sent = current_caller().workspace, request.external_ids
        named = read_source(request.source)
        self._rate.take(workspace, len(sent))
        source, renumbering = await self._intake.now(workspace, named)
        keys = [renumbering.key(key) for key in sent]
        removed = await self._saver.delete(workspace, source, keys, deleted_at)
        return pb.DeleteMessagesResponse(
            deleted=removed.deleted,
            remembered=removed.remembered,
            unchanged=len(keys) - removed.deleted - removed.remembered,
        )

    async def MoveSource(
        self, request: pb.MoveSourceRequest, context: Any
    ) -> pb.MoveSourceResponse:
        """Give a source another key."""
        source = read_source(request.source)
        to = SourceKey(source.kind, request.external_id, request.title)
        if request.title.isspace():
            raise InvalidFields(FieldViolation("title", "must not be only spaces"))
        if to.external_id == source.external_id:
            raise InvalidFields(FieldViolation("external_id", "must be another than it has"))
        suffix = request.key_suffix if request.number_shift else ""
        renumbering = Renumbering(request.number_shift, suffix)
        moved = await self._mover.move(current_caller().workspace, source, to, renumbering)
        return pb.MoveSourceResponse(source_id=str(moved.source_id), renumbered=moved.renumbered)

    async def GetMessage(
        self, request: pb.GetMessageRequest, context: Any
    ) -> pb.GetMessageResponse:
        """Return one message with the factors of its importance."""
        workspace, message_id = current_caller().workspace, _uuid(request.message_id)
        if message_id is None:
            source = read_source(request.source)
            message_id = await self._intake.find(workspace, source, request.external_id)
        async with self._database.transaction(workspace) as connection:
            row = await store.get_message(connection, workspace, message_id)
        if row is None:
            raise NotFound("message", request.message_id or request.external_id)
        return pb.GetMessageResponse(message=message_of(row, factors=True))

    async def ListMessages(
        self, request: pb.ListMessagesRequest, context: Any
    ) -> pb.ListMessagesResponse:
        """Return a page of messages."""
        return await listing.messages(self._database, current_caller().workspace, request)

    async def ListSources(
        self, request: pb.ListSourcesRequest, context: Any
    ) -> pb.ListSourcesResponse:
        """Return a page of sources."""
        return await listing.sources(self._database, current_caller().workspace, request)

    async def EraseMessages(
        self, request: pb.EraseMessagesRequest, context: Any
    ) -> pb.EraseMessagesResponse:
        """Begin to erase messages by keys or by author."""
        source = _uuid(request.source_id)
        target = Target(source, request.external_ids, request.author_external_id)
        operation = await self._erase(target, request)
        return pb.EraseMessagesResponse(operation=operation)

    async def EraseSource(
        self, request: pb.EraseSourceRequest, context: Any
    ) -> pb.EraseSourceResponse:
        """Begin to erase all messages of a source."""
        operation = await self._erase(Target(UUID(request.source_id)), request)
        return pb.EraseSourceResponse(operation=operation)

    async def _erase(
        self, target: Target, request: pb.EraseMessagesRequest | pb.EraseSourceRequest
    ) -> pb.Operation:
        workspace = current_caller().workspace

        async def work(connection: Connection, operation: UUID) -> None:
            await self._eraser.begin(connection, workspace, operation, target)

        new = NewOperation("erase", *_identity(request), source_id=target.source_id)
        return await self._operations.begin(workspace, new, work)

    async def RescoreMessages(
        self, request: pb.RescoreMessagesRequest, context: Any
    ) -> pb.RescoreMessagesResponse:
        """Begin to score stored messages again."""
        workspace = current_caller().workspace
        after, before = read_span(request, "sent_after", "sent_before")
        new = NewOperation(
            "rescore",
            *_identity(request),
            dry_run=request.dry_run,
            source_id=_uuid(request.source_id),
            sent_after=after,
            sent_before=before,
        )

        async def work(connection: Connection, operation: UUID) -> None:
            await rescoring.begin(connection, workspace, operation)

        operation = await self._operations.begin(workspace, new, work)
        return pb.RescoreMessagesResponse(operation=operation)

    async def GetOperation(
        self, request: pb.GetOperationRequest, context: Any
    ) -> pb.GetOperationResponse:
        """Return an operation with its receipt."""
        workspace = current_caller().workspace
        found = await self._operations.get(workspace, UUID(request.operation_id))
        return pb.GetOperationResponse(operation=found)

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Any
    ) -> pb.ListOperationsResponse:
        """Return a page of operations."""
        return await self._operations.page(current_caller().workspace, request)


def _uuid(text: str) -> UUID | None:
    return UUID(text) if text else None


def _identity(request: Any) -> tuple[UUID | None, bytes | None]:
    """The id of a request and what tells it from others with that id; nothing without an id."""
    identity = _uuid(request.request_id)
    return identity, request_sha256(request) if identity else None


async def _frames(
    requests: AsyncIterator[pb.StreamMessagesRequest],
) -> AsyncIterator[MessageFrame]:
    """Give every frame its source, and check that their numbers rise."""
    source, sequence = None, -1
    async for request in requests:
        if request.sequence <= sequence:
            raise InvalidFields(FieldViolation("sequence", f"must be greater than {sequence}"))
        sequence = request.sequence
        if request.HasField("source"):
            source = read_source(request.source)
        if source is None:
            raise InvalidFields(FieldViolation("source", "must be set in the first frame"))
        yield MessageFrame(request, source)
