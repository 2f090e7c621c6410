"""What the edge of every service says when a call fails, and what it never says."""

import asyncio
import gc
import logging
from types import FrameType, TracebackType
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import protovalidate
import pytest
from google.protobuf import message_factory

from services.common import errors
from services.common.rpc import MESSAGE_BYTES_MAX, REQUEST_BYTES_MAX
from services.common.statuses import VIOLATIONS_MAX
from tests.common.edge import (
    BIDI,
    KINDS,
    LISTING,
    METHODS,
    STREAM,
    UNARY,
    Edge,
    call,
    class_of,
    details_of,
    failure,
    path_of,
    raising,
    raising_new,
)
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.search.v1 import search_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")


SECRET = "postgres://u:hunter2@db"


@pytest.mark.parametrize(
    ("path", "after"),
    [(UNARY, False), (STREAM, False), (STREAM, True), (BIDI, False), (BIDI, True)],
)
@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (RuntimeError(SECRET), grpc.StatusCode.INTERNAL, "INTERNAL"),
        (KeyError(SECRET), grpc.StatusCode.INTERNAL, "INTERNAL"),
        (TimeoutError(SECRET), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (asyncpg.PostgresError(SECRET), grpc.StatusCode.INTERNAL, "INTERNAL"),
        (
            ExceptionGroup(SECRET, [errors.DatabaseUnavailable("away"), ValueError(SECRET)]),
            grpc.StatusCode.UNAVAILABLE,
            "DATABASE_UNAVAILABLE",
        ),
        (asyncio.CancelledError(SECRET), grpc.StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE"),
    ],
)
async def test_errors_keep_secrets(
    edge: Edge,
    path: str,
    after: bool,
    error: BaseException,
    code: grpc.StatusCode,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever a handler raises, before or after its first reply, the caller gets a status and none of the text."""
    if after:
        edge.handlers.act_after_reply = raising(error)
    else:
        edge.handlers.act = raising(error)
    with caplog.at_level(logging.ERROR):
        said = await failure(call(edge.channel, path, edge.metadata))
    assert said.code() is code
    assert (
        "hunter2" not in f"{said.details()} {said.debug_error_string()} {said.trailing_metadata()}"
    )
    details = details_of(said)
    assert details.reason == reason
    if code is grpc.StatusCode.INTERNAL:
        assert details.request_id in (said.details() or "")
        assert details.request_id in caplog.text


async def test_an_error_has_the_id_of_its_request(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    """Who numbers requests finds a failed one by that id in our logs; what is no id gets into none."""
    path, own = "/winnow.ingest.v1.IngestService/EraseSource", str(uuid4())
    request = ingest_pb2.EraseSourceRequest(source_id=str(uuid4()), request_id=own)
    edge.handlers.act = raising(RuntimeError("a defect"))
    with caplog.at_level(logging.ERROR):
        said = await failure(call(edge.channel, path, edge.metadata, request.SerializeToString()))
    assert details_of(said).request_id == own
    assert f"request {own}" in caplog.text
    request.request_id = "forged\nline"
    said = await failure(call(edge.channel, path, edge.metadata, request.SerializeToString()))
    assert details_of(said).reason == "INVALID_FIELD"
    assert "forged" not in details_of(said).request_id


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (errors.DatabaseUnavailable("the database is away"), "WARNING"),
        (errors.ShuttingDown("the service is stopping"), "INFO"),
    ],
)
async def test_what_is_away_is_one_line_of_the_log(
    edge: Edge, error: Exception, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While the database is away every call fails of it, and rollouts end streams: neither is a defect to trace."""
    edge.handlers.act = raising(error)
    with caplog.at_level(logging.INFO):
        said = await failure(call(edge.channel, UNARY, edge.metadata))
    request = details_of(said).request_id
    [told] = [each for each in caplog.records if request in each.getMessage()]
    assert told.levelname == level
    assert not told.exc_info
    assert str(error) in told.getMessage()


@pytest.mark.parametrize(
    ("error", "code", "reason", "waits"),
    [
        (errors.NotFound("topic", "x"), grpc.StatusCode.NOT_FOUND, "NOT_FOUND", False),
        (errors.InvalidPageToken(), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", False),
        (errors.Overloaded("full", 2.5), grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", True),
        (errors.ModelUnavailable("x"), grpc.StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE", True),
        (
            errors.DatabaseUnavailable("x"),
            grpc.StatusCode.UNAVAILABLE,
            "DATABASE_UNAVAILABLE",
            True,
        ),
        (
            errors.NoServingGeneration(),
            grpc.StatusCode.FAILED_PRECONDITION,
            "NO_SERVING_GENERATION",
            False,
        ),
    ],
)
async def test_errors_say_what_helps(
    edge: Edge, error: Exception, code: grpc.StatusCode, reason: str, waits: bool
) -> None:
    """Each error has its code and reason, and where waiting helps, how long: for people and for gRPC's own retries."""
    edge.handlers.act = raising(error)
    said = await failure(call(edge.channel, UNARY, edge.metadata))
    details = details_of(said)
    assert (said.code(), details.reason, said.details()) == (code, reason, str(error))
    assert (details.retry_seconds is not None) == waits
    assert (details.pushback_seconds is not None) == waits
    if isinstance(error, errors.Overloaded):
        assert 2.5 <= (details.retry_seconds or 0) <= 3.25
        assert details.pushback_seconds == details.retry_seconds


async def test_a_broken_limit_names_its_field(edge: Edge) -> None:
    """A violation names the path of its field, with the position in a list, also the first."""
    tasks = pipeline_pb2.ReplayTasksRequest(task_ids=["x", str(uuid4()), "y"])
    search = search_pb2.SearchRequest(query="q", filter={"author_external_ids": ["a", "b\0"]})
    source = ingest_pb2.IngestMessagesRequest(source={"kind": 3, "external_id": "a\0"})
    for path, request, fields in [
        (LISTING, tasks, ["task_ids[0]", "task_ids[2]"]),
        ("/winnow.search.v1.SearchService/Search", search, ["filter.author_external_ids[1]"]),
        (
            "/winnow.ingest.v1.IngestService/IngestMessages",
            source,
            ["source.external_id"],
        ),
        (BIDI, ingest_pb2.StreamMessagesRequest(messages=[{}] * 501), ["messages"]),
    ]:
        error = await failure(call(edge.channel, path, edge.metadata, request.SerializeToString()))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        details = details_of(error)
        assert details.reason == "INVALID_FIELD"
        assert set(fields) <= set(details.fields), path
        assert all(details.fields.values())
    assert edge.handlers.seen == []


@pytest.mark.parametrize("levels", [8, 40])
async def test_a_field_within_many_is_named(edge: Edge, levels: int) -> None:
    """As deep as conditions may be, a field is named whole; of one that lies deeper, one that it lies in."""
    request = search_pb2.SearchRequest(query="q")
    condition, path = request.filter_expression, "filter_expression"
    for _ in range(levels - 1):
        condition = condition.none_of.expressions.add()
        path += ".none_of.expressions[0]"
    condition.author_external_ids.values.extend(["a\0"] * 100)
    body = request.SerializeToString()
    search = "/winnow.search.v1.SearchService/Search"
    named = details_of(await failure(call(edge.channel, search, edge.metadata, body))).fields
    if levels == 8:
        assert f"{path}.author_external_ids.values[9]" in named
    else:
        assert [path.startswith(each) and each.endswith(("]", "of")) for each in named] == [True]


async def test_countless_violations_still_arrive(edge: Edge) -> None:
    """A request with hundreds of wrong fields, or one very long one, is answered within the limit on metadata."""
    request = pipeline_pb2.ReplayTasksRequest(task_ids=["ї" * 1000] * 500, stage="ї" * 9999)
    error = await failure(call(edge.channel, LISTING, edge.metadata, request.SerializeToString()))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert 1 < len(details_of(error).fields) <= VIOLATIONS_MAX


async def test_every_text_refuses_nul() -> None:
    """No string of any request may hold NUL, which PostgreSQL cannot store; tokens and masks are decoded instead."""
    validator = protovalidate.Validator()
    roots = {method.input_type for method in METHODS} | {ingest_pb2.MessageInput.DESCRIPTOR}
    # Messages and searches are checked one by one, since each is accepted or rejected by itself.
    separate = {
        "IngestMessagesRequest.messages",
        "StreamMessagesRequest.messages",
        "BatchSearchRequest.requests",
    }
    decoded = ("page_token", "paths")
    allowed = []
    for root in sorted(roots, key=lambda each: each.full_name):
        for fields in _texts(root, ()):
            names = [field.name for field in fields]
            if f"{root.name}.{names[0]}" in separate or names[-1] in decoded:
                continue
            message = _with_nul(root, fields)
            found = [v.proto.field for v in validator.collect_violations(message)]
            paths = [[e.field_name for e in field.elements] for field in found if field]
            if names not in paths:
                allowed.append(f"{root.full_name}: {'.'.join(names)}")
    assert allowed == []


def _texts(message: Any, before: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The ways to every text of a message; what holds itself is entered once."""
    found = []
    for field in message.fields:
        if field.type == field.TYPE_STRING:
            found.append((*before, field))
        elif (
            field.type == field.TYPE_MESSAGE
            and field.message_type.file.package.startswith("win")
            and field.message_type not in [each.message_type for each in before]
        ):
            found += _texts(field.message_type, (*before, field))
    return found


def _with_nul(root: Any, fields: tuple[Any, ...]) -> Any:
    message = top = message_factory.GetMessageClass(root)()
    for each in fields[:-1]:
        inner = getattr(message, each.name)
        message = inner.add() if each.is_repeated else inner
    last = fields[-1]
    if last.is_repeated:
        getattr(message, last.name).append("a\0b")
    else:
        setattr(message, last.name, "a\0b")
    return top


async def test_undecodable_bytes_are_the_callers_fault(edge: Edge) -> None:
    """Bytes that are no message are INVALID_ARGUMENT on every method, without the name of a class."""
    for method in METHODS:
        error = await failure(call(edge.channel, path_of(method), edge.metadata, b"\xff\xff\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, path_of(method)
        assert details_of(error).reason == "MALFORMED_REQUEST"
        assert class_of(method).__name__ not in (error.details() or "")
        assert (error.details() or "").startswith("not a valid protobuf message")


async def test_size_is_limited(edge: Edge) -> None:
    """A request over 1 MiB is refused with the reason, without an invitation to retry; one below is read."""
    for path in KINDS:
        error = await failure(call(edge.channel, path, edge.metadata, bytes(REQUEST_BYTES_MAX + 1)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details_of(error).reason == "REQUEST_TOO_LARGE"
        assert error.details() == "the request has more than 1,048,576 bytes: send less at once"
        assert "grpc-retry-pushback-ms" not in dict(error.trailing_metadata() or ())
    padding = b"\xfa\x3f" + b"\x80\x80\x3c" + bytes(60 << 14)  # an unknown field
    assert await call(edge.channel, UNARY, edge.metadata, padding)


async def test_what_is_far_too_large_is_not_read(edge: Edge) -> None:
    """A message over 2 MiB is refused by gRPC itself, so that nobody fills the memory to be told a reason."""
    for path in KINDS:
        error = await failure(call(edge.channel, path, edge.metadata, bytes(MESSAGE_BYTES_MAX + 1)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata() or ())


async def test_metadata_is_limited(edge: Edge) -> None:
    """Metadata over 8 KiB is refused every time, not by chance; what is below is read."""
    for size, is_read in ((7 << 10, True), (9 << 10, False)):
        metadata = (*edge.metadata, ("x-note", "a" * size))
        for _ in range(8):
            if is_read:
                assert await call(edge.channel, UNARY, metadata)
                continue
            error = await failure(call(edge.channel, UNARY, metadata))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("path", KINDS)
async def test_refused_calls_leave_nothing_behind(edge: Edge, path: str) -> None:
    """What a refused call held is free at once: under overload the collector comes by too seldom."""
    edge.handlers.act = raising_new(errors.Overloaded, "too much", 1.0)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(10):
            await failure(call(edge.channel, path, edge.metadata))
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, FrameType | TracebackType)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
