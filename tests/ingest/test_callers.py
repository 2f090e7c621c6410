"""Whoever calls ingest has a key."""

from typing import Any

import grpc
import pytest

from services.common.statuses import reason_name
from tests.ingest.conftest import SOURCE, Ingest, at, failure, message
from winnow.errors.v1.errors_pb2 import ErrorReason
from winnow.ingest.v1 import ingest_pb2 as pb

REQUESTS: list[tuple[str, Any]] = [
    ("IngestMessages", pb.IngestMessagesRequest(source=SOURCE, messages=[message(1)])),
    ("UpdateMessage", pb.UpdateMessageRequest(source=SOURCE, external_id="1", edited_at=at(1))),
    ("DeleteMessages", pb.DeleteMessagesRequest(source=SOURCE, external_ids=["1"])),
    ("GetMessage", pb.GetMessageRequest(message_id="0190d3a5-0000-7000-8000-000000000000")),
    ("ListMessages", pb.ListMessagesRequest()),
    ("ListSources", pb.ListSourcesRequest()),
]


@pytest.mark.parametrize(("method", "request_"), REQUESTS)
async def test_no_call_is_anonymous(ingest: Ingest, method: str, request_: Any) -> None:
    """Every unary call without a valid key is UNAUTHENTICATED and does nothing."""
    for metadata in ((), (("authorization", "Bearer wk_000000000000." + "0" * 43),)):
        error = await failure(getattr(ingest.stub, method)(request_, metadata=metadata))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert reason_name(ErrorReason.ERROR_REASON_INVALID_CREDENTIALS).encode() in dict(
            error.trailing_metadata() or ()
        ).get("grpc-status-details-bin", b"")
    assert not await ingest.rows("select from ingest.message")


async def test_no_stream_is_anonymous(ingest: Ingest) -> None:
    """A stream without a key is UNAUTHENTICATED and saves nothing."""
    frame = pb.StreamMessagesRequest(source=SOURCE, messages=[message(1)])
    assert await ingest.stub.StreamMessages(metadata=()).code() is grpc.StatusCode.UNAUTHENTICATED
    # Where a frame is written while the refusal comes, gRPC may tell of the write that failed instead.
    await failure(ingest.stub.StreamMessages(iter([frame]), metadata=()).read())
    assert not await ingest.rows("select from ingest.message")
