"""`winnow validate` leaves nothing of its own behind, however it ends."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health, health_pb2_grpc
from rich.console import Console

from services.cli.app import winnow
from services.cli.embedded.paths import DataDirectory
from services.cli.options import Session
from services.cli.target import Target
from services.cli.validation import command, conversation
from services.cli.validation.conversation import Conversation
from services.common.addresses import NAMES
from services.common.auth import mint_key, store_key
from tests import forked
from tests.conftest import Deployment, run_winnow
from winnow.extractor.v1 import extractor_pb2, extractor_pb2_grpc
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc
from winnow.pipeline.v1 import pipeline_pb2, pipeline_pb2_grpc
from winnow.search.v1 import search_pb2, search_pb2_grpc
from winnow.types.v1 import types_pb2


async def test_a_key_that_may_not_erase_stores_nothing(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who could not take away what the check stores is told so before it stores anything."""
    key = mint_key()
    await store_key(deployment.admin, "test", "writer", key, ("ingest", "read"))
    monkeypatch.setenv("WINNOW_API_KEY", key.text)
    asked = ("validate", "--data-dir", str(tmp_path))
    async with deployment.serving("ingest"):
        ended = await asyncio.to_thread(run_winnow, *asked)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "admin" in ended.stderr
    assert await deployment.admin.fetchval("select count(*) from ingest.message") == 0


class Unsteady(ingest_pb2_grpc.IngestServiceServicer):
    """Stores one source, and is away for one look at it and for the first calls that erase it."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.source: pb.SourceRef | None = None
        self.stored, self.asked, self.may_erase = (asyncio.Event() for _ in range(3))
        self.may_erase.set()
        self.erased: list[str] = []

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Any
    ) -> pb.ListOperationsResponse:
        """Let everybody in."""
        return pb.ListOperationsResponse()

    async def IngestMessages(
        self, request: pb.IngestMessagesRequest, context: Any
    ) -> pb.IngestMessagesResponse:
        """Take what comes."""
        self.source = request.source
        self.stored.set()
        return pb.IngestMessagesResponse()

    async def ListSources(
        self, request: pb.ListSourcesRequest, context: Any
    ) -> pb.ListSourcesResponse:
        """Name the source, but for the first time that it is there."""
        if self.source is None:
            return pb.ListSourcesResponse()
        await self._be_away(context)
        return pb.ListSourcesResponse(
            sources=[pb.Source(id="1", external_id=self.source.external_id)]
        )

    async def EraseSource(
        self, request: pb.EraseSourceRequest, context: Any
    ) -> pb.EraseSourceResponse:
        """Erase at once."""
        await self._be_away(context)
        self.asked.set()
        await self.may_erase.wait()
        self.erased.append(request.source_id)
        return pb.EraseSourceResponse()

    async def _be_away(self, context: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


class WithoutEmbedder(
    Unsteady,
    search_pb2_grpc.SearchServiceServicer,
    extractor_pb2_grpc.ExtractorServiceServicer,
    pipeline_pb2_grpc.PipelineServiceServicer,
):
    """What the four services say while the embedder is away: nothing is found by meaning, and one vector is missing."""

    async def Search(self, request: search_pb2.SearchRequest, context: Any) -> None:
        """Fail as search does."""
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the embedder does not answer")

    async def ExtractNow(
        self, request: extractor_pb2.ExtractNowRequest, context: Any
    ) -> extractor_pb2.ExtractNowResponse:
        """Read at once."""
        return extractor_pb2.ExtractNowResponse()

    async def ListAtoms(
        self, request: extractor_pb2.ListAtomsRequest, context: Any
    ) -> extractor_pb2.ListAtomsResponse:
        """Have one."""
        atom = types_pb2.Atom(evidence=[types_pb2.Evidence(quote="expired")])
        return extractor_pb2.ListAtomsResponse(atoms=[atom])

    async def GetStatus(
        self, request: pipeline_pb2.GetStatusRequest, context: Any
    ) -> pipeline_pb2.GetStatusResponse:
        """Tell what is missing."""
        return pipeline_pb2.GetStatusResponse(vectors_missing=1)


async def test_a_service_that_is_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a call fails the report says which part and why, and goes on to whatever else is wrong."""
    async with _serving(WithoutEmbedder(refusals=0)) as target:
        monkeypatch.setenv("WINNOW_API_KEY", "key")
        for name in NAMES:
            monkeypatch.setenv(f"WINNOW_{name.upper()}_ADDRESS", target.addresses["ingest"])
        ended = await asyncio.to_thread(forked.winnow, "validate", "--json", "--patience", "0.2")
    assert ended.returncode == 1
    found = json.loads(ended.stdout)["findings"]
    failed = {(each["section"], each["value"]) for each in found if each["ok"] is False}
    away = "the embedder does not answer (UNAVAILABLE)"
    assert ("integration", f"not found within 0 s: {away}") in failed
    assert {("search", away), ("performance", away), ("reconciliation", "1")} <= failed
    assert any(each["name"] == "atoms" and each["ok"] for each in found)


async def test_a_service_that_cannot_be_reached_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a service stays away nothing is stored, which could not be erased, and nothing is waited for."""
    monkeypatch.setattr(command, "STARTING_SECONDS", 0)
    service = WithoutEmbedder(refusals=0)
    async with _serving(service) as target:
        monkeypatch.setenv("WINNOW_API_KEY", "key")
        for name in NAMES:
            monkeypatch.setenv(f"WINNOW_{name.upper()}_ADDRESS", target.addresses["ingest"])
        monkeypatch.setenv("WINNOW_EMBEDDER_ADDRESS", "127.0.0.1:1")
        asked = ["validate", "--json", "--patience", "1000000"]
        ended = await asyncio.to_thread(CliRunner().invoke, winnow, asked)
    assert (ended.exit_code, service.source) == (1, None)
    found = json.loads(ended.stdout)["findings"]
    failed = {each["name"]: each["value"] for each in found if each["ok"] is False}
    assert failed.keys() == {"embedder", "vectors missing"}
    assert failed["embedder"].startswith("cannot be reached: ")


async def test_a_service_that_is_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that is begun while the last service starts is no failure of that one."""
    asked: list[str] = []

    async def why_away(session: Session, name: str) -> str:
        asked.append(name)
        return "cannot be reached: refused" if asked.count(name) < 3 and name == "embedder" else ""

    monkeypatch.setattr(command, "_why_away", why_away)
    monkeypatch.setattr(command, "AGAIN_SECONDS", 0)
    session = Session(DataDirectory(Path()), False, Console(), Console())
    assert await command._away(session, 1e9) == []
    assert sorted(asked) == ["embedder", "embedder", "embedder", "extractor", "ingest", "search"]


@asynccontextmanager
async def _serving(service: Unsteady) -> AsyncIterator[Target]:
    server = grpc.aio.server()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    if isinstance(service, WithoutEmbedder):
        search_pb2_grpc.add_SearchServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        extractor_pb2_grpc.add_ExtractorServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Target({"ingest": f"127.0.0.1:{port}"}, "key")
    finally:
        await server.stop(None)


async def _checked(service: Unsteady) -> list[str]:
    """What is told by a check whose first look at its source fails."""
    told: list[str] = []
    async with _serving(service) as target:
        with pytest.raises(grpc.aio.AioRpcError):
            async with Conversation.open(target, told.append):
                pass
    return told


@pytest.mark.timeout(30)
async def test_a_check_that_fails_at_once_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored is erased also if nothing but that is known, and as soon as the service is back."""
    monkeypatch.setattr(conversation, "AGAIN_SECONDS", 0)
    service = Unsteady(refusals=4)
    assert await _checked(service) == []
    assert service.erased == ["1"]


@pytest.mark.timeout(30)
async def test_what_is_left_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the service stays away, the user learns what is left and which command takes it away."""
    monkeypatch.setattr(conversation, "ERASING_SECONDS", 0)
    (told,) = await _checked(Unsteady(refusals=100))
    assert "going away" in told
    assert "`winnow erase source" in told


@pytest.mark.timeout(30)
async def test_an_interrupt_does_not_stop_the_erasing() -> None:
    """Ctrl-C while what was stored is being erased ends the check once that is done."""
    service = Unsteady(refusals=0)
    service.may_erase.clear()

    async def check(target: Target) -> None:
        async with Conversation.open(target, lambda line: None):
            pass

    async with _serving(service) as target:
        checking = asyncio.create_task(check(target))
        await service.asked.wait()
        checking.cancel()
        await asyncio.sleep(0)
        service.may_erase.set()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert service.erased == ["1"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_check_that_is_told_to_stop_is_erased(number: signal.Signals) -> None:
    """Who gives the check up, however often they say so, leaves nothing of it in anybody's chats."""
    service = WithoutEmbedder(refusals=0)
    service.may_erase.clear()
    async with _serving(service) as target:
        places = {f"WINNOW_{name.upper()}_ADDRESS": target.addresses["ingest"] for name in NAMES}
        # Whoever began the tests may have it ignored, as nohup does; then the check ignores it, too.
        kept = signal.signal(number, signal.SIG_DFL)
        try:
            checking = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services", "validate"),
                env=os.environ | places | {"WINNOW_API_KEY": "key"},
                stderr=asyncio.subprocess.PIPE,
            )
        finally:
            signal.signal(number, kept)
        await service.stored.wait()
        checking.send_signal(number)
        await service.asked.wait()
        checking.send_signal(number)
        with suppress(TimeoutError):  # which nothing but the end of the process would cut short
            await asyncio.wait_for(checking.wait(), 1)
        service.may_erase.set()
        _, said = await checking.communicate()
    assert (checking.returncode, service.erased) == (130, ["1"]), said.decode()
