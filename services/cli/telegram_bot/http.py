"""As much HTTP/1.1 as a webhook needs: one POST a connection, with a Content-Length, within limits."""

import re
from dataclasses import dataclass

HEAD_BYTES_MAX = 16 << 10
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,2048}) HTTP/1\.[01]")
# The spaces around a value are cut off afterwards: with several parts that take them, one that fits nowhere is tried at
# every place of each, before anybody has shown the secret.
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):([^\x00-\x08\x0a-\x1f\x7f]*)")
_LENGTH = re.compile(rb"[0-9]{1,12}")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} {_REASONS[status]}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before a body; header names are in small letters."""

    method: str
    target: str
    headers: dict[str, list[bytes]]

    def single(self, name: str) -> bytes | None:
        """The value of a header; None if it is absent. Refuses one that comes twice."""
        values = self.headers.get(name, [])
        if len(values) > 1:
            raise Refused(400)
        return values[0] if values else None

    def body_bytes(self, most: int) -> int:
        """How long the body is. Refuses one of unknown length or longer than `most`."""
        length = self.single("content-length")
        if "transfer-encoding" in self.headers or length is None:
            raise Refused(411)
        if not _LENGTH.fullmatch(length):
            raise Refused(400)
        if int(length) > most:
            raise Refused(413)
        return int(length)


def parse_head(data: bytes) -> Head:
    """Read request line and headers, up to and with the empty line. Refuses whatever is not in order."""
    first, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        raise Refused(400)
    headers: dict[str, list[bytes]] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Refused(400)
        headers.setdefault(header[1].decode().lower(), []).append(header[2].strip(b" \t"))
    return Head(request[1].decode(), request[2].decode(), headers)


def response(status: int) -> bytes:
    """A whole response that says its status and ends the connection."""
    reason = _REASONS[status]
    allow = "Allow: POST\r\n" if status == 405 else ""
    return (
        f"HTTP/1.1 {status} {reason}\r\n{allow}Content-Type: text/plain\r\n"
        f"Content-Length: {len(reason) + 1}\r\nConnection: close\r\n\r\n{reason}\n"
    ).encode()
