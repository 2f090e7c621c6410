"""The service dies or is stopped, again and again, while it erases a source in chunks; another one goes on."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import pytest

from services.common.channels import CHANNEL_OPTIONS
from services.common.failpoints import POINTS
from services.ingest.erasing import CHUNK_MESSAGES, INLINE_MESSAGES_MAX
from tests.conftest import Deployment
from tests.faults.replicas import Replica
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

CHUNKS = 9
COUNT = CHUNKS * CHUNK_MESSAGES - 7
# Some of these let a chunk be erased before they strike; all together fewer than there are.
CRASHES = (
    "erase.taken=crash@2",
    "erase.erased=crash@1",
    "erase.followed=crash@2",
    "worker.written:erase=crash@1",
    "worker.committed:erase=crash@2",
)
SAID = """insert into ingest.message (workspace_id, source_id, id, external_id, author_external_id, text, sent_at,
    content_sha256, text_sha256, importance_score, importance_label, importance_factors, importance_version)
  select $1, $2, uuidv7(), n::text, 'ann', 'secret ' || n, now(), sha256(n::text::bytea), sha256(n::text::bytea), 0.1,
    'noise', '{}', '1' from generate_series(1, $3::int) n"""
LEFT = "select count(*) from ingest.message where text <> '' or author_external_id <> ''"


@pytest.fixture
def replica(deployment: Deployment, scratch: Path) -> Iterator[Replica]:
    """A process of ingest, whose leases and hints are taken over soon; nothing of it is left in the end."""
    settings = {
        "WINNOW_TASK_LEASE_SECONDS": "0.5",
        "WINNOW_NATS_ACK_WAIT_SECONDS": "0.5",
        "WINNOW_TASK_ATTEMPTS_MAX": "20",
    }
    made = Replica("ingest-a", {**os.environ, **settings}, scratch / "log")
    yield made
    made.end()


async def call(deployment: Deployment, source: UUID, request_id: UUID) -> pb.Operation:
    """Ask for the source to be erased, once the service is there."""
    address = deployment.address("ingest")
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
        request = pb.EraseSourceRequest(source_id=str(source), request_id=str(request_id))
        reply = await IngestServiceStub(channel).EraseSource(request, metadata=deployment.metadata)
        return reply.operation


async def ended(replica: Replica) -> None:
    """Return once the process has ended by itself."""
    async with asyncio.timeout(60):
        while not replica.has_ended:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.timeout(600)
async def test_no_death_of_the_service_loses_or_repeats_a_chunk(
    deployment: Deployment, replica: Replica
) -> None:
    """A call that dies has asked for nothing; one that is answered ends, each message erased and followed once."""
    assert {point for point in POINTS if point.startswith("erase.")} == {
        "erase.written_down",
        *(order.partition("=")[0] for order in CRASHES if order.startswith("erase.")),
    }
    admin, workspace, request_id = deployment.admin, deployment.workspace, uuid4()
    source = await admin.fetchval(
        "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'room') returning id",
        workspace,
    )
    await admin.execute(SAID, workspace, source, COUNT)
    assert COUNT > INLINE_MESSAGES_MAX
    replica.start("erase.written_down=crash@1")
    with pytest.raises(grpc.aio.AioRpcError):
        await call(deployment, source, request_id)
    await ended(replica)
    assert not await admin.fetchval("select count(*) from ingest.operation")
    assert not await admin.fetchval("select count(*) from ingest.message_to_erase")
    for crash in CRASHES:
        replica.start(crash)
        if crash == CRASHES[0]:
            operation = await call(deployment, source, request_id)
        await ended(replica)
    # Stopped within a chunk, it ends that and takes no other.
    replica.start("erase.taken=stop@2")
    async with asyncio.timeout(60):
        while not replica.is_stopped:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    before = await admin.fetchval(LEFT)
    replica.send(signal.SIGTERM)
    replica.send(signal.SIGCONT)
    await ended(replica)
    assert before - CHUNK_MESSAGES <= await admin.fetchval(LEFT) < before
    assert await admin.fetchval(LEFT)
    replica.start()
    again = await call(deployment, source, request_id)
    assert again.id == operation.id
    async with asyncio.timeout(60):
        while await admin.fetchval(LEFT):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    chunks = await admin.fetch("select chunk, message_ids from ingest.erasure order by chunk")
    ids = await admin.fetch("select id from ingest.message order by id")
    assert [row["chunk"] for row in chunks] == list(range(CHUNKS))
    assert [each for row in chunks for each in row["message_ids"]] == [row["id"] for row in ids]
    for stage in ("erase_extractor", "erase_embedder"):
        query = "select count(*) from spine.task where stage = $1 and state = 'ready'"
        assert await admin.fetchval(query, stage) == CHUNKS
    assert not await admin.fetchval("select count(*) from ingest.message_to_erase")
