"""What is printed where people read it: the words of a message, which anybody may have written, command no terminal."""

from collections.abc import Iterator
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

PIPE_COLUMNS = 200
# Every control character but the tab and the end of a line; what begins with one stays, as plain letters.
_OBEYED: Final = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def open_console(stream: TextIO, *, is_error: bool = False) -> Console:
    """A console on standard output, or on standard error; lines of output are as long as they are."""
    console = Console(
        stderr=is_error, highlight=False, soft_wrap=not is_error, width=_width(stream)
    )
    console.push_render_hook(Harmless())
    return console


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
    return Segment(segment.text.translate(_OBEYED), segment.style)


def _width(stream: TextIO) -> int | None:
    """The columns of a terminal as it has them; whatever reads a pipe has no edge to wrap at."""
    return None if stream.isatty() else PIPE_COLUMNS
