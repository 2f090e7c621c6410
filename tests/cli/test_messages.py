"""A message is shown with the atoms that rest on it, however they come."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from winnow.extractor.v1 import extractor_pb2, extractor_pb2_grpc
from winnow.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from winnow.pipeline.v1 import pipeline_pb2, pipeline_pb2_grpc
from winnow.types.v1 import types_pb2 as types

MESSAGE = "01a226fa-f599-7a01-a38f-598805862fdc"
OLDER, GONE, NEWER = (f"01a226fa-f599-7a01-a38f-00000000000{digit}" for digit in (1, 2, 3))


class Services(
    ingest_pb2_grpc.IngestServiceServicer,
    pipeline_pb2_grpc.PipelineServiceServicer,
    extractor_pb2_grpc.ExtractorServiceServicer,
):
    """Know a message that three atoms cited, one of which is gone by the time that it is asked for."""

    async def GetMessage(self, request: Any, context: Any) -> ingest_pb2.GetMessageResponse:
        """The message."""
        return ingest_pb2.GetMessageResponse(message=types.Message(id=MESSAGE))

    async def GetMessageState(
        self, request: Any, context: Any
    ) -> pipeline_pb2.GetMessageStateResponse:
        """What rests on it."""
        return pipeline_pb2.GetMessageStateResponse(atom_ids=[OLDER, GONE, NEWER])

    async def ListAtoms(
        self, request: extractor_pb2.ListAtomsRequest, context: Any
    ) -> extractor_pb2.ListAtomsResponse:
        """One a page, the newest first, as where they are large."""
        assert list(request.atom_ids) == [OLDER, GONE, NEWER]
        identity, token = (OLDER, "") if request.page_token else (NEWER, "next")
        atoms = [types.Atom(id=identity, title=f"atom {identity}")]
        return extractor_pb2.ListAtomsResponse(atoms=atoms, next_page_token=token)


async def test_what_is_gone_meanwhile_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reading replaces between two calls is left out, and the message and its other atoms are shown in order."""
    server, services = grpc.aio.server(), Services()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(services, server)  # type: ignore[no-untyped-call]
    pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(services, server)  # type: ignore[no-untyped-call]
    extractor_pb2_grpc.add_ExtractorServiceServicer_to_server(services, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    for name in ("INGEST", "EXTRACTOR"):
        monkeypatch.setenv(f"WINNOW_{name}_ADDRESS", f"127.0.0.1:{port}")
    command = ["messages", "show", MESSAGE, "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, winnow, command)
    await server.stop(None)
    assert result.exit_code == 0, result.output
    assert [atom["id"] for atom in json.loads(result.stdout)["atoms"]] == [OLDER, NEWER]
