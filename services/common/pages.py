"""Page tokens: where the next page starts, and which question it belongs to."""

import base64
import binascii
import hashlib
import json
from typing import Any

from google.protobuf.message import Message

from services.common.errors import InvalidPageToken

PAGE_SIZE_DEFAULT = 50


def size_of(page_size: int, default: int = PAGE_SIZE_DEFAULT) -> int:
    """The page size asked for, or the default for 0."""
    return page_size or default


def encode(request: Message, position: list[Any]) -> str:
    """Return a token for a position (JSON values) in the answer to a request."""
    body = json.dumps([_fingerprint(request), *position]).encode()
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode(request: Any, positions: int) -> list[Any] | None:
    """Return the position in a request's page_token, None on the first page; raise InvalidPageToken."""
    token = request.page_token
    if not token:
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidPageToken from None
    if not isinstance(body, list) or len(body) != positions + 1 or body[0] != _fingerprint(request):
        raise InvalidPageToken
    return body[1:]


def _fingerprint(request: Message) -> str:
    """Every field but the page itself must be the same from page to page."""
    copy = type(request)()
    copy.CopyFrom(request)
    for field in ("page_token", "page_size"):
        copy.ClearField(field)
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).hexdigest()[:16]
