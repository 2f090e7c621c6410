"""What belongs to a trace is looked for, and held up by nothing that cannot be found."""

import asyncio
from uuid import UUID, uuid4

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.common import relay as relay_module
from services.common.bus import Bus
from services.common.errors import DatabaseUnavailable
from services.common.hints import Hint
from services.common.relay import Hints
from services.common.tracing import TraceSettings, tracing
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


async def hinted(bus: Bus, stage: str) -> list[Hint]:
    """The first hints of a stage that come."""
    reader = bus.hints(stage, 100)
    async with asyncio.timeout(60):
        while not (hints := await reader.fetch(10)):
            pass
    return hints
