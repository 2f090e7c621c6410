"""A double of the Telegram Bot API over real HTTP: it keeps updates until they are confirmed."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import free_port
from tests.servers import answering

TOKEN = "123456789:AAE-double_of_a_token_0123456789abc"
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
DEFAULT_KINDS = frozenset(("message", "edited_message", "channel_post", "edited_channel_post"))


@dataclass
class Injected:
    """An answer to give in place of the true one; None as status cuts the connection."""

    status: int | None
    body: bytes = b""


@dataclass
class BotApiDouble:
    """The state of one bot at Telegram; all access is under `changed`."""

    root: str
    changed: threading.Condition = field(default_factory=threading.Condition)
    updates: list[dict[str, Any]] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    webhook: dict[str, Any] = field(default_factory=dict)
    me: dict[str, Any] = field(
        default_factory=lambda: {
            "id": 123456789,
            "is_bot": True,
            "username": "double",
            "can_read_all_group_messages": True,
        }
    )
    allowed: frozenset[str] = DEFAULT_KINDS
    served: int = 0
    closing: bool = False
    _next_id: int = 1000
    _poll: int = 0

    def add(self, **content: Any) -> dict[str, Any]:
        """Something happens: keep it as an update, unless the bot did not ask for its kind."""
        with self.changed:
            self._next_id += 1
            update = {"update_id": self._next_id, **content}
            if self.allowed & content.keys():
                self.updates.append(update)
            self.changed.notify_all()
            return update

    def inject(self, status: int | None, **reply: Any) -> None:
        """Answer the next call so, once."""
        with self.changed:
            self.injected.append(Injected(status, json.dumps({"ok": False} | reply).encode()))

    def wait_until(self, what: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until a condition of the state holds."""
        with self.changed:
            assert self.changed.wait_for(what, seconds)

    def confirmed(self) -> bool:
        """Whether the bot has confirmed all there was."""
        return not self.updates

    def answer(self, method: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """What the API says to a call."""
        handlers = {
            "getMe": self._get_me,
            "getUpdates": self._get_updates,
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
        }
        if method not in handlers:
            return _error(404, "Not Found: method not found")
        return handlers[method](parameters)

    def _get_me(self, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"ok": True, "result": self.me}

    def _set_webhook(self, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if not parameters["url"].startswith("https://"):
            return _error(
                400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
            )
        self.webhook = parameters
        return 200, {"ok": True, "result": True}

    def _delete_webhook(self, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.webhook = {}
        return 200, {"ok": True, "result": True}

    def _get_updates(self, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.webhook:
            return _error(409, "Conflict: can't use getUpdates method while webhook is active")
        self._poll += 1
        mine = self._poll
        self.changed.notify_all()
        if parameters.get("allowed_updates"):
            self.allowed = frozenset(parameters["allowed_updates"])
        offset, limit = parameters.get("offset", 0), parameters.get("limit", 100)
        self.updates[:] = [each for each in self.updates if each["update_id"] >= offset]
        self.changed.notify_all()
        end = time.monotonic() + parameters.get("timeout", 0)
        while not self.updates and not self.closing and self._poll == mine:
            left = end - time.monotonic()
            if left <= 0 or not self.changed.wait(left):
                break
        if self._poll != mine:
            return _error(409, "Conflict: terminated by other getUpdates request")
        self.served += len(self.updates[:limit])
        self.changed.notify_all()
        return 200, {"ok": True, "result": self.updates[:limit]}


def _error(code: int, description: str) -> tuple[int, dict[str, Any]]:
    return code, {"ok": False, "error_code": code, "description": description}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: BotApiDouble

    def do_POST(self) -> None:
        """Answer one call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match = re.fullmatch(r"/bot([^/]+)/(\w+)", self.path)
        if match is None or ":" not in match[1]:
            return self._reply(404, json.dumps(_error(404, "Not Found")[1]).encode())
        if match[1] != TOKEN:
            return self._reply(401, json.dumps(_error(401, "Unauthorized")[1]).encode())
        double = self.double
        with double.changed:
            parameters = json.loads(body)
            double.calls.append((match[2], parameters))
            double.changed.notify_all()
            if double.injected:
                injected = double.injected.pop(0)
                if injected.status is None:
                    self.close_connection = True
                    return None
                return self._reply(injected.status, injected.body)
            status, reply = double.answer(match[2], parameters)
        return self._reply(status, json.dumps(reply).encode())

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        """A bot that was killed leaves a broken connection, which is no error."""


@contextmanager
def bot_api() -> Iterator[BotApiDouble]:
    """Run the double on a free port."""
    server = _Server(("127.0.0.1", free_port()), _Handler)
    double = BotApiDouble(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"double": double})
    with answering(server):
        try:
            yield double
        finally:
            with double.changed:
                double.closing = True
                double.changed.notify_all()


def push(url: str, update: Any, *secrets: str, method: str = "POST", **headers: str) -> int:
    """Push an update to a webhook as Telegram does; the status of the answer."""
    parts = urlsplit(url)
    body = update if isinstance(update, bytes) else json.dumps(update).encode()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.putrequest(method, parts.path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    for secret in secrets:
        connection.putheader(SECRET_HEADER, secret)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status
