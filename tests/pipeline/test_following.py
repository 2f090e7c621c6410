"""One message can be followed from its call to the moment it can be searched, through all four services."""

import asyncio
import json
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from services.common.telemetry import JsonFormatter
from services.common.tracing import TraceSettings, is_on, span, traceparent, tracing
from tests.conftest import Deployment
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1 import pipeline_pb2 as pipeline
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub
from winnow.search.v1 import search_pb2 as search
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),)
STEPS = {
    "winnow.ingest.v1.IngestService/IngestMessages",
    "sql transaction",
    "hint window", "window", "window perform", "window commit",
    "hint extract", "extract", "extract perform", "engine extract", "extract commit",
    "hint embed", "embed", "embed perform", "model encode", "embed commit",
    "winnow.search.v1.SearchService/Search",
    "winnow.embedder.v1.EmbedderService/Embed",
}  # fmt: skip


def request(text: str) -> ingest.IngestMessagesRequest:
    """A message, said long enough ago that its conversation has ended."""
    sent_at = Timestamp()
    sent_at.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    message = ingest.MessageInput(external_id=text, text=text, sent_at=sent_at)
    source = ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id="chat")
    return ingest.IngestMessagesRequest(source=source, messages=[message])


async def settled(stub: PipelineServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
    """Wait until every task is done."""
    async with asyncio.timeout(60):
        while True:
            state = await stub.GetStatus(pipeline.GetStatusRequest(), metadata=metadata)
            if state.atoms and not any(s.ready + s.scheduled + s.leased for s in state.stages):
                return
            await asyncio.sleep(0.1)


@pytest.mark.models
async def test_one_message_is_followed_through_four_services(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Call, tasks, hints, models and SQL are steps of the caller's trace; a call that is not sampled leaves none."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    text = "The nightly backup failed because the disk of db-2 is full. I freed 40 GB and started it again."
    exporter = InMemorySpanExporter()
    async with AsyncExitStack() as stack:
        # Only the caller decides what is sampled.
        stack.enter_context(tracing(TraceSettings(traces_sampled_ratio=0), "test", exporter))
        channels = {
            name: await stack.enter_async_context(deployment.serving(name))
            for name in ("embedder", "extractor", "ingest", "search")
        }
        ingestion = IngestServiceStub(channels["ingest"])
        followed = (*deployment.metadata, *SAMPLED)
        await ingestion.IngestMessages(request(text), metadata=followed)
        await settled(PipelineServiceStub(channels["search"]), deployment.metadata)
        query = search.SearchRequest(query="why did the backup fail?")
        found = await SearchServiceStub(channels["search"]).Search(query, metadata=followed)
        count = await deployment.admin.fetchval("select count(*) from spine.task")
        told = await deployment.admin.fetchval("select count(traceparent) from spine.task")
        await ingestion.IngestMessages(request("silent"), metadata=deployment.metadata)
    assert found.results
    assert count == told
    untold = "select count(*) from spine.task where traceparent is null"
    assert await deployment.admin.fetchval(untold) > 0
    spans = exporter.get_finished_spans()
    assert {each.name for each in spans} >= STEPS
    assert {format_trace_id(each.context.trace_id) for each in spans} == {TRACE}
    known = {each.context.span_id for each in spans} | {int("00f067aa0ba902b7", 16)}
    assert all(each.parent is not None and each.parent.span_id in known for each in spans)


def test_without_an_endpoint_nothing_is_traced() -> None:
    """Off, a step is nothing, a task carries nothing, and no line of the logs speaks of traces."""
    with tracing(TraceSettings(), "test"):
        assert not is_on()
        with span("step") as step:
            assert step is None
            assert traceparent() == ""
    record = logging.LogRecord("a", logging.INFO, "", 0, "x", (), None)
    assert "trace_id" not in json.loads(JsonFormatter().format(record))
