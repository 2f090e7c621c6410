"""One or two faults in a valid request: a field that breaks a rule, or bytes that are no longer the message."""

import json
import random
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from tests.fuzzing import samples
from tests.fuzzing.valid import parts_of, rules_of
from tests.hostile.requests import FLOATS, JSON, TEXTS, Forge

SECONDS = (
    -(2**63),
    -62_135_596_801,
    -62_135_596_800,
    -1,
    253_402_300_799,
    253_402_300_800,
    2**63 - 1,
)
NANOS = (-(2**31), -1, 999_999_999, 1_000_000_000, 2**31 - 1)
# Of as many bytes as what takes its place on the wire: a lone surrogate, an overlong NUL, a byte that begins nothing.
_PLACE = "@@@@"
_NO_UTF8 = (b"x\xed\xa0\x80", b"xx\xc0\x80", b"xxx\xff")
# A field that no message knows, of each wire type, and one whose end is missing.
_UNKNOWN = (
    *(b"\xf8\x3f\x01", b"\xf9\x3f" + bytes(8), b"\xfa\x3f\x02ab"),
    *(b"\xfd\x3f" + bytes(4), b"\xfb\x3f\xfc\x3f", b"\xfb\x3f"),
)


class Damage:
    """Damages requests; the same dice do the same."""

    def __init__(self, dice: random.Random, ids: Sequence[str], tokens: Sequence[str]) -> None:
        self._dice, self._ids, self._tokens = dice, ids, tokens
        self._forge = Forge(dice, ids, TEXTS)

    def body(self, method: MethodDescriptor, request: Any) -> bytes:
        """The bytes of a request with one fault or two, of any kind."""
        kind = self._dice.random()
        if kind < 0.08:
            return self._forge.body(method)
        for _ in range(self._dice.choice((1, 1, 1, 2))):
            self._fault(request)
        body = request.SerializeToString()
        if kind < 0.7:
            return body
        if kind < 0.8:
            return body + self._dice.choice(_UNKNOWN)
        return self._forge.damaged(body) if kind < 0.9 else self._without_utf8(body)

    def _fault(self, request: Any) -> None:
        parts = parts_of(request)
        if not parts:
            return
        # What is set more often than what is not.
        is_set = [
            part for part in parts if part[1].name in {f.name for f, _ in part[0].ListFields()}
        ]
        message, each = self._dice.choice(is_set if is_set and self._dice.random() < 0.5 else parts)
        if self._dice.random() < 0.1:
            message.ClearField(each.name)
        elif each.name == "page_token":
            message.page_token = self._token(message.page_token)
        elif each.is_repeated:
            self._list_fault(message, each)
        elif each.name == "filter_expression" and self._dice.random() < 0.5:
            _nest(message.filter_expression, self._dice.choice((8, 9, 95)))
        elif each.message_type is not None:
            getattr(message, each.name).SetInParent()
            if self._dice.random() < 0.3:
                getattr(message, each.name).Clear()
            else:
                self._fault(getattr(message, each.name))
        else:
            setattr(message, each.name, self._scalar(each))

    def _list_fault(self, message: Any, each: FieldDescriptor) -> None:
        values = getattr(message, each.name)
        most = rules_of(each).repeated.max_items or 20
        if values and self._dice.random() < 0.3:
            del values[self._dice.randrange(len(values))]
        elif each.message_type is not None:
            self._fault(values.add())
            for _ in range(self._dice.choice((0, 0, 0, most))):
                values.add()
        elif values and self._dice.random() < 0.2:
            values[:] = [self._scalar(each)] * len(values)
        elif values and self._dice.random() < 0.4:
            values[self._dice.randrange(len(values))] = self._scalar(each)
        else:
            values.extend([self._scalar(each)] * self._dice.choice((1, 1, 2, most, most + 1)))

    def _scalar(self, each: FieldDescriptor) -> Any:
        if each.name == "seconds":
            return self._dice.choice(SECONDS)
        if each.name == "nanos":
            return self._dice.choice(NANOS)
        if each.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
            return self._dice.choice(FLOATS)
        if each.cpp_type == FieldDescriptor.CPPTYPE_STRING and self._dice.random() < 0.2:
            return _PLACE
        return self._forge.scalar(each)

    def _token(self, token: str) -> str:
        """A token with another position in it, one that is cut or changed, or that of another call."""
        if token not in self._tokens or self._dice.random() < 0.2:
            return self._dice.choice((*self._tokens, *TEXTS[:20]))
        if self._dice.random() < 0.3:
            place = self._dice.randrange(len(token))
            return token[:place] + self._dice.choice(("", "A", "=", "é")) + token[place + 1 :]
        positions = json.loads(samples.unpacked(token))
        positions[self._dice.randrange(1, len(positions))] = self._dice.choice(JSON)
        return samples.packed(json.dumps(positions).encode())

    def _without_utf8(self, body: bytes) -> bytes:
        """Bytes that are no UTF-8, which no client's library lets through, in the place that was kept for them."""
        return body.replace(_PLACE.encode(), self._dice.choice(_NO_UTF8))


def _nest(expression: Any, levels: int) -> None:
    """Put a condition into so many others."""
    for level in range(levels):
        lists = expression.none_of, expression.any_of, expression.all_of
        expression = lists[level % 3].expressions.add()
    expression.kinds.values.append(1)
