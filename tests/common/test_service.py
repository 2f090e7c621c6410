"""A service opens, serves, drains and closes; a part of it that fails takes all of it down."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import protovalidate
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.pipeline import pipeline_servicer
from services.common.reflecting import SERVICE_NAMES
from services.common.service import Service, Servicer, serving
from tests.common.edge import SERVICES, STREAM, UNARY, Handlers, call, servicers
from tests.common.stages import make, states, until, until_true
from tests.conftest import Deployment, free_port

ROOT = Path(__file__).resolve().parents[2]
Loop = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def served(
    handlers: Handlers | None = None, loops: tuple[Loop, ...] = ()
) -> AsyncIterator[grpc.aio.Channel]:
    """The whole contract, served under search's address."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        service = Service("search", database, servicers(handlers or Handlers()), loops=loops)
        async with serving(service) as address, grpc.aio.insecure_channel(address) as channel:
            yield channel


async def test_probes_learn_of_the_end_first(deployment: Deployment) -> None:
    """A service that stops says NOT_SERVING, finishes the call that it is in, and then goes."""
    started, handlers = asyncio.Event(), Handlers()

    async def act(context: Any) -> None:
        started.set()
        await asyncio.sleep(0.5)

    handlers.act = act
    said: list[int] = []
    told = asyncio.Event()

    async def watch(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            async for reply in stub.Watch(health_pb2.HealthCheckRequest()):
                said.append(reply.status)
                told.set()
                if reply.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    return

    async with grpc.aio.insecure_channel(deployment.address("search")) as own:
        async with served(handlers):
            watching = asyncio.create_task(watch(deployment.address("search")))
            calling = asyncio.create_task(call(own, UNARY, deployment.metadata))
            await asyncio.gather(started.wait(), told.wait())
        assert await calling == [b""]
        await asyncio.wait_for(watching, 60)
    assert said[0] == health_pb2.HealthCheckResponse.SERVING
    assert said[-1] == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_stream_outlives_the_age_of_its_connection(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old connection takes no new calls, so that replicas are looked up again; those on it go on to their ends."""
    monkeypatch.setenv("WINNOW_RPC_CONNECTION_AGE_SECONDS", "0.2")
    handlers, going_on, peers = Handlers(), asyncio.Event(), set[str]()

    async def act(context: Any) -> None:
        peers.add(context.peer())

    async def wait(context: Any) -> None:
        await going_on.wait()

    handlers.act, handlers.act_after_reply = act, wait
    async with served(handlers) as channel:
        stream = channel.unary_stream(STREAM)(b"", metadata=deployment.metadata)
        assert await stream.read() == b""
        async with asyncio.timeout(60):
            while len(peers) < 5:
                await call(channel, UNARY, deployment.metadata)
                await asyncio.sleep(0.02)
        going_on.set()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK


async def test_a_stream_on_an_old_connection_ends_with_its_service(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that stops waits for no stream longer than it drains, however long its connection may last."""
    monkeypatch.setenv("WINNOW_RPC_CONNECTION_AGE_SECONDS", "0.2")
    monkeypatch.setenv("WINNOW_RPC_DRAIN_SECONDS", "0.2")
    handlers = Handlers(act_after_reply=lambda _: asyncio.Event().wait())
    async with grpc.aio.insecure_channel(deployment.address("search")) as own:
        async with asyncio.timeout(60), served(handlers):
            stream = own.unary_stream(STREAM)(b"", metadata=deployment.metadata)
            assert await stream.read() == b""
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()


@pytest.mark.parametrize("shown", [True, False])
async def test_reflection_shows_every_service(
    deployment: Deployment, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grpcurl can list what a service serves, unless reflection is turned off."""
    monkeypatch.setenv("WINNOW_RPC_REFLECTION", str(shown))
    async with served():
        listed = await asyncio.to_thread(_reflected, deployment.address("search"))
    if shown:
        wanted = {service.full_name for service in SERVICES} | {"grpc.health.v1.Health"}
        assert wanted <= listed
    else:
        assert listed == set()


@pytest.mark.parametrize("name", SERVICE_NAMES)
async def test_reflection_answers_by_both_of_its_names(deployment: Deployment, name: str) -> None:
    """Clients ask for v1, or for v1alpha as older ones do, and each describes itself."""
    path = f"/{name}/ServerReflectionInfo"
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
    async with served(), grpc.aio.insecure_channel(deployment.address("search")) as channel:
        call = channel.stream_stream(
            path,
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (reply,) = [each async for each in call(iter([request]))]
    (file,) = reply.file_descriptor_response.file_descriptor_proto
    contract = descriptor_pb2.FileDescriptorProto.FromString(file)
    assert f"{contract.package}.{contract.service[0].name}" == name
    (method,) = contract.service[0].method
    assert method.output_type == f".{contract.package}.ServerReflectionResponse"


def _reflected(address: str) -> set[str]:
    with grpc.insecure_channel(address) as channel:
        try:
            return set(ProtoReflectionDescriptorDatabase(channel).get_services())
        except grpc.RpcError:
            return set()


async def test_a_taken_port_is_one_clear_line(deployment: Deployment) -> None:
    """A service that cannot listen names the setting and the address."""
    async with served():
        with pytest.raises(InvalidSetting) as caught:
            async with served():
                pass
    assert "WINNOW_SEARCH_ADDRESS" in str(caught.value)
    assert deployment.address("search") in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_loop_that_fails_stops_the_service(deployment: Deployment) -> None:
    """A part that fails ends the whole service at once, with its error."""

    async def fail() -> None:
        raise RuntimeError("a part failed")

    async def last() -> None:
        await asyncio.sleep(3600)

    async def serve_on() -> None:
        async with served(loops=(fail, last)):
            await asyncio.sleep(3600)

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(serve_on(), 60)
    assert caught.group_contains(RuntimeError, match="a part failed")


async def test_a_forgotten_scope_is_found_at_the_start(deployment: Deployment) -> None:
    """A method without a scope, or a scope without a method, keeps the service from starting."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        good = pipeline_servicer(database)
        for scopes in ({"GetStatus": "read"}, {**good.scopes, "Misspelt": "read"}):
            wrong = Servicer(good.full_name, good.add, good.implementation, scopes)
            with pytest.raises(ValueError, match="PipelineService"):
                async with serving(Service("search", database, [wrong])):
                    pass


@asynccontextmanager
async def process(
    seconds: float, *before: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A slow service as a process of its own, killed at the end if it is still there."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "gen")])
    started = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-m", "tests.common.slow_service", str(seconds)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_sigterm_drains(deployment: Deployment) -> None:
    """Told to stop, a process finishes the task it holds, takes no other, and ends well."""
    async with process(1) as running:
        await make(deployment, "held")
        await until_true(deployment.admin, "bool_or(state = 'leased') from spine.task")
        running.send_signal(signal.SIGTERM)
        await make(deployment, "left")
        assert await asyncio.wait_for(running.wait(), 60) == 0
    assert await states(deployment.admin) == {"done": 1, "ready": 1}


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize(
    ("before", "left"), [((), {"done": 1, "ready": 1}), (("nohup",), {"done": 2})]
)
async def test_a_closed_terminal_drains(
    deployment: Deployment, before: tuple[str, ...], left: dict[str, int]
) -> None:
    """A process whose terminal is closed stops as it does when told to, and goes on under `nohup`."""
    async with process(1, *before) as running:
        await make(deployment, "held")
        await until_true(deployment.admin, "bool_or(state = 'leased') from spine.task")
        running.send_signal(signal.SIGHUP)
        await make(deployment, "left")
        if before:
            await until(deployment.admin, done=2)
            running.terminate()
        assert await asyncio.wait_for(running.wait(), 60) == 0
    assert await states(deployment.admin) == left


async def test_a_killed_process_loses_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process held when it was killed is done by the next one after the lease."""
    async with process(3600) as running:
        await make(deployment, "held")
        await until_true(deployment.admin, "bool_or(state = 'leased') from spine.task")
        running.kill()
        await running.wait()
    await deployment.admin.execute("update spine.task set lease_until = now(), hint_at = now()")
    async with process(0):
        await until(deployment.admin, done=1)
    assert await deployment.admin.fetchval("select attempts from spine.task") == 2


async def test_sigterm_ends_the_wait_for_a_server(deployment: Deployment) -> None:
    """A process that waits for a broker which is not there still stops when it is told to."""
    async with process(0, WINNOW_NATS_URL=f"nats://127.0.0.1:{free_port()}") as running:
        await until_true(
            deployment.admin, "count(*) > 0 from pg_stat_activity where usename = 'winnow_app'"
        )
        await asyncio.sleep(0.5)
        assert running.returncode is None
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), 60) == 0


@pytest.mark.parametrize("name", ["ingest", "search"])
async def test_requests_are_checked_by_one_validator(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What a service checks beyond its edge is checked by the edge's validator: each learns types of messages anew."""
    made: list[protovalidate.Validator] = []
    make = protovalidate.Validator

    def counted() -> protovalidate.Validator:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(protovalidate, "Validator", counted)
    async with import_module(f"services.{name}.service").open_service() as service:
        assert made == [service.validator]
