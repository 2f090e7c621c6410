"""Asks services whether they serve."""

import asyncio
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.target import Target
from services.common.channels import dial

SERVING: Final = "serving"


async def is_serving(channel: grpc.aio.Channel, timeout_seconds: float = 3) -> bool:
    """Return what the health service of the other end says; raises AioRpcError if it does not answer."""
    stub = health_pb2_grpc.HealthStub(channel)
    check = stub.Check  # type: ignore[attr-defined]
    reply = await check(health_pb2.HealthCheckRequest(), timeout=timeout_seconds)
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


async def tell_health(target: Target) -> dict[str, str]:
    """Ask each service of which it is known where it runs: it is `serving`, `not serving` or `not reached`."""
    names = [name for name in target.addresses if name not in target.unplaced]
    told = await asyncio.gather(*(_told(target.addresses[name]) for name in names))
    return dict(zip(names, told, strict=True))


async def _told(address: str) -> str:
    async with dial(address) as channel:
        try:
            return SERVING if await is_serving(channel) else "not serving"
        except grpc.aio.AioRpcError:
            return "not reached"
