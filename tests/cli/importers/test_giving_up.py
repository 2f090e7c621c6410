"""An import that gives up: it says what happened, how much is saved, and what to do."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from services.cli import sending
from services.cli.app import winnow
from services.common.errors import DatabaseUnavailable, InsufficientScope, InvalidCredentials
from services.common.statuses import status_of
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc

GOES_ON = "500 messages are saved; the same command again goes on: what is saved is not saved twice"


class Failing(ingest_pb2_grpc.IngestServiceServicer):
    """Acknowledges so many frames, and then only fails."""

    def __init__(self, frames: int, error: Exception | None) -> None:
        self.frames, self.error = frames, error

    async def StreamMessages(
        self, requests: AsyncIterator[pb.StreamMessagesRequest], context: Any
    ) -> AsyncIterator[pb.StreamMessagesResponse]:
        """Take what there is room for, and fail once all is read: gRPC tells no status where a write fails."""
        async for request in requests:
            if self.frames:
                self.frames -= 1
                yield pb.StreamMessagesResponse(
                    sequence=request.sequence, created=len(request.messages)
                )
        await self._fail(context)

    async def _fail(self, context: Any) -> None:
        if self.error is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        else:
            status = status_of(self.error, "request")[0]
            code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
            details = ("grpc-status-details-bin", status.SerializeToString())
            await context.abort(code, status.message, (details,))


async def imported(
    service: Failing, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> Result:
    """What the import of a thousand messages into a service ends with."""
    server = grpc.aio.server()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    for name in ("WAIT_SECONDS", "WAIT_SECONDS_UNSEEN"):
        monkeypatch.setattr(sending, name, 0)
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_INGEST_ADDRESS", f"127.0.0.1:{port}")
    file = folder / "talk.jsonl"
    rows = ({"id": n, "text": "hi", "sent_at": 10**9} for n in range(1000))
    file.write_text("\n".join(map(json.dumps, rows)))
    command = ["import", "jsonl", str(file), *options]
    result = await asyncio.to_thread(CliRunner().invoke, winnow, command)
    await server.stop(None)
    return result


@pytest.mark.timeout(50)
@pytest.mark.parametrize(
    ("error", "code", "why"),
    [
        (None, 3, "cannot reach Winnow"),
        (DatabaseUnavailable("the database cannot be reached"), 3, "the database cannot be"),
        (InvalidCredentials(), 1, "the API key is not accepted"),
    ],
)
async def test_it_says_how_much_is_saved(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    code: int,
    why: str,
) -> None:
    """Whatever ends an import, the user learns what is saved and that the same command goes on."""
    ended = await imported(Failing(2, error), tmp_path, monkeypatch)
    assert (ended.exit_code, ended.stdout) == (
        code,
        "talk.jsonl: 500 new, 0 changed, 0 unchanged, 0 rejected — not all of it\n",
    )
    assert why in ended.stderr
    assert ended.stderr.endswith(f"; {GOES_ON}\n")


@pytest.mark.timeout(50)
async def test_a_program_learns_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the counts are there as well, and why the import ended."""
    ended = await imported(Failing(2, None), tmp_path, monkeypatch, "--json")
    report = json.loads(ended.stdout)
    assert (ended.exit_code, report["created"]) == (3, 500)
    assert report["failure"].endswith(GOES_ON)


@pytest.mark.timeout(50)
async def test_nothing_saved_is_told_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was taken no counts are told, and nobody wonders whether some of it was."""
    ended = await imported(Failing(0, None), tmp_path, monkeypatch)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.endswith(
        "; nothing is known to be saved yet: give the same command again\n"
    )


@pytest.mark.timeout(50)
async def test_what_will_not_pass_is_not_to_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose key is refused must not be told to give the same command again."""
    ended = await imported(Failing(0, InsufficientScope("ingest")), tmp_path, monkeypatch)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.endswith("scope `ingest`; nothing is known to be saved yet\n")


@pytest.mark.timeout(100)
async def test_an_interrupt_does_not_wait_for_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C ends an import at once, though whoever writes what it reads is silent and does not end."""
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    command = (sys.executable, "-m", "services", "import", "jsonl", "-", "--data-dir")
    process = await asyncio.create_subprocess_exec(
        *command, str(tmp_path), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdin
    assert process.stderr
    # More than a pipe holds, and less than a frame: once it is written, somebody reads.
    process.stdin.write(b"\n" * (1 << 20))
    await process.stdin.drain()
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 130
    assert (await process.stderr.read()).decode().endswith("winnow: interrupted\n")
    process.stdin.close()
