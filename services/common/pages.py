"""Page tokens: where the next page starts, and which question it belongs to."""

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from services.common.errors import InvalidPageToken

PAGE_SIZE_DEFAULT = 50
_OF_PAGES = {"page_token", "page_size", "groups_max"}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Position(list[Any]):
    """Where a page starts. A caller may forge it, so each value is checked as it is read."""

    def uuid(self, index: int) -> UUID:
        """The value at an index as an id, or InvalidPageToken."""
        try:
            return UUID(self.text(index))
        except ValueError:
            raise InvalidPageToken from None

    def text(self, index: int) -> str:
        """The value at an index as a string that PostgreSQL can store, or InvalidPageToken."""
        value = self[index]
        if not isinstance(value, str) or _UNSTORABLE.search(value):
            raise InvalidPageToken
        return value

    def moment(self, index: int) -> datetime:
        """The value at an index as a time with its zone, or InvalidPageToken."""
        try:
            moment = datetime.fromisoformat(self.text(index))
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise InvalidPageToken from None
        raise InvalidPageToken

    def integer(self, index: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
        """The value at an index as an integer in a range, or InvalidPageToken."""
        value = self[index]
        if type(value) is not int or not minimum <= value <= maximum:
            raise InvalidPageToken
        return value

    def number(self, index: int) -> float:
        """The value at an index as a finite number, or InvalidPageToken."""
        value = self[index]
        try:
            number = float(value) if type(value) in (int, float) else math.nan
        except OverflowError:
            raise InvalidPageToken from None
        if not math.isfinite(number):
            raise InvalidPageToken
        return number


def size_of(page_size: int, default: int = PAGE_SIZE_DEFAULT) -> int:
    """The page size asked for, or the default for 0."""
    return page_size or default


def encode(request: Message, position: Sequence[Any]) -> str:
    """Return a token for a position (JSON values) in the answer to a request."""
    body = json.dumps([_fingerprint(request), *position]).encode()
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode(request: Any, positions: int) -> Position | None:
    """Return the position in a request's page_token, None on the first page; raise InvalidPageToken."""
    position = decode_at_least(request, positions)
    if position is not None and len(position) != positions:
        raise InvalidPageToken
    return position


def decode_at_least(request: Any, positions: int) -> Position | None:
    """The same for a position of so many values or more."""
    token = request.page_token
    if not token:
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidPageToken from None
    if not isinstance(body, list) or len(body) <= positions or body[0] != _fingerprint(request):
        raise InvalidPageToken
    return Position(body[1:])


def _fingerprint(request: Message) -> str:
    """The method and every field but the page itself must be the same from page to page."""
    copy = type(request)()
    copy.CopyFrom(request)
    for field in _OF_PAGES.intersection(request.DESCRIPTOR.fields_by_name):
        copy.ClearField(field)
    asked = (
        request.DESCRIPTOR.full_name.encode() + b"\0" + copy.SerializeToString(deterministic=True)
    )
    return hashlib.sha256(asked).hexdigest()[:16]
