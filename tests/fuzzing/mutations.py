"""Damaged copies of valid inputs, made from a seed alone: JSON of another shape, bytes flipped, cut, doubled."""

import random
from copy import deepcopy
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, -(2**63), 10**30, 0.5, 1e308, "", "0", "-1"),
    *(
        "1714557600",
        "99999999999999",
        "1e5",
        "2024-05-01T12:00:00",
        "0000-00-00",
        "9999-12-31T23:59:59Z",
    ),
    *(
        "\0",
        "\ud83d",
        "\ufffd",
        "\u0301",
        "\u202e",
        "🙂",
        "a" * 20_000,
        "\n",
        "<@U1>",
        "&lt;",
        "user7",
        "0x10",
    ),
    *([], {}, [[]], [{}], {"": {}}, ["a", {"type": "bold", "text": 3}]),
)
_BYTES = (
    b"",
    b"\\",
    b"\\x",
    b"\\x1f",
    b"\\ud83d",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
)


class Mutator:
    """Damages values and bytes; the same dice give the same damage."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def value(self, value: Any) -> Any:
        """A copy of a JSON value with one to four changes somewhere inside."""
        copy = deepcopy(value)
        for _ in range(self._dice.randint(1, 4)):
            copy = self._change(copy)
        return copy

    def _change(self, value: Any) -> Any:
        dice = self._dice
        if isinstance(value, dict) and value and dice.random() < 0.85:
            name = dice.choice(list(value))
            kind = dice.random()
            if kind < 0.1:
                del value[name]
            elif kind < 0.2:
                value[dice.choice(list(value))] = deepcopy(value[name])
            else:
                value[name] = self._change(value[name])
            return value
        if isinstance(value, list) and value and dice.random() < 0.85:
            place = dice.randrange(len(value))
            kind = dice.random()
            if kind < 0.1:
                del value[place]
            elif kind < 0.2:
                value.insert(place, self._odd())
            else:
                value[place] = self._change(value[place])
            return value
        return self._odd()

    def _odd(self) -> Any:
        """An odd value of its own, which later changes may reach."""
        return deepcopy(self._dice.choice(ODD_VALUES))

    def data(self, data: bytes) -> bytes:
        """A copy of some bytes with one to six changes."""
        changed = bytearray(data)
        for _ in range(self._dice.randint(1, 6)):
            self._damage(changed)
        return bytes(changed)

    def _damage(self, data: bytearray) -> None:
        dice = self._dice
        start = dice.randrange(len(data) + 1)
        end = min(len(data), start + dice.choice((0, 1, 1, 2, 8, 64)))
        kind = dice.random()
        if kind < 0.35 and start < len(data):
            data[start] = dice.randrange(256)
        elif kind < 0.5:
            data[start:end] = dice.choice(_BYTES)
        elif kind < 0.65:
            del data[start:end]
        elif kind < 0.8:
            data[start:start] = data[start:end] * dice.choice((1, 2, 40))
        elif kind < 0.9:
            del data[start:]
        else:
            data[start:start] = dice.randbytes(dice.randint(1, 16))
