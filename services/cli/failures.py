"""Exit codes, and every failure as one line on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import grpc
from google.rpc import error_details_pb2, status_pb2

from services.cli.embedded.errors import ChildFailed
from services.cli.importers import ImportFailure
from services.cli.terminal import shown
from services.common.errors import (
    FieldViolation,
    InvalidSetting,
    ModelError,
    UnusableFile,
    WinnowError,
)

_NO_THREAD = "can't start new thread"  # as Python says it
FAILED, USAGE, UNREACHABLE, BAD_INPUT, MISSING, INCOMPLETE, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130


class Failure(click.ClickException):
    """A failure with the exit code that it ends the command with."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: object = None) -> None:
        """Print the one line."""
        click.echo(f"winnow: {shown(self.message)}", file=sys.stderr)


class NotReached(grpc.aio.AioRpcError):
    """A call that nobody has answered, of a service that a running `winnow up` starts, and again when it dies."""

    def __init__(self, error: grpc.aio.AioRpcError, service: str) -> None:
        super().__init__(
            error.code(),
            error.initial_metadata(),
            error.trailing_metadata(),
            error.details(),
            error.debug_error_string(),
        )
        self.service = service


@contextmanager
def kept_running(service: str) -> Iterator[None]:
    """Have what fails because nobody answers told as a call of a service that `winnow up` keeps running."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE and not is_from_service(error):
            raise NotReached(error, service) from error
        raise


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that a user can meet into a Failure; what is left is a defect and shows a traceback."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _rpc_failure(error) from error
    except (ImportFailure, UnusableFile) as error:
        raise Failure(str(error), BAD_INPUT) from error
    except ModelError as error:
        raise Failure(str(error), MISSING) from error
    except InvalidSetting as error:
        raise Failure(str(error), USAGE) from error
    except ChildFailed as error:
        raise Failure(str(error), error.exit_code) from error
    except WinnowError as error:
        raise Failure(str(error), FAILED) from error
    except MemoryError as error:
        told = (
            "this process gets no more memory: raise its limit (ulimit -v, that of the container)"
        )
        raise Failure(told, FAILED) from error
    except RuntimeError as error:
        if str(error) != _NO_THREAD:
            raise
        told = (
            "no further thread can be started: raise the limit of processes (ulimit -u, pids.max)"
        )
        raise Failure(told, FAILED) from error
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group, explained."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    try:
        with explained():
            raise error
    except BaseException as explanation:  # noqa: BLE001 - handed to the caller
        return explanation


def system_reason(error: OSError) -> str:
    """What the system refuses, and of which file if it is one."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def _rpc_failure(error: grpc.aio.AioRpcError) -> Failure:
    code = error.code()
    text = described(error)
    if isinstance(error, NotReached):
        return Failure(
            f"{error.service} cannot be reached: `winnow up` is starting it, or starting it again, or has ended "
            f"meanwhile; try again in a moment ({error.details()})",
            UNREACHABLE,
        )
    if code == grpc.StatusCode.UNAVAILABLE and not details_of(error):
        return Failure(
            "cannot reach Winnow: start it with `winnow up`, or set WINNOW_*_ADDRESS "
            f"to where it runs ({error.details()})",
            UNREACHABLE,
        )
    if code == grpc.StatusCode.DEADLINE_EXCEEDED and not details_of(error):
        return Failure(
            "no answer came in time: Winnow may be busy (`winnow status`), and may still do what was asked",
            UNREACHABLE,
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Failure(text, UNREACHABLE)
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return Failure(
            "the API key is not accepted: it is unknown, revoked or expired; "
            "`winnow keys create` makes another, WINNOW_API_KEY sets which is used",
            FAILED,
        )
    if code == grpc.StatusCode.UNIMPLEMENTED and not details_of(error):
        return Failure(
            "what answers there does not know this call: is another service, or an older release, "
            "at one of the WINNOW_*_ADDRESS?",
            FAILED,
        )
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return Failure(text, BAD_INPUT)
    return Failure(text, FAILED)


def is_broken_stream(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC itself gave up a call while a request was written; services never say INTERNAL without details."""
    return error.code() == grpc.StatusCode.INTERNAL and not is_from_service(error)


def is_from_service(error: grpc.aio.AioRpcError) -> bool:
    """Whether a service of ours has answered, rather than gRPC for one that is not there."""
    return details_of(error) is not None


def details_of(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """What a service of ours says of a failure beside its words; None if none has answered."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return None


def described(error: grpc.aio.AioRpcError) -> str:
    """The status in words, with the fields that are at fault."""
    status = details_of(error)
    for detail in status.details if status else ():
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            told = [FieldViolation(v.field, v.description) for v in request.field_violations]
            return "; ".join(map(str, told))
    # What our services say is meant for whoever asked; the code tells what else there is to tell.
    return str(error.details()) if status else f"{error.details()} ({error.code().name})"
