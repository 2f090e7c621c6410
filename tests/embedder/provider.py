"""A provider of embeddings as tests ask it: a real HTTP server that behaves, or misbehaves as it is told to."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from tests.servers import answering

DIMENSIONS = 8
# No answer at all: the connection is closed.
DROPPED = 0
# Nor then, for longer than anybody waits.
SILENT = -1
Handler = BaseHTTPRequestHandler


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector that depends on the text alone, not of unit length."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return list(3 * np.random.default_rng(seed).standard_normal(dimensions))


class Provider:
    """What the server was asked, and what it makes of its answers."""

    def __init__(self) -> None:
        self.url = ""
        self.reads: Callable[[str], str] = lambda text: text
        self.inputs: list[list[str]] = []
        self.status: list[tuple[int, dict[str, str]]] = []
        self.spoil: Callable[[list[dict[str, Any]]], Any] = lambda data: data
        self.refused = "poison"
        self.characters_max = 1 << 20
        self.refusal = 400
        self.silence_seconds = 1.0
        self.away = False

    def respond(self, handler: Handler) -> None:
        """Answer one request."""
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self.inputs.append(body["input"])
        status, headers = self.status.pop(0) if self.status else (200, {})
        refused = any(
            self.refused in text or len(text) > self.characters_max for text in body["input"]
        )
        if self.away or refused:
            status = self.refusal
        if status == SILENT:
            time.sleep(self.silence_seconds)
        if status in (DROPPED, SILENT):
            return
        dimensions = body.get("dimensions", DIMENSIONS)
        data: Any = [
            {"index": place, "embedding": vector_of(self.reads(text), dimensions)}
            for place, text in enumerate(body["input"])
        ]
        answer = json.dumps({"data": self.spoil(data) if status == 200 else []}).encode()
        handler.send_response(status)
        for name, value in {**headers, "content-length": str(len(answer))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)


BAD: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "nan": lambda data: [{**item, "embedding": [float("nan")] * DIMENSIONS} for item in data],
    "zeros": lambda data: [{**item, "embedding": [0.0] * DIMENSIONS} for item in data],
    "dimensions": lambda data: [{**item, "embedding": item["embedding"][:-1]} for item in data],
    "short": lambda data: data[:-1],
    "repeated": lambda data: [{**item, "index": 0} for item in data],
    "ragged": lambda data: [{**data[0], "embedding": [1.0]}, *data[1:]],
    "words": lambda data: [{**item, "embedding": ["one"] * DIMENSIONS} for item in data],
    "nothing": lambda data: None,
    "numbers with points": lambda data: [{**item, "index": float(item["index"])} for item in data],
    "truth for numbers": lambda data: [{**item, "index": bool(item["index"])} for item in data],
    "beyond all numbers": lambda data: [{**item, "embedding": [10**400] * 8} for item in data],
}


@contextmanager
def listening() -> Iterator[Provider]:
    """A server on this machine."""
    provider = Provider()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            provider.respond(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    provider.url = f"http://127.0.0.1:{server.server_port}/v1"
    with answering(server):
        yield provider
