"""Errors as callers see them: one table from our taxonomy to gRPC, with details, and nothing not meant for them."""

import logging
import random
from typing import Any, NoReturn
from uuid import UUID, uuid4

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.common import errors
from winnow.errors.v1.errors_pb2 import ErrorReason

log = logging.getLogger(__name__)

# What a status says must fit in the metadata of a reply, whose limit is 8 KiB.
VIOLATIONS_MAX = 10
TEXT_CHARACTERS_MAX = 200
# As deep as conditions may be nested, a field is named whole.
FIELD_CHARACTERS_MAX = 300


def reason_name(reason: "ErrorReason.ValueType") -> str:
    """The name of a reason as ErrorInfo carries it."""
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


_TABLE: list[tuple[type[Exception], grpc.StatusCode, "ErrorReason.ValueType"]] = [
    (errors.InvalidPageToken, grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_PAGE_TOKEN),
    (errors.InvalidFields, grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_FIELD),
    (errors.MalformedRequest, grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_MALFORMED_REQUEST),
    (errors.RequestTooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE),
    (errors.InvalidCredentials, grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_INVALID_CREDENTIALS),
    (errors.InsufficientScope, grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_INSUFFICIENT_SCOPE),
    (errors.CallerNotAllowed, grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_CALLER_NOT_ALLOWED),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_NOT_FOUND),
    (errors.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_ALREADY_EXISTS),
    (errors.TooMuchAtOnce, grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_TOO_MUCH_AT_ONCE),
    (errors.Conflict, grpc.StatusCode.ABORTED, ErrorReason.ERROR_REASON_CONFLICT),
    (errors.RateLimited, grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_RATE_LIMITED),
    (errors.Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED),
    (errors.DatabaseUnavailable, grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE),
    (errors.ShuttingDown, grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_SHUTTING_DOWN),
    (errors.Unavailable, grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE),
    (errors.NoServingGeneration, grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_NO_SERVING_GENERATION),
    (errors.UnfitGeneration, grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_UNFIT_GENERATION),
]  # fmt: skip


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
                field=_field(v.field), description=_short(v.description)
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


def code_of(error: Exception) -> grpc.StatusCode:
    """The code that an error ends a call with."""
    return _rendering(_first(error), "")[0]


def reason_of(error: errors.WinnowError) -> tuple[int, str]:
    """The number of the code and the name of the reason that a call fails with, for a reply that speaks of many."""
    code, reason, _ = _rendering(error, "")
    return int(code.value[0]), reason_name(reason)


def _first(error: Exception) -> Exception:
    """What a group of errors, as concurrent work raises it, failed of."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _field(path: str) -> str:
    """A field that callers can find: of one that lies too deep to be named, what it lies in."""
    if len(path) <= FIELD_CHARACTERS_MAX:
        return path
    return path[:FIELD_CHARACTERS_MAX].rpartition(".")[0]


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


async def abort(context: Any, error: Exception, request: Any = None) -> NoReturn:
    """End a call with an error; what is ours to mend is logged, and only the id of the request goes out.

    A defect is logged with its traceback; what is away, which every call meets meanwhile, in one line with its cause.
    """
    request_id = _id_of(request)
    status, retry = status_of(error, request_id)
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    if code is grpc.StatusCode.INTERNAL:
        log.error("request %s: %r", request_id, error, exc_info=error)
    elif code is grpc.StatusCode.UNAVAILABLE:
        is_planned = isinstance(error, errors.ShuttingDown)
        log.log(
            logging.INFO if is_planned else logging.WARNING, "request %s: %s", request_id, error
        )
    metadata: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", status.SerializeToString())
    ]
    if retry is not None:
        metadata.append(("grpc-retry-pushback-ms", str(int(retry * 1000))))
    # Its frames hold the call, and from Python 3.12 on the error as well: only the collector would end that.
    error.__traceback__ = None
    await context.abort(code, status.message, tuple(metadata))
    raise AssertionError("unreachable")


def _id_of(request: Any) -> str:
    """The id that the caller gave a request; a new one if it gave none, or what is no id and must not get into logs."""
    try:
        return str(UUID(getattr(request, "request_id", "")))
    except ValueError:
        return uuid4().hex
