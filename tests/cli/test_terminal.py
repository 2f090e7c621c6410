"""What is printed where people read it."""

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.embedded.paths import DataDirectory
from services.cli.failures import Failure
from services.cli.options import Session
from services.cli.terminal import Harmless, open_console


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


def test_a_failure_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of a file must be safe to print: files in an archive are called what whoever packed it likes."""
    Failure("export.zip/\x1b]0;mine\x07\x9b31m/2026-01-01.json: ends too early \udcff").show()
    said = capsys.readouterr().err
    assert said == "winnow: export.zip/]0;mine31m/2026-01-01.json: ends too early \ufffd\n"


def test_json_can_be_printed_whatever_it_holds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Control characters and halves of characters are escaped, so that a terminal obeys none and programs read all."""
    value = {"file": "export \udcff.json", "title": "\x9b31m\x7f ґ"}
    console = Console(file=io.StringIO())
    Session(DataDirectory(tmp_path), True, console, console).print_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert all(character == "ґ" or " " <= character <= "~" for character in printed.strip())


def test_a_file_name_that_is_not_utf_8_is_printed(tmp_path: Path) -> None:
    """A half of a character, which no stream takes, is shown as what stands for an unknown one."""
    file = io.TextIOWrapper(io.BytesIO(), "utf-8")
    console = Console(file=file, width=80)
    console.push_render_hook(Harmless())
    console.print("export \udcff.json: 3 new")
    file.seek(0)
    assert file.read() == "export \ufffd.json: 3 new\n"


def test_nobody_turns_a_line_around(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A name that turns what follows it must not turn the date and the words of others; Hebrew needs none of that."""
    file = io.StringIO()
    console = Console(file=file, width=80)
    console.push_render_hook(Harmless())
    name = "\u202eBen\u2066"
    console.print(f"{name} 2026-03-03 06:00 \u05e9\u05dc\u05d5\u05dd \u200f!")
    assert file.getvalue() == "Ben 2026-03-03 06:00 \u05e9\u05dc\u05d5\u05dd \u200f!\n"
    Session(DataDirectory(tmp_path), True, console, console).print_json({"name": name})
    assert capsys.readouterr().out == '{"name": "\\u202eBen\\u2066"}\n'


def test_a_terminal_that_says_it_has_no_columns_is_printed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """COLUMNS=0, as some programs leave it to those that they start, must not make all output vanish."""
    leader, follower = os.openpty()
    monkeypatch.setenv("COLUMNS", "0")
    with open(leader, "rb"), open(follower, "w", encoding="utf-8") as stream:
        assert open_console(stream).width > 0
