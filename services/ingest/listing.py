"""Pages of messages and sources."""

from datetime import UTC, datetime
from uuid import UUID

from services.common import pages
from services.common.database import Database
from services.common.errors import FieldViolation, InvalidFields
from services.common.rpc import sendable
from services.ingest import store
from services.ingest.reading import read_time
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
    token = ""
    if len(rows) == size:
        token = pages.encode(request, [rows[-1]["sent_at"].isoformat(), str(rows[-1]["id"])])
    listed = [message_of(row, factors=False) for row in rows]
    return sendable(pb.ListMessagesResponse(messages=listed, next_page_token=token), "page_size")


async def sources(
    database: Database, workspace: UUID, request: pb.ListSourcesRequest
) -> pb.ListSourcesResponse:
    """Return a page of sources, oldest first."""
    size, position = pages.size_of(request.page_size), pages.decode(request, 1)
    after = position.uuid(0) if position else _NIL
    async with database.transaction(workspace) as connection:
        rows = await store.list_sources(connection, workspace, after, size)
    token = pages.encode(request, [str(rows[-1]["id"])]) if len(rows) == size else ""
    return pb.ListSourcesResponse(sources=map(source_of, rows), next_page_token=token)


def _filter(request: pb.ListMessagesRequest) -> MessageFilter:
    if "\0" in request.author_external_id:
        raise InvalidFields(FieldViolation("author_external_id", "must not contain NUL"))
    return MessageFilter(
        UUID(request.source_id) if request.source_id else None,
        read_time("sent_after", request.sent_after)
        if request.HasField("sent_after")
        else _BEGINNING,
        read_time("sent_before", request.sent_before) if request.HasField("sent_before") else _END,
        request.author_external_id,
        LABEL_NAMES.get(request.label, ""),
        request.include_deleted,
    )
