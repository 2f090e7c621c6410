"""Calls that a quota refuses for a moment: made again after it, as the refusal says."""

from asyncio import sleep
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.rpc import error_details_pb2

from services.cli.failures import details_of
from services.common.statuses import reason_name
from winnow.errors.v1.errors_pb2 import ErrorReason

WAITS_SECONDS_MAX = 10.0  # of one call, all together
_RATE_LIMITED = reason_name(ErrorReason.ERROR_REASON_RATE_LIMITED)

Continuation = Callable[[Any, Any], Awaitable[Any]]


def waiting_for_quota() -> list[grpc.aio.ClientInterceptor]:
    """What makes the calls of a channel wait, those with one reply and those with many."""
    return [_Unary(), _Streaming()]


class _Unary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Any, request: Any
    ) -> Any:
        """Make a call, and return its reply."""

        async def attempt() -> Any:
            return await (await continuation(client_call_details, request))

        return await _in_time(attempt)


class _Streaming(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: Any, request: Any
    ) -> Any:
        """Make a call, and return it once it is let in."""

        async def attempt() -> Any:
            call = await continuation(client_call_details, request)
            await call.wait_for_connection()
            return call

        return await _in_time(attempt)


async def _in_time(attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat what is refused as one call too many. Raises AioRpcError, also where the wait would be too long."""
    left_seconds = WAITS_SECONDS_MAX
    while True:
        try:
            return await attempt()
        except grpc.aio.AioRpcError as error:
            seconds = _hint_seconds(error)
            if seconds is None or seconds > left_seconds:
                raise
            left_seconds -= seconds
        await sleep(seconds)


def quota_seconds(error: grpc.aio.AioRpcError) -> float | None:
    """After how long a call may be made again that a quota refused; None if it was refused for anything else."""
    status = details_of(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.reason == _RATE_LIMITED:
            return _hint_seconds(error)
    return None


def _hint_seconds(error: grpc.aio.AioRpcError) -> float | None:
    """After how long a call may be made again that was refused before anything was done."""
    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
        return None
    status = details_of(error)
    for detail in status.details if status else ():
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.ToTimedelta().total_seconds())
    return None
