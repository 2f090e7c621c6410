"""What lets many replicas stand behind one name: health without certificates, calls in turn, and time to end."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.cli.health import is_serving
from services.cli.running import service_child
from services.common.channels import dial
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, serving
from tests.common.edge import UNARY, Handlers, call, failure, servicers
from tests.conftest import Deployment, free_port
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub


async def test_health_is_told_at_a_port_of_its_own(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prober learns there that the service serves, can call nothing else, and a port that is taken is named."""
    where = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("WINNOW_RPC_HEALTH_ADDRESS", where)
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        service = Service("search", database, [pipeline_servicer(database)])
        async with serving(service), grpc.aio.insecure_channel(where) as channel:
            assert await is_serving(channel)
            unread = await failure(
                channel.unary_unary("/grpc.health.v1.Health/Check")(b"\x0a\x05no")
            )
            assert unread.code() == grpc.StatusCode.INVALID_ARGUMENT
            status = PipelineServiceStub(channel).GetStatus
            refused = await failure(status(pb.GetStatusRequest(), metadata=deployment.metadata))
            assert refused.code() == grpc.StatusCode.UNIMPLEMENTED
            monkeypatch.setenv("WINNOW_SEARCH_ADDRESS", f"127.0.0.1:{free_port()}")
            with pytest.raises(InvalidSetting, match="WINNOW_RPC_HEALTH_ADDRESS"):
                async with serving(service):
                    pass


async def test_replicas_are_called_in_turn(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel to a name with two addresses spreads its calls over both."""
    counts: list[int] = [0, 0]
    async with AsyncExitStack() as stack:
        open_database = Database.open(DatabaseSettings.read(), "winnow_search")
        database = await stack.enter_async_context(open_database)
        addresses = []
        for index in range(2):
            handlers = Handlers()

            async def act(context: Any, index: int = index) -> None:
                counts[index] += 1

            handlers.act = act
            monkeypatch.setenv("WINNOW_SEARCH_ADDRESS", f"127.0.0.1:{free_port()}")
            service = Service("search", database, servicers(handlers))
            addresses.append(await stack.enter_async_context(serving(service)))
        channel = await stack.enter_async_context(dial(f"ipv4:{','.join(addresses)}"))
        # Until it is connected to both.
        while not all(counts):
            await call(channel, UNARY, deployment.metadata)
        counts[:] = 0, 0
        for _ in range(20):
            await call(channel, UNARY, deployment.metadata)
    assert sum(counts) == 20
    assert min(counts) >= 5


async def test_calls_may_end_for_as_long_as_the_setting_says(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time to drain a call is cut off at once, not after the thirty seconds that it would take."""
    monkeypatch.setenv("WINNOW_RPC_DRAIN_SECONDS", "0")
    started, handlers = asyncio.Event(), Handlers()

    async def act(context: Any) -> None:
        started.set()
        await asyncio.sleep(30)

    handlers.act = act
    async with AsyncExitStack() as stack:
        open_database = Database.open(DatabaseSettings.read(), "winnow_search")
        service = Service(
            "search", await stack.enter_async_context(open_database), servicers(handlers)
        )
        where = deployment.address("search")
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(where))
        began = time.monotonic()
        async with serving(service):
            under_way = asyncio.ensure_future(call(channel, UNARY, deployment.metadata))
            await started.wait()
        assert time.monotonic() - began < 20
        with pytest.raises(grpc.aio.AioRpcError):
            await under_way


def test_children_have_ports_of_their_own() -> None:
    """Of `winnow up`, each service serves metrics and health at a port counted from the one that is set."""
    asked = {"WINNOW_METRICS_ADDRESS": "127.0.0.1:9464", "WINNOW_RPC_HEALTH_ADDRESS": ""}
    given = [
        service_child(name, asked, Path("records")).environment["WINNOW_METRICS_ADDRESS"]
        for name in ("ingest", "extractor", "embedder", "search")
    ]
    assert given == [f"127.0.0.1:{port}" for port in range(9464, 9468)]
