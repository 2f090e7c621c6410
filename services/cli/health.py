"""Asks a service whether it serves."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


async def is_serving(channel: grpc.aio.Channel, timeout_seconds: float = 3) -> bool:
    """Return what the health service of the other end says; raises AioRpcError if it does not answer."""
    stub = health_pb2_grpc.HealthStub(channel)
    check = stub.Check  # type: ignore[attr-defined]
    reply = await check(health_pb2.HealthCheckRequest(), timeout=timeout_seconds)
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
