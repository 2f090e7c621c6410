"""What belongs to a trace is looked for, and held up by nothing that cannot be found."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.common import relay as relay_module
from services.common.bus import Bus
from services.common.errors import DatabaseUnavailable, InvalidSetting
from services.common.hints import Hint
from services.common.relay import Hints
from services.common.tracing import TraceSettings, call_span, tracing
from tests.common.relays import relaying
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.meanwhile import meanwhile


async def test_a_trace_that_cannot_be_read_holds_up_no_hint(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hints that are published together each is, though the database does not tell which traces they belong to."""

    async def unknown(*_: object) -> dict[UUID, str]:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(relay_module, "traces", unknown)
    with tracing(TraceSettings(), "test", InMemorySpanExporter()):
        async with relaying() as (relay, bus), meanwhile(relay.run()):
            await until_true(deployment.admin, "exists (select from spine.hint_stream)")
            tasks = {stage: uuid4() for stage in ("embed", "extract", "window")}
            for stage, task in tasks.items():
                relay.hand(Hints(deployment.workspace, stage, [task]))
            for stage, task in tasks.items():
                assert [hint.tasks for hint in await hinted(bus, stage)] == [(task,)]


class _Collector(TraceServiceServicer):
    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request: pb.ExportTraceServiceRequest, context: object) -> Any:
        """Take what was traced."""
        self.names += [
            span.name
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return pb.ExportTraceServiceResponse()


def _call(settings: TraceSettings) -> None:
    with tracing(settings, "test"), call_span("a call", ()):
        pass


@pytest.mark.parametrize("endpoint", ["http://[::1", "http://", ":4317", "//"])
def test_an_address_without_a_host_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """A misspelt address of a collector is told as every wrong setting, before anything is started."""
    monkeypatch.setenv("WINNOW_TRACES_ENDPOINT", endpoint)
    with pytest.raises(InvalidSetting, match="WINNOW_TRACES_ENDPOINT: must be an address such as"):
        TraceSettings.read()


def test_no_proxy_is_a_way_to_a_collector_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a proxy in the environment has the traces all the same."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    collector = _Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        settings = TraceSettings(traces_endpoint=f"http://127.0.0.1:{port}", traces_sampled_ratio=1)
        # A call is answered in a context of its own, which the step stays in.
        copy_context().run(_call, settings)
    finally:
        server.stop(None)
    assert collector.names == ["a call"]


async def hinted(bus: Bus, stage: str) -> list[Hint]:
    """The first hints of a stage that come."""
    reader = bus.hints(stage, 100)
    async with asyncio.timeout(60):
        while not (hints := await reader.fetch(10)):
            pass
    return hints
