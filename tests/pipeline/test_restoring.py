"""A dump taken while work is under way, restored by the guide's lines into an empty cluster, goes on and ends whole."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.top import MUST_BE_ZERO
from services.common.addresses import NAMES
from tests.conftest import PASSWORD, Deployment, free_port
from tests.docs.shell import shell
from tests.servers import BIN, nats_server, postgres
from tools.guide import Block, run_by
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


def type_lines(blocks: list[Block], folder: Path, **variables: str) -> None:
    """Type the guide's lines, with PostgreSQL's programs of the release that the servers are of."""
    with shell(folder, PATH=f"{BIN}:{Path(sys.executable).parent}", **variables) as terminal:
        for line in (line for block in blocks for line in block.lines):
            terminal.run(line)


async def owned(server: str) -> str:
    """Make the login that the guide speaks of, and return the server's URL with it."""
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute(f"create role owner login superuser password '{PASSWORD}'")
    await connection.close()
    return server.replace("postgres:", "owner:", 1)


async def settled(channels: Sequence[object], deployment: Deployment) -> pb.GetStatusResponse:
    """Wait until nothing is left to do."""
    stub = PipelineServiceStub(channels[-1])  # type: ignore[arg-type]
    async with asyncio.timeout(200):
        while True:
            state = await stub.GetStatus(pb.GetStatusRequest(), metadata=deployment.metadata)
            busy = sum(stage.ready + stage.leased + stage.scheduled for stage in state.stages)
            if not busy and not state.vectors_missing:
                return state
            await asyncio.sleep(0.3)


@pytest.mark.models
@pytest.mark.timeout(300)
async def test_a_restored_dump_goes_on(
    deployment: Deployment, database_url: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the restore every message has its vector and its window, rows equal vectors, and every gauge is 0."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    await work_begins(deployment)
    (scratch / "passwords").mkdir()
    for name in NAMES:
        (scratch / "passwords" / name).write_text(PASSWORD)
    dump = {"WINNOW_ADMIN_DATABASE_URL": database_url}
    await asyncio.to_thread(type_lines, run_by("backup"), scratch, **dump)
    with postgres(free_port(), PASSWORD) as server, nats_server(free_port()) as nats:
        server_url = await owned(server)
        await asyncio.to_thread(type_lines, run_by("restore"), scratch, SERVER_URL=server_url)
        owner = await asyncpg.connect(f"{server_url}/winnow")
        unfinished = await owner.fetchval("select count(*) from spine.task where state <> 'done'")
        monkeypatch.setenv("WINNOW_NATS_URL", nats)
        async with AsyncExitStack() as stack:
            channels = []
            for name in NAMES:
                login = server_url.replace("owner:", f"winnow_{name}_app:", 1)
                monkeypatch.setenv("WINNOW_DATABASE_URL", f"{login}/winnow")
                channels.append(await stack.enter_async_context(deployment.serving(name)))
            state = await settled(channels, deployment)
        await owner.close()
    assert unfinished > 0
    assert state.messages == MESSAGES
    assert state.vectors == state.messages + state.atoms + state.topics
    assert state.atoms > 0
    assert {name: getattr(state, name) for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
