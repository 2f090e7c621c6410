"""What is printed where people read it: the words of a message, which anybody may have written, command no terminal."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, Final, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from services.cli.streams import leave_unread

PIPE_COLUMNS = 200
# Every control character but the tab and the end of a line; what begins with one stays, as plain letters.
_OBEYED: Final = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])
# Halves of characters, which no stream takes: a file's name that is not UTF-8 has them.
_HALVES: Final = dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")
# What turns the letters after it around, up to the end of the line, with whatever else stands there.
_TURNING: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_SHOWN: Final = {**_OBEYED, **_HALVES, **_TURNING}
_UNSHOWN: Final = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """A text without what a terminal would obey, or could not take."""
    return text.translate(_SHOWN)


def shown_json(value: Any, *, is_plain: bool = False) -> str:
    """A JSON value on one line; what a terminal would obey, or could not take, is escaped and so means the same.

    Where it is plain, so is every letter beyond ASCII.
    """
    text = json.dumps(value, ensure_ascii=is_plain)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def open_console(stream: TextIO, *, is_error: bool = False) -> Console:
    """A console on standard output, or on standard error; lines of output are as long as they are."""
    console = _Piped(stderr=is_error, highlight=False, soft_wrap=not is_error, width=_width(stream))
    console.push_render_hook(Harmless())
    return console


class _Piped(Console):
    """A console whose command ends as any other once nobody reads it."""

    def on_broken_pipe(self) -> None:
        """End the command without a word."""
        self.quiet = True
        leave_unread()


class Harmless(RenderHook):
    """Takes out of all that is printed what a terminal would obey."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap what is about to be printed."""
        return [_Shown(each) for each in renderables]


class _Shown:
    """Something as it is shown; how it is coloured stays."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else _without_commands(segment)


def _without_commands(segment: Segment) -> Segment:
    return Segment(shown(segment.text), segment.style)


def _width(stream: TextIO) -> int | None:
    """The columns of a terminal as it has them; whatever reads a pipe has no edge to wrap at, nor has COLUMNS=0."""
    return None if stream.isatty() and os.environ.get("COLUMNS") != "0" else PIPE_COLUMNS
