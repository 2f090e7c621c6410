"""What anyone may ask of a service, without a key: health and reflection.

Their libraries answer a request that is none, and what they do not know, with UNKNOWN and a traceback in the log.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from services.common.decoding import Unread, tolerant
from services.common.statuses import abort

# The stubs do not know it yet.
_HealthListResponse: Final[Any] = vars(health_pb2)["HealthListResponse"]
PREFIXES: Final = ("/grpc.health.v1.Health/", "/grpc.reflection.")


class Health(health.HealthServicer):
    """The health of a service by its name, and of all of them at once, which the library leaves out."""

    _server_status: Mapping[str, Any]

    async def List(self, request: Any, context: Any) -> Any:
        """Return the state of each that has one."""
        states = {
            name: health_pb2.HealthCheckResponse(status=status)
            for name, status in self._server_status.items()
        }
        return _HealthListResponse(statuses=states)


class Public(grpc.aio.ServerInterceptor):
    """The edge of a server that has nothing but what is public."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        call: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method that a call names."""
        handler = await continuation(call)
        return None if handler is None else checked(handler)


def checked(handler: Any) -> Any:
    """A public method that refuses what cannot be read as its request."""
    decode, encode = tolerant(handler.request_deserializer), handler.response_serializer
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(_once(handler.unary_unary), decode, encode)
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(_once(handler.unary_stream), decode, encode)
    return grpc.stream_stream_rpc_method_handler(_each(handler.stream_stream), decode, encode)


def _once(method: Any) -> Any:
    async def call(request: Any, context: Any) -> Any:
        if isinstance(request, Unread):
            await abort(context, request.error())
        return await method(request, context)

    return call


def _each(method: Any) -> Any:
    async def readable(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            if isinstance(request, Unread):
                await abort(context, request.error())
            yield request

    async def call(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for reply in method(readable(requests, context), context):
            yield reply

    return call
