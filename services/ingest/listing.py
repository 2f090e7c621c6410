"""Pages of messages and sources."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from services.common import pages, replies
from services.common.database import Database
from services.common.moments import read_span
from services.ingest import store
from services.ingest.reading import SOURCE_KINDS
from services.ingest.rendering import LABEL_NAMES, message_of, source_of
from services.ingest.store import MessageFilter
from winnow.ingest.v1 import ingest_pb2 as pb

_NIL = UUID(int=0)
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


async def messages(
    database: Database, workspace: UUID, request: pb.ListMessagesRequest
) -> pb.ListMessagesResponse:
    """Return a page of messages, oldest first."""
    wanted, size = _filter(request), pages.size_of(request.page_size)
    position = pages.decode(request, 2)
    after = (position.moment(0), position.uuid(1)) if position else (_BEGINNING, _NIL)
    async with database.transaction(workspace) as connection:
        rows = await store.list_messages(connection, workspace, wanted, after, size)
    listed, last = replies.page(rows, size, partial(message_of, factors=False))
    place = [last["sent_at"].isoformat(), str(last["id"])] if last else []
    token = pages.encode(request, place) if last else ""
    return pb.ListMessagesResponse(messages=listed, next_page_token=token)


async def sources(
    database: Database, workspace: UUID, request: pb.ListSourcesRequest
) -> pb.ListSourcesResponse:
    """Return a page of sources, oldest first."""
    size, position = pages.size_of(request.page_size), pages.decode(request, 1)
    after = position.uuid(0) if position else _NIL
    kind = SOURCE_KINDS.get(request.kind, "")
    async with database.transaction(workspace) as connection:
        rows = await store.list_sources(
            connection, workspace, after, size, kind, request.external_id
        )
    listed, last = replies.page(rows, size, source_of)
    token = pages.encode(request, [str(last["id"])]) if last else ""
    return pb.ListSourcesResponse(sources=listed, next_page_token=token)


def _filter(request: pb.ListMessagesRequest) -> MessageFilter:
    after, before = read_span(request, "sent_after", "sent_before")
    return MessageFilter(
        UUID(request.source_id) if request.source_id else None,
        after or _BEGINNING,
        before or _END,
        request.author_external_id,
        LABEL_NAMES.get(request.label, ""),
        request.include_deleted,
        request.thread_id if request.HasField("thread_id") else None,
    )
