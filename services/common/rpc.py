"""gRPC: one interceptor that authenticates, validates and translates errors for every method of every service."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import Message
from pydantic import Field

from services.common import errors, metrics, public, tracing
from services.common.audit import AuditLog, is_recorded
from services.common.auth import Authenticator, Caller
from services.common.channels import RECEIVED_BYTES_MAX
from services.common.checking import violations_of
from services.common.deadlines import Deadline
from services.common.decoding import REQUEST_BYTES_MAX, Unread, tolerant
from services.common.rates import Rate
from services.common.settings import OptionalAddress, OptionalPath, Settings
from services.common.statuses import abort, code_of
from services.common.tls import Callers, names_of

# What is larger still is refused by gRPC itself, which says no reason, and is not held in memory to say one.
MESSAGE_BYTES_MAX = 2 * REQUEST_BYTES_MAX
METADATA_BYTES_MAX = 8 << 10
# How long a stream goes on before its key is looked at again.
KNOWN_SECONDS = 10.0
_TELLING_SECONDS = 1.0

log = logging.getLogger(__name__)

_caller: ContextVar[Caller] = ContextVar("caller")
_authorization: ContextVar[str] = ContextVar("authorization")

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", RECEIVED_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    # Without it, what is up to twice as large is refused by chance.
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]


class RpcSettings(Settings):
    """How a service listens."""

    rpc_concurrency_max: int = Field(default=256, ge=1)
    rpc_connection_age_seconds: float = Field(
        default=0,
        ge=0,
        description="an older connection takes no new calls, so that clients look replicas up again; "
        "those on it go on; 0 for never",
    )
    rpc_reflection: bool = True
    rpc_drain_seconds: float = Field(
        default=10, ge=0, description="how long calls, and then tasks, may end after SIGTERM"
    )
    rpc_health_address: OptionalAddress = Field(
        default="", description="`host:port` that tells the health alone, without TLS: for probes"
    )
    rpc_ready_file: OptionalPath = Field(
        default=None, description="has this process's id while it serves: for supervisors"
    )


def current_caller() -> Caller:
    """Who makes the call that is being handled."""
    return _caller.get()


def request_sha256(request: Message) -> bytes:
    """What tells a request from all others that may come with its request_id."""
    body = request.SerializeToString(deterministic=True)
    return hashlib.sha256(request.DESCRIPTOR.name.encode() + body).digest()


def current_authorization() -> str:
    """The `authorization` of the call that is being handled, for calls made on its behalf."""
    return _authorization.get()


class Edge(grpc.aio.ServerInterceptor):
    """The edge of a service: it lets in known callers and valid requests, and lets no exception out."""

    def __init__(
        self,
        authenticator: Authenticator,
        scopes: Mapping[str, str],
        concurrency_max: int,
        callers: Callers,
        rate: Rate,
        audit: AuditLog,
        validator: protovalidate.Validator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authenticator, self._scopes, self._callers = authenticator, scopes, callers
        self._rate, self._audit, self._clock = rate, audit, clock
        self._validator = validator
        self._concurrency_max, self._running = concurrency_max, 0
        self._wrapped: dict[str, Any] = {}
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Read no more requests of open streams: each ends with UNAVAILABLE after what it has read."""
        self._draining.set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        call: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method that a call names, once for all its calls."""
        if (known := self._wrapped.get(call.method)) is not None:
            return known
        handler = await continuation(call)
        if handler is None:
            return None
        if call.method.startswith(public.PREFIXES):
            return public.checked(handler)
        wrapped = self._wrapped[call.method] = self._wrap(handler, call)
        return wrapped

    def _wrap(self, handler: Any, call: grpc.HandlerCallDetails) -> Any:
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(handler.unary_unary, call.method),
                tolerant(handler.request_deserializer),
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
            tolerant(handler.request_deserializer),
            handler.response_serializer,
        )

    def _unary(self, method: Any, name: str) -> Any:
        recorded = is_recorded(name, self._scopes[name])

        async def serve(request: Any, context: Any) -> Any:
            deadline = Deadline.of_call(context)
            async with (
                self._guarded(context, name, deadline, request),
                asyncio.timeout(deadline.seconds),
            ):
                await self._admit(context, name)
                self._check(request)
                if not recorded:
                    return await method(request, context)
                async with self._recorded(context, name, request, deadline):
                    return await method(request, context)

        async def call(request: Any, context: Any) -> Any:
            try:
                return await serve(request, context)
            except grpc.aio.AbortError as aborted:
                del request, context
                raise _let_go(aborted) from None

        return call

    def _streaming(self, method: Any, name: str) -> Any:
        async def serve(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            deadline = Deadline.of_stream(context)
            async with self._guarded(context, name, deadline, request):
                async with asyncio.timeout(Deadline.of_call(context).seconds):
                    await self._admit(context, name)
                key = _Checked(self._clock())
                checked = request
                if hasattr(request, "__aiter__"):
                    checked = self._each(request, context, key)
                else:
                    self._check(request)
                async with (
                    self._recorded(context, name, request, deadline),
                    self._while_known(context, key),
                    aclosing(method(checked, context)) as replies,
                ):
                    async for reply in replies:
                        await self._still_known(context, key)
                        key.is_sending = True
                        yield reply
                        key.is_sending = False

        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                async with aclosing(serve(request, context)) as replies:
                    async for reply in replies:
                        yield reply
            except grpc.aio.AbortError as aborted:
                del request, context
                raise _let_go(aborted) from None

        return call

    async def _each(
        self, requests: AsyncIterator[Any], context: Any, key: "_Checked"
    ) -> AsyncIterator[Any]:
        async with aclosing(self._until_drained(requests)) as arriving:
            async for request in arriving:
                await self._still_known(context, key)
                self._check(request)
                yield request

    async def _until_drained(self, requests: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        """Give requests as they come; raises Unavailable once the service is told to stop."""
        stopping = asyncio.ensure_future(self._draining.wait())
        coming: asyncio.Future[Any] | None = None
        arriving = aiter(requests)
        try:
            while not stopping.done():
                coming = asyncio.ensure_future(anext(arriving, None))
                await asyncio.wait((coming, stopping), return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    if (request := coming.result()) is None:
                        return
                    yield request
            raise errors.ShuttingDown(
                "the service is stopping; send again what was not acknowledged"
            )
        finally:
            stopping.cancel()
            if coming is not None:
                coming.cancel()

    async def _still_known(self, context: Any, key: "_Checked") -> None:
        """Look at the key again now and then while a stream goes on, so that a revoked one ends it."""
        if self._clock() - key.at > KNOWN_SECONDS:
            await self._identify(context)
            key.at = self._clock()

    @asynccontextmanager
    async def _while_known(self, context: Any, key: "_Checked") -> AsyncIterator[None]:
        """End a stream whose key is revoked also while nothing flows."""
        serving: Any = asyncio.current_task()
        watching = asyncio.create_task(self._watch(context, key, serving))
        try:
            yield
        except asyncio.CancelledError:
            if key.is_lost and not serving.uncancel():
                raise errors.InvalidCredentials from None
            raise
        finally:
            watching.cancel()

    async def _watch(self, context: Any, key: "_Checked", serving: asyncio.Task[Any]) -> None:
        while not key.is_lost:
            await asyncio.sleep(KNOWN_SECONDS)
            try:
                await self._identify(context)
            except errors.InvalidCredentials:
                key.is_lost = True
            except errors.Unavailable as error:
                log.warning("the key of an open stream is looked at again later: %s", error)
            else:
                key.at = self._clock()
        if key.is_sending:
            # The stream waits in gRPC for a caller who does not read.
            with contextlib.suppress(grpc.aio.AbortError, TimeoutError):
                async with asyncio.timeout(_TELLING_SECONDS):
                    await abort(context, errors.InvalidCredentials())
        serving.cancel()

    @asynccontextmanager
    async def _recorded(
        self, context: Any, name: str, request: Any, deadline: Deadline
    ) -> AsyncIterator[None]:
        """Keep a record of what is done with an admin's rights."""
        if not is_recorded(name, self._scopes[name]) or hasattr(request, "__aiter__"):
            yield
            return
        caller = current_caller()
        entry = await self._audit.begin(caller, _origin(context), name, request)
        outcome = grpc.StatusCode.OK
        try:
            yield
        except Exception as error:
            outcome = code_of(error)
            raise
        except BaseException:
            outcome = deadline.cut_off()
            raise
        finally:
            # Also when the caller has gone: the work was begun.
            await asyncio.shield(self._audit.end(caller, entry, outcome.name))

    def _check(self, request: Any) -> None:
        if isinstance(request, Unread):
            raise request.error()
        if violations := violations_of(self._validator, request):
            raise errors.InvalidFields(*violations)

    @asynccontextmanager
    async def _guarded(
        self, context: Any, name: str, deadline: Deadline, request: Any
    ) -> AsyncIterator[None]:
        """Take no more calls than the limit, let no exception out, and see how each ends."""
        self._running += 1
        try:
            with _seen(name, context, deadline):
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
            await abort(context, errors.Unavailable("the call was interrupted"), request)
        except Exception as error:  # noqa: BLE001 - the one place where all errors end
            await abort(context, error, request)
        finally:
            self._running -= 1

    async def _admit(self, context: Any, name: str) -> None:
        """Let in a known caller whose certificate, if any is asked for, and whose key are good for the method."""
        self._callers.check(name, context.auth_context())
        caller = await self._identify(context)
        self._rate.take(caller.workspace)
        caller.require(self._scopes[name])
        _caller.set(caller)

    async def _identify(self, context: Any) -> Caller:
        values = [v for k, v in context.invocation_metadata() or () if k == "authorization"]
        if len(values) != 1:
            raise errors.InvalidCredentials
        _authorization.set(str(values[0]))
        return await self._authenticator.caller(str(values[0]))


@contextmanager
def _seen(name: str, context: Any, deadline: Deadline) -> Iterator[None]:
    """Count, time and trace a call by how it ends."""
    began, code = time.perf_counter(), grpc.StatusCode.OK
    metrics.RPC_RUNNING.inc()
    try:
        with tracing.call_span(name, context.invocation_metadata() or ()):
            yield
    except (GeneratorExit, asyncio.CancelledError):
        code = deadline.cut_off()
        raise
    except Exception as error:
        code = code_of(error)
        raise
    finally:
        metrics.RPC_RUNNING.dec()
        metrics.RPC_SECONDS.labels(name.lstrip("/"), code.name).observe(time.perf_counter() - began)


def _let_go(aborted: grpc.aio.AbortError) -> grpc.aio.AbortError:
    """Part an error from the call that it ended.

    gRPC's state of the call holds the error. If the error led back to the call, by its cause or by the frames that it
    went through, requests that were refused would lie about until the collector comes by, which is seldom.
    """
    aborted.__context__ = None
    return aborted.with_traceback(None)


@dataclass
class _Checked:
    """When the key of a stream was last looked at, on the edge's clock, and whether it is known no more."""

    at: float
    is_sending: bool = False
    is_lost: bool = False


def _origin(context: Any) -> str:
    """Where a call comes from: its address without the port, and the names in its certificate."""
    address = str(context.peer()).rpartition(":")[0]
    return " ".join([address, *sorted(names_of(context.auth_context()))])
