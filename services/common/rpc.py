"""gRPC: one interceptor that authenticates, validates and translates errors for every method of every service."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn
from uuid import uuid4

import grpc
import protovalidate
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from pydantic import Field

from services.common import errors, metrics, tracing
from services.common.auth import Authenticator, Caller
from services.common.settings import Settings
from services.common.tls import Callers
from winnow.errors.v1.errors_pb2 import ErrorReason

log = logging.getLogger(__name__)

REQUEST_BYTES_MAX = 1 << 20
REPLY_BYTES_MAX = 16 << 20
METADATA_BYTES_MAX = 8 << 10
DEADLINE_SECONDS_MAX = 60.0
# What a status says must fit in the metadata of a reply, whose limit is 8 KiB.
VIOLATIONS_MAX = 10
TEXT_CHARACTERS_MAX = 200

_PUBLIC = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_caller: ContextVar[Caller] = ContextVar("caller")
_authorization: ContextVar[str] = ContextVar("authorization")

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_send_message_length", REPLY_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", REPLY_BYTES_MAX),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_retries", 1),
]


class RpcSettings(Settings):
    """How a service listens."""

    rpc_concurrency_max: int = Field(default=256, ge=1)
    rpc_connection_age_seconds: float = Field(default=0, ge=0)
    rpc_reflection: bool = True


def current_caller() -> Caller:
    """Who makes the call that is being handled."""
    return _caller.get()


def current_authorization() -> str:
    """The `authorization` of the call that is being handled, for calls made on its behalf."""
    return _authorization.get()


def reason_name(reason: "ErrorReason.ValueType") -> str:
    """The name of a reason as ErrorInfo carries it."""
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


_TABLE: list[tuple[type[Exception], grpc.StatusCode, "ErrorReason.ValueType"]] = [
    (errors.InvalidFields, grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_FIELD),
    (errors.InvalidPageToken, grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_PAGE_TOKEN),
    (errors.InvalidCredentials, grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_INVALID_CREDENTIALS),
    (errors.InsufficientScope, grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_INSUFFICIENT_SCOPE),
    (errors.CallerNotAllowed, grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_CALLER_NOT_ALLOWED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_NOT_FOUND),
    (errors.Conflict, grpc.StatusCode.ABORTED, ErrorReason.ERROR_REASON_CONFLICT),
    (errors.Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED),
    (errors.DatabaseUnavailable, grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE),
    (errors.NoServingGeneration, grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_NO_SERVING_GENERATION),
]  # fmt: skip


class Malformed:
    """Stands for a request whose bytes are not the message they should be."""


def status_of(error: Exception, request_id: str) -> tuple[status_pb2.Status, float | None]:
    """Render an error for a caller: a status with ErrorInfo, and how long to wait before a retry."""
    error = _first(error)
    code, reason, text = _rendering(error, request_id)
    status = status_pb2.Status(code=code.value[0], message=_short(text))
    info = error_details_pb2.ErrorInfo(reason=reason_name(reason), domain="winnow")
    info.metadata["request_id"] = request_id
    _add(status, info)
    if isinstance(error, errors.InvalidFields):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_short(v.field), description=_short(v.description)
            )
            for v in error.violations[:VIOLATIONS_MAX]
        ]
        _add(status, error_details_pb2.BadRequest(field_violations=violations))
    retry = getattr(error, "retry_seconds", None)
    if retry is not None:
        retry *= random.uniform(1, 1.3)  # noqa: S311
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(retry * 1000))
        _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
    return status, retry


def _rendering(
    error: Exception, request_id: str
) -> tuple[grpc.StatusCode, "ErrorReason.ValueType", str]:
    for kind, code, reason in _TABLE:
        if isinstance(error, kind):
            return code, reason, str(error)
    if isinstance(error, TimeoutError):
        reason = ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED
        return grpc.StatusCode.DEADLINE_EXCEEDED, reason, "the deadline passed"
    text = f"internal error; the logs have it under request {request_id}"
    return grpc.StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, text


def _first(error: Exception) -> Exception:
    """What a group of errors, as concurrent work raises it, failed of."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


async def _abort(context: Any, error: Exception) -> NoReturn:
    request_id = uuid4().hex
    status, retry = status_of(error, request_id)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE):
        log.error("request %s: %r", request_id, error, exc_info=error)
    metadata: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", status.SerializeToString())
    ]
    if retry is not None:
        metadata.append(("grpc-retry-pushback-ms", str(int(retry * 1000))))
    await context.abort(code, status.message, tuple(metadata))
    raise AssertionError("unreachable")


def violations_of(
    validator: protovalidate.Validator, message: Message
) -> list[errors.FieldViolation]:
    """Check a message against the limits in its proto; return what breaks them."""
    return [
        errors.FieldViolation(_path(violation), violation.proto.message)
        for violation in validator.collect_violations(message)
    ]


def _path(violation: Any) -> str:
    parts: list[str] = []
    for element in violation.proto.field.elements if violation.proto.has_field("field") else ():
        parts.append(element.field_name)
        if element.subscript:
            parts[-1] += f"[{element.subscript.value}]"
    return ".".join(parts) or str(violation.proto.rule_id).split(".")[0]


class Edge(grpc.aio.ServerInterceptor):
    """The edge of a service: it lets in known callers and valid requests, and lets no exception out."""

    def __init__(
        self,
        authenticator: Authenticator,
        scopes: Mapping[str, str],
        concurrency_max: int,
        callers: Callers,
    ) -> None:
        self._authenticator, self._scopes, self._callers = authenticator, scopes, callers
        self._validator = protovalidate.Validator()
        self._concurrency_max, self._running = concurrency_max, 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        call: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method that a call names."""
        handler = await continuation(call)
        if handler is None or call.method.startswith(_PUBLIC):
            return handler
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(handler.unary_unary, call.method),
                _tolerant(handler.request_deserializer),
                handler.response_serializer,
            )
        wrap, kind = (
            (handler.unary_stream, grpc.unary_stream_rpc_method_handler)
            if handler.unary_stream
            else (handler.stream_stream, grpc.stream_stream_rpc_method_handler)
        )
        if wrap is None:
            raise NotImplementedError(f"{call.method}: client streaming without replies")
        return kind(
            self._streaming(wrap, call.method),
            _tolerant(handler.request_deserializer),
            handler.response_serializer,
        )

    def _unary(self, method: Any, name: str) -> Any:
        async def call(request: Any, context: Any) -> Any:
            async with self._guarded(context, name), asyncio.timeout(_time_left(context)):
                await self._admit(context, name)
                self._check(request)
                return await method(request, context)

        return call

    def _streaming(self, method: Any, name: str) -> Any:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._guarded(context, name):
                async with asyncio.timeout(_time_left(context)):
                    await self._admit(context, name)
                checked = self._each(request) if hasattr(request, "__aiter__") else request
                if checked is request:
                    self._check(request)
                async with aclosing(method(checked, context)) as replies:
                    async for reply in replies:
                        yield reply

        return call

    async def _each(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            self._check(request)
            yield request

    def _check(self, request: Any) -> None:
        if isinstance(request, Malformed):
            raise errors.InvalidFields(errors.FieldViolation("", "not a valid protobuf message"))
        if violations := violations_of(self._validator, request):
            raise errors.InvalidFields(*violations)

    @asynccontextmanager
    async def _guarded(self, context: Any, name: str) -> AsyncIterator[None]:
        """Take no more calls than the limit, let no exception out, and see how each ends."""
        self._running += 1
        try:
            with _seen(name, context):
                if self._running > self._concurrency_max:
                    raise errors.Overloaded("too many calls at once", 0.5)
                yield
        except (GeneratorExit, grpc.aio.AbortError):
            raise
        except asyncio.CancelledError:
            # Only the caller may cancel a call; if anything else did, the caller would wait for ever.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await _abort(context, errors.Unavailable("the call was interrupted"))
        except Exception as error:  # noqa: BLE001 - the one place where all errors end
            await _abort(context, error)
        finally:
            self._running -= 1

    async def _admit(self, context: Any, name: str) -> None:
        """Let in a known caller whose certificate, if any is asked for, and whose key are good for the method."""
        self._callers.check(name, context.auth_context())
        caller = await self._identify(context)
        caller.require(self._scopes[name])
        _caller.set(caller)

    async def _identify(self, context: Any) -> Caller:
        values = [v for k, v in context.invocation_metadata() or () if k == "authorization"]
        if len(values) != 1:
            raise errors.InvalidCredentials
        _authorization.set(str(values[0]))
        return await self._authenticator.caller(str(values[0]))


@contextmanager
def _seen(name: str, context: Any) -> Iterator[None]:
    """Count, time and trace a call by how it ends."""
    began, code = time.perf_counter(), grpc.StatusCode.OK
    metrics.RPC_RUNNING.inc()
    try:
        with tracing.call_span(name, context.invocation_metadata() or ()):
            yield
    except (GeneratorExit, asyncio.CancelledError):
        code = grpc.StatusCode.CANCELLED
        raise
    except Exception as error:
        code = _rendering(_first(error), "")[0]
        raise
    finally:
        metrics.RPC_RUNNING.dec()
        metrics.RPC_SECONDS.labels(name.lstrip("/"), code.name).observe(time.perf_counter() - began)


def _time_left(context: Any) -> float:
    left = context.time_remaining()
    return min(left, DEADLINE_SECONDS_MAX) if left is not None else DEADLINE_SECONDS_MAX


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Turn undecodable bytes into Malformed, since gRPC would answer UNKNOWN with the name of a class."""

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return Malformed()

    return decode
