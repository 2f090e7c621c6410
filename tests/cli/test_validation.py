"""`winnow validate` where there is nothing to validate."""

import http.server
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from services.cli.app import winnow
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
