"""The bot among the examples, where search gives it more than Telegram takes, or nothing at all."""

import runpy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.conftest import free_port
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1 import search_pb2_grpc

BOT = Path(__file__).resolve().parents[2] / "examples" / "telegram_bot.py"


class LongAnswers(search_pb2_grpc.SearchServiceServicer):
    """Finds three messages of the largest size."""

    def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        """Find them, unless the question is refused."""
        if len(request.query) > 1000:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "query: too long")
        response = pb.SearchResponse()
        for _ in range(3):
            response.results.add().message.text = "🙂" * 4096
        return response


@pytest.fixture
def long_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The search service that the bot is told of."""
    server, port = grpc.server(ThreadPoolExecutor(1)), free_port()
    search_pb2_grpc.add_SearchServiceServicer_to_server(LongAnswers(), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    monkeypatch.setenv("TELEGRAM_TOKEN", "1:a")
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_SEARCH_ADDRESS", f"127.0.0.1:{port}")
    yield
    server.stop(None)


@pytest.mark.usefixtures("long_answers")
def test_no_question_ends_the_bot() -> None:
    """An answer is as long as a message may be, and a refusal is an answer: otherwise the question would come again."""
    answer = runpy.run_path(str(BOT))["answer"]
    told = answer("what?")
    assert told.count("•") == 3
    assert len(told.encode("utf-16-le")) / 2 <= 4096
    assert answer("?" * 1001) == "No answer: query: too long"


@pytest.mark.usefixtures("long_answers")
def test_what_is_said_of_proxies_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a proxy in the environment gets no answer of this machine by it, and with `no_proxy` as without one."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert "No answer: " in runpy.run_path(str(BOT))["answer"]("what?")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "🙂" in runpy.run_path(str(BOT))["answer"]("what?")
