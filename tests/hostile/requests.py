"""Requests nobody would send: fields filled with what breaks things, then bytes damaged; the same for the same dice."""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from services.common import pages

DEPTH_MAX = 5
TEXTS: tuple[str, ...] = (
    *(
        "",
        " ",
        "a",
        "0",
        "%",
        "_",
        "\\",
        "'",
        '"',
        ";",
        "--",
        "$1",
        "{}",
        "[]",
        "null",
        "\x00",
        "\n\r\t",
    ),
    *(
        "'; drop table ingest.message; --",
        "' or 1=1 --",
        "%' escape '",
        "\\' union select 1 --",
        "a:* & !b | (c",
    ),
    *(
        "../../etc/passwd",
        "file:///etc/passwd",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "%s%n%x",
        "<script>",
        "\ufeff",
    ),
    *(
        "\u202e\u200b",
        "é" * 40,
        "е́",
        "\U0001f469\u200d\U0001f4bb",
        "ſ",
        "İ",
        "K",
        "x" * 300,
        "x" * 20_000,
    ),
    *(
        "2026-01-01T00:00:00Z",
        "text",
        "title,content",
        "-1",
        "1e999",
        "NaN",
        "backup",
        "диск",
        "*",
        "a.b.c",
    ),
    # What is a digit and no number, what grows where it is normalized, what ends a line or is nobody's.
    *(
        "²",
        "１２",
        "9" * 18,
        "9" * 30,
        "-0",
        "ﷺ" * 200,
        "İ" * 300,
        "ß" * 300,
        "\u2028\x85",
        "\uffff\U0010ffff",
    ),
    # What a query could be taken for.
    *(
        '"' * 301,
        "- " * 900,
        '-"a" ' * 600,
        '"a b" ' * 500,
        "a " * 2000,
        "漢字" * 600,
        "\x1b[31m",
        "a|b&c:*<->!d",
    ),
)
INTEGERS = (0, 1, 2, 3, 5, 50, 500, 501, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
FLOATS = (
    0.0,
    0.5,
    1.0,
    -1.0,
    2.0,
    math.nan,
    math.inf,
    -math.inf,
    1e-45,
    1e-30,
    3e38,
    1e308,
    -1e308,
)
JSON = (
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\x00",
    "\ud800",
    [],
    {},
    [[]],
    "2026-01-01",
    "9999-12-31T23:59:59+23:59",
)
_INTEGER_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
# Texts that the caller chooses: an id of another workspace put there is the caller's own text from then on.
_FREE = (
    "external_id",
    "thread_id",
    "request_id",
    "author_id",
    "author_ids",
    "external_ids",
    "thread_ids",
)


@dataclass
class Forge:
    """Makes requests: `ids` go wherever an id is asked for."""

    dice: random.Random
    ids: Sequence[str] = ()
    texts: Sequence[str] = field(default=TEXTS)

    def body(self, method: MethodDescriptor) -> bytes:
        """The bytes of a request of a method, whole or damaged."""
        if self.dice.random() < 0.05:
            return self.dice.randbytes(self.dice.choice((0, 1, 2, 7, 64, 1000)))
        body = self.request(method).SerializeToString()
        return self.damaged(body) if self.dice.random() < 0.25 else body

    def request(self, method: MethodDescriptor) -> Message:
        """A request with some of its fields filled, and a page token that was forged for it."""
        made = message_factory.GetMessageClass(method.input_type)()
        self._fill(made, 0)
        if "page_token" in method.input_type.fields_by_name and self.dice.random() < 0.5:
            token = self._token(made)
            made.page_token = token if len(token) <= 1024 else token[:1024]  # type: ignore[attr-defined]
        return made

    def _token(self, request: Any) -> str:
        """A token whose fingerprint is right, and whose position is anything."""
        request.page_token = ""
        count = self.dice.choice((1, 1, 1, 2, 2, 3, 4, 0))
        position = [self.dice.choice((*JSON, *self.ids)) for _ in range(count)]
        if self.dice.random() < 0.02:
            position = [json.loads("[" * 60 + "]" * 60)]
        token = pages.encode(request, position)
        return token if self.dice.random() < 0.9 else token[: self.dice.randrange(len(token) + 1)]

    def _fill(self, message: Message, depth: int) -> None:
        descriptor: Descriptor = message.DESCRIPTOR
        density = self.dice.choice((0.2, 0.5, 0.9))
        for each in descriptor.fields:
            if self.dice.random() < density:
                self._set(message, each, depth)

    def _set(self, message: Message, each: FieldDescriptor, depth: int) -> None:
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            return
        if each.is_repeated:
            for _ in range(self.dice.choice((1, 1, 2, 3, 9))):
                self._append(getattr(message, each.name), each, depth)
        elif each.message_type is not None:
            if depth < DEPTH_MAX:
                getattr(message, each.name).SetInParent()
                self._fill(getattr(message, each.name), depth + 1)
        else:
            setattr(message, each.name, self.scalar(each))

    def _append(self, items: Any, each: FieldDescriptor, depth: int) -> None:
        if each.message_type is None:
            items.append(self.scalar(each))
        elif depth < DEPTH_MAX:
            self._fill(items.add(), depth + 1)

    def scalar(self, each: FieldDescriptor) -> Any:
        """A value for a field that is no message."""
        kind = each.cpp_type
        if kind in _INTEGER_BITS:
            least, most = _INTEGER_BITS[kind]
            return min(max(self.dice.choice(INTEGERS), least), most)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            values = [value.number for value in each.enum_type.values]
            return self.dice.choice([*values, *values, 99, -1])
        makers: dict[int, Callable[[], Any]] = {
            FieldDescriptor.CPPTYPE_BOOL: lambda: self.dice.random() < 0.5,
            FieldDescriptor.CPPTYPE_STRING: lambda: self._text(each.name),
        }
        if kind in makers:
            return makers[kind]()
        if each.type == FieldDescriptor.TYPE_BYTES:
            return self.dice.randbytes(self.dice.choice((0, 1, 16, 300)))
        return self.dice.choice(FLOATS)

    def _text(self, name: str) -> str:
        if (
            name.endswith(("_id", "_ids"))
            and "external" not in name
            and name not in _FREE
            and self.ids
            and self.dice.random() < 0.8
        ):
            return self.dice.choice(self.ids)
        if self.dice.random() < 0.1:
            return str(UUID(int=self.dice.getrandbits(128)))
        return self.dice.choice(self.texts)

    def damaged(self, body: bytes) -> bytes:
        """Bytes flipped, cut, repeated, or nested deeper than anything should be."""
        damaged = bytearray(body)
        for _ in range(self.dice.choice((1, 1, 2, 5))):
            place = self.dice.randrange(len(damaged) + 1)
            match self.dice.randrange(5):
                case 0 if damaged:
                    damaged[place % len(damaged)] ^= 1 << self.dice.randrange(8)
                case 1:
                    del damaged[place:]
                case 2:
                    damaged[place:place] = self.dice.randbytes(self.dice.choice((1, 2, 10)))
                case 3:
                    damaged += damaged[:place]
                case 4:
                    for _ in range(self.dice.choice((3, 50, 150))):
                        damaged[:0] = b"\x0a" + _varint(len(damaged))
        return bytes(damaged[: 1 << 18])


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])
