"""The service dies while it moves a source: all is as it was, or as it is to be, and the same call again ends it."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from services.common.channels import CHANNEL_OPTIONS
from services.common.failpoints import POINTS
from tests.conftest import Deployment
from tests.faults.replicas import Replica
from tests.faults.test_erasing import SAID, ended
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub

COUNT = 5_000
MOVES = (("move.renumbered", False), ("move.moved", False), ("move.committed", True))
STATE = """
    select s.external_id, count(*), count(*) filter (where m.external_id like '-%'),
      (select count(*) from ingest.former_source) as former
    from ingest.source s join ingest.message m on m.source_id = s.id group by s.external_id"""


@pytest.fixture
def replica(deployment: Deployment, scratch: Path) -> Iterator[Replica]:
    """A process of ingest; nothing of it is left in the end."""
    made = Replica("ingest-a", dict(os.environ), scratch / "log")
    yield made
    made.end()


async def move(deployment: Deployment) -> int:
    """Ask for the source to be moved, once the service is there; return how many messages were renumbered."""
    address = deployment.address("ingest")
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
        request = pb.MoveSourceRequest(
            source=pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id="room"),
            external_id="hall",
            number_shift=-1_000_000_000,
        )
        reply = await IngestServiceStub(channel).MoveSource(request, metadata=deployment.metadata)
        return reply.renumbered


@pytest.mark.timeout(300)
async def test_no_death_of_the_service_leaves_a_source_half_moved(
    deployment: Deployment, replica: Replica
) -> None:
    """Killed before the commit it has moved nothing, killed after it everything; repeated it says so."""
    assert {point for point in POINTS if point.startswith("move.")} == {name for name, _ in MOVES}
    admin, workspace = deployment.admin, deployment.workspace
    source = await admin.fetchval(
        "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'room') returning id",
        workspace,
    )
    await admin.execute(SAID, workspace, source, COUNT)
    for point, is_moved in MOVES:
        replica.start(f"{point}=crash@1")
        with pytest.raises(grpc.aio.AioRpcError):
            await move(deployment)
        await ended(replica)
        moved = ("hall", COUNT, COUNT, 1)
        assert tuple(await admin.fetchrow(STATE)) == (moved if is_moved else ("room", COUNT, 0, 0))
    replica.start()
    assert await move(deployment) == 0
    assert tuple(await admin.fetchrow(STATE)) == moved
