"""Every service of the contract behind the real edge, with handlers that do what the test tells them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.common.auth import SCOPES, mint_key, store_key
from services.common.rpc import current_authorization, current_caller
from services.common.service import Servicer
from winnow.embedder.v1 import embedder_pb2
from winnow.extractor.v1 import extractor_pb2
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.search.v1 import search_pb2

CONCURRENCY_MAX = 8
FILES = (ingest_pb2, extractor_pb2, embedder_pb2, search_pb2, pipeline_pb2)
SERVICES: list[ServiceDescriptor] = [
    service for file in FILES for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]
UNARY = "/winnow.pipeline.v1.PipelineService/GetStatus"
LISTING = "/winnow.pipeline.v1.PipelineService/ReplayTasks"
STREAM = "/winnow.embedder.v1.EmbedderService/Backfill"
BIDI = "/winnow.ingest.v1.IngestService/StreamMessages"
KINDS = [UNARY, STREAM, BIDI]

Metadata = Sequence[tuple[str, str | bytes]]


def path_of(method: MethodDescriptor) -> str:
    """The path that a call of the method names."""
    return f"/{method.containing_service.full_name}/{method.name}"


def class_of(method: MethodDescriptor, reply: bool = False) -> type[Message]:
    """The class of a method's requests or replies."""
    return message_factory.GetMessageClass(method.output_type if reply else method.input_type)


@dataclass
class Seen:
    """What a handler saw of its call."""

    path: str
    workspace: UUID
    authorization: str


@dataclass
class Handlers:
    """Handlers that note who calls, do as they are told, and reply with an empty message."""

    seen: list[Seen] = field(default_factory=list)
    act: Callable[[Any], Awaitable[None]] | None = None
    act_after_reply: Callable[[Any], Awaitable[None]] | None = None
    flood: Message | None = None

    async def note(self, method: MethodDescriptor, context: Any) -> None:
        """Note the call and do what the test wants."""
        caller = current_caller()
        self.seen.append(Seen(path_of(method), caller.workspace, current_authorization()))
        if self.act is not None:
            await self.act(context)

    def unary(self, method: MethodDescriptor) -> Any:
        """A handler of one request and one reply."""

        async def call(request: Any, context: Any) -> Message:
            await self.note(method, context)
            return class_of(method, reply=True)()

        return call

    def stream(self, method: MethodDescriptor) -> Any:
        """A handler of one request or many, and a stream of replies."""

        async def call(request: Any, context: Any) -> AsyncIterator[Message]:
            if method.client_streaming:
                async for _ in request:
                    await self.note(method, context)
                    yield class_of(method, reply=True)()
            else:
                await self.note(method, context)
                yield class_of(method, reply=True)()
            while self.flood is not None:
                yield self.flood
            if self.act_after_reply is not None:
                await self.act_after_reply(context)

        return call


def servicers(handlers: Handlers, scope: str = "read") -> list[Servicer]:
    """A servicer for every service of the contract; each method needs the scope."""
    return [_servicer(service, handlers, scope) for service in SERVICES]


def _servicer(service: ServiceDescriptor, handlers: Handlers, scope: str) -> Servicer:
    made = {method.name: _handler(method, handlers) for method in service.methods}

    def add(implementation: Any, server: grpc.aio.Server) -> None:
        handler = grpc.method_handlers_generic_handler(service.full_name, implementation)
        server.add_generic_rpc_handlers((handler,))

    return Servicer(service.full_name, add, made, dict.fromkeys(made, scope))


def _handler(method: MethodDescriptor, handlers: Handlers) -> Any:
    decode, encode = class_of(method).FromString, class_of(method, reply=True).SerializeToString
    if method.server_streaming and method.client_streaming:
        return grpc.stream_stream_rpc_method_handler(handlers.stream(method), decode, encode)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(handlers.stream(method), decode, encode)
    return grpc.unary_unary_rpc_method_handler(handlers.unary(method), decode, encode)


def valid(method: MethodDescriptor) -> bytes:
    """A request that breaks no limit."""
    requests: dict[str, Message] = {
        "IngestMessages": ingest_pb2.IngestMessagesRequest(
            source=ingest_pb2.SourceRef(kind=ingest_pb2.SOURCE_KIND_API, external_id="s")
        )
    }
    return requests.get(method.name, class_of(method)()).SerializeToString()


_LOST = "a server that ended a call while the client wrote to it was not heard (grpc/grpc#36066)"


async def call(
    channel: grpc.aio.Channel,
    path: str,
    metadata: Metadata = (),
    body: bytes = b"",
    seconds: float = 60,
) -> list[bytes]:
    """Call a method of any kind with one request as bytes; return the replies as bytes.

    What a server says that ends a call while the client writes to it grpc.aio loses now and then: it is asked again.
    """
    method = next((each for each in METHODS if path_of(each) == path), None)
    if method is None or not method.server_streaming:
        return [await channel.unary_unary(path)(body, metadata=metadata, timeout=seconds)]
    if method.client_streaming:
        for _ in range(9):
            requests = channel.stream_stream(path)(iter([body]), metadata=metadata, timeout=seconds)
            try:
                return [reply async for reply in requests]
            except grpc.aio.AioRpcError as error:
                if "execute_batch" not in (error.debug_error_string() or ""):
                    raise
        raise AssertionError(_LOST)
    replies = channel.unary_stream(path)(body, metadata=metadata, timeout=seconds)
    return [reply async for reply in replies]


async def failure(awaitable: Awaitable[object]) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    try:
        await awaitable
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call succeeded")


@dataclass
class Edge:
    """The served contract, its handlers and a workspace."""

    channel: grpc.aio.Channel
    handlers: Handlers
    admin: asyncpg.Connection
    workspace: UUID
    metadata: tuple[tuple[str, str], ...]

    async def key(self, workspace: str = "test", *scopes: str, change: str = "") -> str:
        """Make a key, perhaps expired or revoked; return its text."""
        key = mint_key()
        await store_key(self.admin, workspace, "test", key, scopes or SCOPES)
        if change:
            await self.admin.execute(
                f"update spine.api_key set {change} where prefix = $1", key.prefix
            )
        return key.text


@dataclass
class Details:
    """What a failed call says beside its code."""

    reason: str = ""
    request_id: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    retry_seconds: float | None = None
    pushback_seconds: float | None = None


def details_of(error: grpc.aio.AioRpcError) -> Details:
    """Read the details of a failed call."""
    found, trailer = Details(), dict(error.trailing_metadata() or ())
    for packed in status_pb2.Status.FromString(trailer["grpc-status-details-bin"]).details:
        info = error_details_pb2.ErrorInfo()
        bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if packed.Unpack(info):
            found.reason, found.request_id = info.reason, info.metadata["request_id"]
        if packed.Unpack(bad):
            found.fields = {v.field: v.description for v in bad.field_violations}
        if packed.Unpack(retry):
            found.retry_seconds = retry.retry_delay.ToMilliseconds() / 1000
    if "grpc-retry-pushback-ms" in trailer:
        found.pushback_seconds = int(trailer["grpc-retry-pushback-ms"]) / 1000
    return found


def raising(error: BaseException) -> Callable[[Any], Awaitable[None]]:
    """An act that raises."""

    async def act(context: Any) -> None:
        raise error

    return act


def raising_new(
    kind: Callable[..., BaseException], *values: object
) -> Callable[[Any], Awaitable[None]]:
    """An act that raises an error of its own each time."""

    async def act(context: Any) -> None:
        raise kind(*values)

    return act
