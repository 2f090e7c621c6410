"""A small HTTP server that speaks the chat completions of OpenAI, and misbehaves when it is told to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers import answering

Handler = BaseHTTPRequestHandler
PROMPT_CHARACTERS_MAX = 20_000


def instance(schema: dict[str, Any]) -> Any:
    """The least value that a schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"]
    if kind == "object":
        return {name: instance(inner) for name, inner in schema["properties"].items()}
    if kind == "array":
        return [instance(schema["items"]) for _ in range(schema.get("minItems", 0))]
    return {"string": "word", "integer": schema.get("minimum", 0), "boolean": True}[kind]


@dataclass
class Provider:
    """What the server was asked, and how it behaves: the next of `plan`, else well."""

    url: str = ""
    plan: list[str] = field(default_factory=list)
    always: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], str | None] = lambda body: None
    released: threading.Event = field(default_factory=threading.Event)

    def respond(self, handler: Handler) -> None:
        """Answer one request."""
        length = int(handler.headers["content-length"])
        body = json.loads(handler.rfile.read(length))
        self.requests.append(body)
        self.keys.append(handler.headers["authorization"])
        behaviour = self.always or (self.plan.pop(0) if self.plan else "well")
        getattr(self, f"_{behaviour}")(handler, body)

    def _content(self, body: dict[str, Any]) -> str:
        wanted = body.get("response_format")
        text = self.answer(body)
        if text is None:
            text = json.dumps(instance(wanted["json_schema"]["schema"])) if wanted else "word " * 50
        return text

    def _well(self, handler: Handler, body: dict[str, Any]) -> None:
        if sum(len(message["content"]) for message in body["messages"]) > PROMPT_CHARACTERS_MAX:
            return self._send(handler, 400, b'{"error": {"message": "the context is too long"}}')
        words = self._content(body).split(" ")
        cut = len(words) > body["max_tokens"]
        text = " ".join(words[: body["max_tokens"]])
        return self._complete(handler, text, "length" if cut else "stop")

    def _complete(self, handler: Handler, text: str | None, reason: str = "stop") -> None:
        tokens = len(text.split(" ")) if text else 0
        answer = {
            "choices": [{"message": {"content": text}, "finish_reason": reason}],
            "usage": {"prompt_tokens": 7, "completion_tokens": tokens},
        }
        self._send(handler, 200, json.dumps(answer).encode())

    def _send(self, handler: Handler, status: int, answer: bytes, **headers: str) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(answer)

    def _busy(self, handler: Handler, body: dict[str, Any]) -> None:
        self._send(handler, 429, b"{}", Retry_After="1")

    def _broken(self, handler: Handler, body: dict[str, Any]) -> None:
        self._send(handler, 500, b"Traceback: secret")

    def _forbidden(self, handler: Handler, body: dict[str, Any]) -> None:
        self._send(handler, 401, b"your key sk-secret is wrong")

    def _hang(self, handler: Handler, body: dict[str, Any]) -> None:
        self.released.wait(30)

    def _drip(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not self.released.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    def _drop(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')

    def _truncated(self, handler: Handler, body: dict[str, Any]) -> None:
        self._complete(handler, self._content(body)[:-5], "length")

    def _wrong(self, handler: Handler, body: dict[str, Any]) -> None:
        self._complete(handler, '{"facts": ["anything"]}')

    def _foreign(self, handler: Handler, body: dict[str, Any]) -> None:
        """Well shaped, but in a language that nobody in the chat writes."""
        said = "磁盘已满，备份失败，请立即清理归档目录"
        atom = {"ids": [1], "quote": said, "type": "problem", "title": said, "content": said}
        self._complete(
            handler,
            json.dumps({"headline": said, "atoms": [atom], "topics": []}, ensure_ascii=False),
        )

    def _empty(self, handler: Handler, body: dict[str, Any]) -> None:
        self._complete(handler, None)

    def _failing(self, handler: Handler, body: dict[str, Any]) -> None:
        """A gateway's way to say that what is behind it has failed."""
        self._send(handler, 200, b'{"error": {"code": 429, "message": "sk-secret is over quota"}}')

    def _choiceless(self, handler: Handler, body: dict[str, Any]) -> None:
        self._send(handler, 200, b'{"choices": []}')

    def _huge(self, handler: Handler, body: dict[str, Any]) -> None:
        self._complete(handler, "word " * 2_000_000)

    def _page(self, handler: Handler, body: dict[str, Any]) -> None:
        self._send(handler, 200, b"<html>Welcome to our network</html>")


@contextmanager
def provider(double: Provider | None = None) -> Iterator[Provider]:
    """Run the server on a free port."""
    double = double or Provider()

    class Endpoint(Handler):
        protocol_version = "HTTP/1.0"

        def do_POST(self) -> None:
            if self.path == "/v1/chat/completions":
                try:
                    double.respond(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
            else:
                self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_port}/v1"
    with answering(server):
        try:
            yield double
        finally:
            double.released.set()
