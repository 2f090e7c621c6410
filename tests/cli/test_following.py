"""`winnow follow` when the service goes: nothing that was shown is shown again, and nothing is missed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1 import extractor_pb2_grpc


class Ending(extractor_pb2_grpc.ExtractorServiceServicer):
    """Sends so many changes, and then ends or breaks off."""

    def __init__(self, changes: int, *, breaks: bool) -> None:
        self._changes, self._breaks = changes, breaks
        self.asked: list[pb.StreamKnowledgeRequest] = []

    async def StreamKnowledge(
        self, request: pb.StreamKnowledgeRequest, context: Any
    ) -> AsyncIterator[pb.StreamKnowledgeResponse]:
        """Tell from where on, if that is asked for, and of removals."""
        self.asked.append(request)
        if request.only_new:
            yield pb.StreamKnowledgeResponse(cursor="40")
        for number in range(self._changes):
            yield pb.StreamKnowledgeResponse(cursor=str(41 + number), removal=pb.Removal(id="a"))
        if self._breaks:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


async def followed(
    service: Ending, monkeypatch: pytest.MonkeyPatch, *options: str
) -> tuple[int, list[str]]:
    """The exit code of following a service, and the lines that are said."""
    server = grpc.aio.server()
    extractor_pb2_grpc.add_ExtractorServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_EXTRACTOR_ADDRESS", f"127.0.0.1:{port}")
    result = await asyncio.to_thread(CliRunner().invoke, winnow, ["follow", *options])
    await server.stop(None)
    return result.exit_code, result.output.splitlines()


@pytest.mark.parametrize(
    ("service", "options", "said"),
    [
        (Ending(2, breaks=False), (), "the service has stopped; go on with --cursor 42"),
        (Ending(2, breaks=True), (), "Socket closed (UNAVAILABLE); go on with --cursor 42"),
        (Ending(0, breaks=False), ("--cursor", "7"), "go on with --cursor 7"),
        (Ending(0, breaks=False), (), "has stopped; go on with --cursor 40"),
        (Ending(0, breaks=True), (), "(UNAVAILABLE); go on with --cursor 40"),
        (Ending(2, breaks=False), ("--all",), "go on with --cursor 42"),
        (Ending(0, breaks=False), ("--all",), "the service has stopped; start again"),
        (Ending(0, breaks=True), ("--all",), "cannot reach Winnow"),
    ],
)
async def test_it_is_said_where_to_go_on(
    service: Ending, options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the service stops or dies, the cursor of what was shown last is told, if anything was."""
    code, lines = await followed(service, monkeypatch, "--patience", "0", *options)
    assert code == 3
    assert said in lines[-1]


async def test_what_is_asked_for_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds and source are those of each call that goes on where one broke off."""
    service, source = Ending(2, breaks=False), "01a21a69-d42e-70ce-b63c-d11ad0805df1"
    options = ("--kind", "topics", "--source", source, "--limit", "3")
    code, _ = await followed(service, monkeypatch, *options)
    assert code == 0
    assert [(list(each.kinds), each.source_id) for each in service.asked] == [([3], source)] * 2


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), {"only_new": True}),
        (("--all",), {}),
        (("--cursor", "7"), {"cursor": "7"}),
        (("--since", "1970-01-01T00:00:09"), {"since": {"seconds": 9}}),
    ],
)
async def test_it_begins_with_what_comes(
    options: tuple[str, ...], asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known before is shown where that is asked for; what broke off goes on behind what was shown."""
    service = Ending(2, breaks=False)
    await followed(service, monkeypatch, "--limit", "3", *options)
    assert service.asked == [
        pb.StreamKnowledgeRequest(**asked),
        pb.StreamKnowledgeRequest(cursor="42"),
    ]


async def test_beginnings_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two beginnings neither is taken, nor an empty cursor, as a shell makes of a file with none, for none."""
    code, lines = await followed(Ending(0, breaks=False), monkeypatch, "--all", "--cursor", "7")
    assert (code, "exclude each other" in lines[-1]) == (2, True)
    code, lines = await followed(Ending(0, breaks=False), monkeypatch, "--cursor", "")
    assert (code, "--cursor is empty" in lines[-1]) == (2, True)


class Replaced(Ending):
    """Breaks off in the middle, once; then goes on behind the cursor that it is given."""

    async def StreamKnowledge(
        self, request: pb.StreamKnowledgeRequest, context: Any
    ) -> AsyncIterator[pb.StreamKnowledgeResponse]:
        """Tell of the removals behind the cursor."""
        after = int(request.cursor or 0)
        if request.only_new:
            yield pb.StreamKnowledgeResponse(cursor="0")
        for number in range(after + 1, after + 3):
            yield pb.StreamKnowledgeResponse(
                cursor=str(number), removal=pb.Removal(id=f"number {number}")
            )
        if not after:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


async def test_it_goes_on_when_the_service_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rolling update ends nobody's feed: what changed meanwhile is shown, and nothing is shown again."""
    code, lines = await followed(Replaced(0, breaks=True), monkeypatch, "--limit", "4")
    assert code == 0
    shown = [line.split()[-1] for line in lines if line.startswith("gone")]
    assert shown == ["1", "2", "3", "4"]
    assert "waiting for extractor" in " ".join(lines)
