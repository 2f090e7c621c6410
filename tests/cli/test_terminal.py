"""What is printed where people read it."""

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.terminal import Harmless


def test_what_is_printed_keeps_its_colours_alone() -> None:
    """Control characters of a text must go, also in a table; colours, tabs and ends of lines are the console's own."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard", width=80)
    console.push_render_hook(Harmless())
    table = Table(box=None)
    table.add_column("title")
    table.add_row("a\x1b[31mb")
    console.print(table, Text("c\x1b]52;c;x\x07\x9dd\te\nf", "green"))
    lines = file.getvalue().split("\n")
    assert lines[1].split() == ["a[31mb"]
    assert lines[2].startswith("\x1b[32mc]52;c;xd")
    assert lines[2].endswith("e\x1b[0m")
    assert lines[3] == "\x1b[32mf\x1b[0m"
