"""`winnow validate` where there is nothing to validate."""

import asyncio
import http.server
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import Ports
from services.cli.embedded.runtime import running_state
from services.cli.validation import meters
from services.cli.validation.conversation import sample
from services.common.errors import WinnowError
from services.extractor.service import ExtractorSettings
from services.ingest.saving import FRESH_AGE
from tests.servers import answering


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as a proxy would."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a page that is no metrics."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Page)
    with answering(server):
        yield f"http://127.0.0.1:{server.server_port}/"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_INGEST_ADDRESS", "127.0.0.1:1")


def test_a_deployment_that_is_not_there_is_told_at_once() -> None:
    """Where nobody listens the check ends, and says so, instead of waiting for ever."""
    result = CliRunner().invoke(winnow, ["validate"])
    assert result.exit_code == 3
    assert "cannot reach Winnow" in result.output


def test_a_page_without_metrics_is_named(page: str) -> None:
    """An address that answers with something else is told before anything is sent."""
    result = CliRunner().invoke(winnow, ["validate", "--metrics", page])
    assert result.exit_code == 1
    assert f"--metrics: what {page} shows are no metrics" in result.output


@pytest.mark.parametrize(
    "typed",
    ["", "http://[::1", "ftp://db:1/metrics", "127.0.0.1:9464", "http://db:99999/", "http://"],
)
def test_what_is_no_address_of_metrics_is_refused(typed: str) -> None:
    """A misspelt address is not taken for a process that has no metrics."""
    result = CliRunner().invoke(winnow, ["validate", "--metrics", typed])
    assert result.exit_code == 2
    assert f"'--metrics': {typed!r} is no address like http://" in result.stderr


async def test_who_speaks_no_http_shows_no_metrics() -> None:
    """An address of something else, such as a service's own, ends the check with a line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"\0\0\x12\4 what?\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        page = "http://{}:{}/metrics".format(*server.sockets[0].getsockname())
        with pytest.raises(WinnowError, match=f"{page} shows are no metrics"):
            await meters.read([page])


async def test_no_proxy_is_asked_for_metrics_of_this_machine(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has a proxy in the environment is told of the metrics all the same: nothing was said of them."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(WinnowError, match="are no metrics"):
        await meters.read([page])


def test_metrics_are_read_where_what_runs_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another terminal need not know with which setting `winnow up` was started; what is given counts first."""
    monkeypatch.setenv("WINNOW_METRICS_ADDRESS", "0.0.0.0:19464")
    data = DataDirectory(tmp_path)
    state = running_state(data, Ports())
    monkeypatch.delenv("WINNOW_METRICS_ADDRESS")
    first, *_, last = meters.urls((), state)
    assert (first, last) == ("http://127.0.0.1:19464/metrics", "http://127.0.0.1:19467/metrics")
    assert meters.urls(("http://db:1/metrics",), state) == ["http://db:1/metrics"]
    assert meters.urls((), running_state(data, Ports())) == meters.urls(()) == []


def test_what_is_sent_is_fresh() -> None:
    """What is stored and asked for must be as new as what people write: history waits behind a whole import.

    Yet the conversation must be over, or a timer of what was erased would be left.
    """
    messages, _ = sample()
    newest = max(message.sent_at.ToDatetime(UTC) for message in messages)
    idle = timedelta(seconds=ExtractorSettings.model_fields["window_idle_seconds"].default)
    assert idle < datetime.now(UTC) - newest < 0.75 * FRESH_AGE
