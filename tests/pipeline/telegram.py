"""Telegram's API, as far as a bot of fifty lines uses it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

from tests.servers import answering

POLL_SECONDS = 0.1


@dataclass
class Chats:
    """What was said to a bot, and by it."""

    updates: list[dict[str, Any]]
    sent: list[dict[str, Any]] = field(default_factory=list)

    def heard(self, count: int, seconds: float = 60) -> None:
        """Wait until the bot has said so much."""
        end = time.monotonic() + seconds
        while len(self.sent) < count:
            assert time.monotonic() < end, self.sent
            time.sleep(POLL_SECONDS)


class Handler(BaseHTTPRequestHandler):
    """One call of the bot."""

    chats: ClassVar[Chats]

    def do_GET(self) -> None:
        """Give all updates from an offset on; without any, let the bot wait a little."""
        offset = int(self.path.partition("offset=")[2].partition("&")[0])
        found = [each for each in self.chats.updates if each["update_id"] >= offset]
        if not found:
            time.sleep(POLL_SECONDS)
        self._reply(found)

    def do_POST(self) -> None:
        """Keep what the bot says."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply({})
        self.chats.sent.append(json.loads(body))

    def _reply(self, result: Any) -> None:
        body = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def telegram(*updates: dict[str, Any]) -> Iterator[tuple[str, Chats]]:
    """Serve chats in which something was said, and yield where and the chats."""
    chats = Chats(list(updates))
    server = HTTPServer(("127.0.0.1", 0), type("Served", (Handler,), {"chats": chats}))
    with answering(server):
        yield f"http://127.0.0.1:{server.server_port}", chats


def update(number: int, text: str) -> dict[str, Any]:
    """A message in a group, as Telegram tells of it."""
    said = {
        "message_id": number, "date": 1_780_000_000 + number, "text": text,
        "from": {"id": 7, "first_name": "Ann"}, "chat": {"id": -100, "title": "Ops"},
    }  # fmt: skip
    return {"update_id": number, "message": said}
