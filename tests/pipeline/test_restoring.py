"""A dump taken while work is under way, restored into an empty cluster with an empty NATS, goes on and ends whole."""

import asyncio
import subprocess
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.top import MUST_BE_ZERO
from services.common.bootstrap import SHARED_LOGIN, open_logins
from services.common.migrations import migrate
from tests.conftest import PASSWORD, Deployment, free_port
from tests.servers import BIN, nats_server, postgres
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

MESSAGES = 200


def conversation() -> ingest.IngestMessagesRequest:
    """A conversation of yesterday."""
    began = datetime.now(UTC) - timedelta(days=1)
    messages = []
    for number in range(MESSAGES):
        sent_at = Timestamp()
        sent_at.FromDatetime(began + timedelta(seconds=20 * number))
        text = f"The build of branch {number} failed: test {number * 7} runs out of memory on node {number % 9}."
        messages.append(ingest.MessageInput(external_id=str(number), text=text, sent_at=sent_at))
    source = ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id="builds")
    return ingest.IngestMessagesRequest(source=source, messages=messages)


async def run(*command: object) -> None:
    """Run one of PostgreSQL's programs beside the loop."""
    await asyncio.to_thread(subprocess.run, [str(part) for part in command], check=True)


async def work_begins(deployment: Deployment) -> None:
    """Store the conversation, and embed a part of it."""
    async with deployment.serving("ingest") as channel:
        stub = IngestServiceStub(channel)
        await stub.IngestMessages(conversation(), metadata=deployment.metadata)
        async with deployment.serving("embedder"), asyncio.timeout(90):
            while True:
                if await deployment.admin.fetchval("select count(*) from embedder.vector"):
                    return
                await asyncio.sleep(0.02)


async def restore(dump: Path, server: str) -> str:
    """Restore as the guide says: roles by migrating an empty database, then the dump into a new one."""
    await run(BIN / "createdb", "--maintenance-db", f"{server}/postgres", "scratch")
    await migrate(f"{server}/scratch")
    await open_logins(f"{server}/scratch", {SHARED_LOGIN: PASSWORD})
    await run(BIN / "createdb", "--maintenance-db", f"{server}/postgres", "winnow")
    await run(BIN / "pg_restore", "--exit-on-error", "--dbname", f"{server}/winnow", dump)
    return f"{server}/winnow"


async def settled(channels: Sequence[object], deployment: Deployment) -> pb.GetStatusResponse:
    """Wait until nothing is left to do."""
    stub = PipelineServiceStub(channels[-1])  # type: ignore[arg-type]
    async with asyncio.timeout(110):
        while True:
            state = await stub.GetStatus(pb.GetStatusRequest(), metadata=deployment.metadata)
            busy = sum(stage.ready + stage.leased + stage.scheduled for stage in state.stages)
            if not busy and not state.vectors_missing:
                return state
            await asyncio.sleep(0.3)


@pytest.mark.models
@pytest.mark.timeout(240)
async def test_a_restored_dump_goes_on(
    deployment: Deployment, database_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the restore every message has its vector and its window, rows equal vectors, and every gauge is 0."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    await work_begins(deployment)
    await run(BIN / "pg_dump", "--format", "custom", "--file", scratch / "dump", database_url)
    with postgres(free_port(), PASSWORD) as server, nats_server(free_port()) as nats:
        restored = await restore(scratch / "dump", server)
        owner = await asyncpg.connect(restored)
        unfinished = await owner.fetchval("select count(*) from spine.task where state <> 'done'")
        monkeypatch.setenv("WINNOW_DATABASE_URL", restored.replace("postgres:", "winnow_app:", 1))
        monkeypatch.setenv("WINNOW_NATS_URL", nats)
        async with AsyncExitStack() as stack:
            names = ("embedder", "extractor", "ingest", "search")
            channels = [await stack.enter_async_context(deployment.serving(n)) for n in names]
            state = await settled(channels, deployment)
        await owner.close()
    assert unfinished > 0
    assert state.messages == MESSAGES
    assert state.vectors == state.messages + state.atoms + state.topics
    assert state.atoms > 0
    assert {name: getattr(state, name) for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
