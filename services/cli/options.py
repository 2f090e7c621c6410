"""The options that every command takes, and how its output is printed."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
import uvloop
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console

from services.cli.embedded import DataDirectory
from services.cli.failures import INTERRUPTED, explained
from services.cli.target import Target, data_directory, find


@dataclass(frozen=True)
class Session:
    """What a command works with: where Winnow is, and how to print."""

    data: DataDirectory
    as_json: bool
    console: Console
    progress: Console

    @property
    def target(self) -> Target:
        """The deployment that the command is for."""
        return find(self.data)

    def print_json(self, value: Any) -> None:
        """Print one JSON value on a line of its own."""
        click.echo(json.dumps(value, ensure_ascii=False))

    def print_message(self, message: Message) -> None:
        """Print a message of the contract as JSON, with every field by its proto name."""
        self.print_json(as_dict(message))


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON values: proto names, zeros included, 64-bit numbers as numbers."""
    raw = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    numbers = {
        field.name
        for field in message.DESCRIPTOR.fields
        if field.cpp_type == field.CPPTYPE_INT64 and not field.is_repeated
    }
    return {name: int(value) if name in numbers else value for name, value in raw.items()}


def command(function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Give an async command --data-dir and --json, run it, and explain its failures."""

    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the data of `winnow up` lives (default: the user's data directory).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @wraps(function)
    def run(data_dir: Path | None, as_json: bool, **arguments: Any) -> None:
        console = Console(highlight=False, soft_wrap=True)
        session = Session(
            data_directory(data_dir), as_json, console, Console(stderr=True, highlight=False)
        )
        try:
            with explained():
                uvloop.run(function(session, **arguments))
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("winnow: interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None

    return run
