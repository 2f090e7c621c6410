"""Requests as they come in: bytes that are no request are told of as such, where gRPC would say UNKNOWN."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from services.common import errors

REQUEST_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True)
class Unread:
    """Stands for a request whose bytes were not read as its message; `error` makes what is said of it."""

    error: Callable[[], errors.WinnowError]


def tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Turn bytes that are too many or undecodable into Unread; for these gRPC would say UNKNOWN and a class's name."""

    def decode(data: bytes) -> Any:
        if len(data) > REQUEST_BYTES_MAX:
            return Unread(lambda: errors.RequestTooLarge(REQUEST_BYTES_MAX))
        try:
            return deserialize(data)
        except DecodeError:
            return Unread(errors.MalformedRequest)

    return decode
