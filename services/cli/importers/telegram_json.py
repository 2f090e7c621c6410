"""JSON as Telegram Desktop writes it: a filter for illegal escapes and a streaming reader.

The exporter writes control characters as `\\xNN`, which JSON does not know. Lone surrogates
(`\\ud83d` without its second half) stand for no character and become U+FFFD.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import ijson

Event = tuple[str, Any]
# A text is read from its start again for each chunk of it, so one without end would take ever longer.
VALUE_BYTES_MAX = 8 << 20
VALUE_EVENTS_MAX = 2_000_000

# A backslash is legal only inside a string, so quotes need no tracking: elsewhere the file is
# broken either way. Matching left to right consumes `\\` as one escape, so the `x41` after an
# escaped backslash is plain text.
_HIGH = rb"u[dD][89abAB][0-9a-fA-F]{2}"
_CUT = rb"x[0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|" + _HIGH + rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?"
_ESCAPE = re.compile(
    rb"\\(?:(?P<cut>(?:" + _CUT + rb")?\Z)"
    rb"|x(?P<hex>[0-9a-fA-F]{2})"
    rb"|" + _HIGH + rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|.)",
    re.DOTALL,
)
_POINTED_AT = re.compile(r"[^\n]*\n(?P<quote>[^\n]*)\n(?P<arrow>[^\n^]*)\^\s*")
QUOTED_AROUND = 25
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NOT_JSON = "not JSON"
# Numbers are read as machines hold them: ijson's other way of reading crashes on some with thousands of digits.
HUGE_NUMBER = "a number too large to read"


class BrokenJson(Exception):
    """Between two offsets is what cannot be read; `at_end` if the bytes only end too early, `near` quotes the place.

    `is_blank` tells that there is nothing but white space.
    """

    def __init__(
        self,
        first_byte: int,
        last_byte: int,
        at_end: bool,
        what: str = NOT_JSON,
        near: str = "",
        is_blank: bool = False,
    ) -> None:
        super().__init__(f"{what} between byte {first_byte} and byte {last_byte}")
        self.first_byte = first_byte
        self.last_byte = last_byte
        self.at_end = at_end
        self.near = near
        self.is_blank = is_blank


class ValueTooLarge(Exception):
    """One JSON value has more than VALUE_EVENTS_MAX parts, or texts of more than about VALUE_BYTES_MAX together."""


class EscapeFilter:
    """Turns `\\xNN` into `\\u00NN`; an escape cut by a chunk's end waits for the next chunk."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, chunk: bytes) -> bytes:
        """The fixed bytes that are certain after this chunk."""
        data = self._waiting + chunk
        self._waiting = b""
        return _ESCAPE.sub(self._fix, data) if b"\\" in data else data

    def finish(self) -> bytes:
        """What was still waiting when the input ended in the middle of an escape."""
        rest, self._waiting = self._waiting, b""
        return rest

    def _fix(self, match: re.Match[bytes]) -> bytes:
        if match["cut"] is not None:
            self._waiting = match[0]
            return b""
        if match["hex"] is not None:
            return b"\\u00" + match["hex"]
        return match[0] if match["lone"] is None else b"\\ufffd"


def json_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """ijson's basic events; those before a break come first. Raises BrokenJson and ValueTooLarge."""
    events: list[Event] = ijson.sendable_list()
    parser = ijson.basic_parse_coro(events, use_float=True)
    escapes = EscapeFilter()
    read = quiet_from = 0
    is_blank = True
    for chunk in chunks:
        start, read = read, read + len(chunk)
        data = chunk.removeprefix(_BYTE_ORDER_MARK) if start == 0 else chunk
        is_blank = is_blank and not data.strip()
        wrong, near = _send(parser, escapes.feed(data))
        yield from events
        quiet_from = read if events else quiet_from
        events.clear()
        if wrong:
            raise BrokenJson(start, read, at_end=False, what=wrong, near=near)
        if read - quiet_from > VALUE_BYTES_MAX:
            raise ValueTooLarge
    wrong = _send(parser, escapes.finish())[0] or _close(parser)
    yield from events
    if wrong:
        raise BrokenJson(read, read, at_end=True, is_blank=is_blank)


def _send(parser: Any, data: bytes) -> tuple[str, str]:
    """Give the parser bytes; what is wrong with them, or nothing, and the words around it."""
    try:
        if data:
            parser.send(data)
    except (ijson.JSONError, ValueError) as error:
        return (HUGE_NUMBER if "overflow" in str(error) else NOT_JSON), _near(str(error))
    return "", ""


def _near(told: str) -> str:
    """The words around what the parser points at: its second line quotes them, its third has an arrow."""
    match = _POINTED_AT.fullmatch(told)
    if match is None:
        return ""
    at = len(match["arrow"])
    return " ".join(match["quote"][max(at - QUOTED_AROUND, 0) : at + QUOTED_AROUND].split())


def _close(parser: Any) -> str:
    try:
        parser.close()
    except (ijson.JSONError, ValueError):
        return NOT_JSON
    return ""


def build_value(events: Iterator[Event], first: Event) -> Any:
    """The JSON value that begins with `first`, however deeply nested. Raises ValueTooLarge."""
    kind, value = first
    if kind not in ("start_map", "start_array"):
        return value
    root: Any = {} if kind == "start_map" else []
    stack: list[tuple[Any, str]] = []
    current, key = root, ""
    characters = 0
    for count, (kind, value) in enumerate(events):
        if type(value) is str:
            characters += len(value)
        if count > VALUE_EVENTS_MAX or characters > VALUE_BYTES_MAX:
            raise ValueTooLarge
        if kind == "map_key":
            key = value
            continue
        if kind in ("end_map", "end_array"):
            if not stack:
                return root
            current, key = stack.pop()
            continue
        opens = kind in ("start_map", "start_array")
        item: Any = ({} if kind == "start_map" else []) if opens else value
        if type(current) is dict:
            current[key] = item
        else:
            current.append(item)
        if opens:
            stack.append((current, key))
            current = item
    return root


def skip_value(events: Iterator[Event], first: Event) -> None:
    """Pass over the value that begins with `first` without keeping it."""
    depth = 1 if first[0].startswith("start_") else 0
    while depth:
        kind = next(events)[0]
        depth += kind.startswith("start_") - kind.startswith("end_")
