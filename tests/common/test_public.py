"""What anyone may ask without a key: refused by reason where it is no request, and no traceback in anyone's log."""

import logging

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.reflecting import SERVICE_NAMES
from tests.common.edge import SERVICES, Edge, details_of, failure

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEALTH = "/grpc.health.v1.Health"
REFLECTION = [f"/{name}/ServerReflectionInfo" for name in SERVICE_NAMES]


@pytest.mark.parametrize(
    "path", [f"{HEALTH}/Check", f"{HEALTH}/Watch", f"{HEALTH}/List", *REFLECTION]
)
async def test_bytes_that_are_no_request_are_refused(
    edge: Edge, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """Whoever sends bytes that are none reads what they are, and leaves no traceback."""
    body = b"\x0a\x05no"
    if path in REFLECTION:
        stream = edge.channel.stream_stream(path)()
        await stream.write(body)
        error = await failure(stream.read())
    elif path.endswith("Watch"):
        error = await failure(edge.channel.unary_stream(path)(body).read())
    else:
        error = await failure(edge.channel.unary_unary(path)(body))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details_of(error).reason == "MALFORMED_REQUEST"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_health_is_listed(edge: Edge) -> None:
    """Whoever knows no service by name is told of all."""
    reply = await health_pb2_grpc.HealthStub(edge.channel).List(health_pb2.HealthListRequest())
    names = {"", *(service.full_name for service in SERVICES)}
    assert names == set(reply.statuses)
    assert {each.status for each in reply.statuses.values()} == {
        health_pb2.HealthCheckResponse.SERVING
    }
