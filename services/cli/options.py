"""The options that every command takes, and how its output is printed."""

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click
import uvloop
from click.core import ParameterSource
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.markup import escape

from services.cli.embedded.paths import DataDirectory
from services.cli.failures import INTERRUPTED, UNREACHABLE, Failure, explained, system_reason
from services.cli.streams import has_every_letter
from services.cli.target import Target, data_directory, find
from services.cli.terminal import open_console, shown_json
from services.cli.values import Place
from services.common.settings import OWNER_LOGIN, refuse_unknown

CALL_SECONDS = 30.0
TOLD_AFTER_SECONDS = 2.0
_HALF = re.compile("[\ud800-\udfff]")
_PASSWORD = re.compile(r"//[^/@]*:[^/]*@|[?&]password=")


@dataclass(frozen=True)
class Session:
    """What a command works with: where Winnow is, and how to print."""

    data: DataDirectory
    as_json: bool
    console: Console
    progress: Console
    chose_data: bool = False  # whether --data-dir was given
    told: set[str] = field(default_factory=set)  # the services that are known to be waited for

    @property
    def target(self) -> Target:
        """The deployment that the command is for."""
        return find(self.data)

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches who can see a bar move."""
        return self.progress.is_terminal and not self.as_json

    async def call(
        self,
        service: str,
        stub: Callable[[Any], Any],
        request: Message,
        seconds_max: float = CALL_SECONDS,
    ) -> Any:
        """Send a request `XRequest` to the method `X` of a stub of a service, and return the reply."""
        target, method = self.target, request.DESCRIPTOR.name.removesuffix("Request")
        async with target.channel(service) as channel:
            call = getattr(stub(channel), method)
            with self.patience(service):
                return await call(request, metadata=target.metadata, timeout=seconds_max)

    @contextmanager
    def patience(self, service: str) -> Iterator[None]:
        """Say once which service is waited for, if it takes so long that one may wonder."""
        loop = asyncio.get_running_loop()
        handle = loop.call_later(TOLD_AFTER_SECONDS, self._tell_waiting, service)
        try:
            yield
        finally:
            handle.cancel()

    def _tell_waiting(self, service: str) -> None:
        if service not in self.told:
            self.told.add(service)
            self.progress.print(f"waiting for {service} …")

    def note(self, text: str) -> None:
        """Print what should be known beside a result."""
        self.console.print(f"[yellow]note:[/yellow] {escape(text)}")

    def tell_more(self, how: str) -> None:
        """Say, apart from the result, that there is more than it has, and how to get that."""
        self.progress.print(f"[dim]there are more: {escape(how)}[/dim]", soft_wrap=True)

    def print_json(self, value: Any) -> None:
        """Print one JSON value on a line of its own."""
        click.echo(shown_json(value, is_plain=not has_every_letter(sys.stdout)))

    def print_message(self, message: Message) -> None:
        """Print a message of the contract as JSON, with every field by its proto name."""
        self.print_json(as_dict(message))


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON values: proto names, zeros included, 64-bit numbers as numbers."""
    raw: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _with_numbers(message.DESCRIPTOR, raw)


def _with_numbers(kind: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """The values with 64-bit integers as numbers, which JSON of protobuf writes as strings."""
    for name in raw.keys() & kind.fields_by_name.keys():
        field = kind.fields_by_name[name]
        values = raw[name] if isinstance(raw[name], list) else [raw[name]]
        if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
            numbers = [int(value) for value in values]
            raw[name] = numbers if isinstance(raw[name], list) else numbers[0]
        elif field.message_type and not field.message_type.GetOptions().map_entry:
            for value in values:
                if isinstance(value, dict):
                    _with_numbers(field.message_type, value)
    return raw


_OWNER_VARIABLE = "WINNOW_ADMIN_DATABASE_URL"


def owner_database(
    otherwise: str, *, required: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --database-url, whose password is taken from anywhere but the command line."""
    return click.option(
        "--database-url",
        envvar=_OWNER_VARIABLE,
        show_envvar=True,
        required=required,
        callback=_without_password,
        help="The owner's login, with its password in WINNOW_ADMIN_DATABASE_URL or a password file; "
        + otherwise,
    )


def owner_setting() -> str:
    """Where the owner's login of the command that runs was given, for errors."""
    given = click.get_current_context().get_parameter_source("database_url")
    if given is ParameterSource.ENVIRONMENT:
        return _OWNER_VARIABLE
    return "--database-url" if given is ParameterSource.COMMANDLINE else OWNER_LOGIN


def _without_password(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Refuse a password that every user of the machine can read while the command runs, and what names no database."""
    typed = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    if typed and not value:
        raise click.BadParameter("the URL is empty", context, parameter)
    if typed and value and _PASSWORD.search(value):
        raise click.BadParameter(
            "others can read a command line: put the password into WINNOW_ADMIN_DATABASE_URL, "
            "or into ~/.pgpass",
            context,
            parameter,
        )
    return value


def _refuse_broken_texts(arguments: Mapping[str, Any]) -> None:
    """Raise BadParameter for a text that is not UTF-8, which Python hands on as halves of characters."""
    context = click.get_current_context()
    for parameter in context.command.params:
        value = arguments.get(parameter.name or "")
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and _HALF.search(text) for text in texts):
            raise click.BadParameter("is not text in UTF-8", context, parameter)


def _lack(data: DataDirectory) -> str:
    """What the servers that run on this machine have no room for, which may be why nobody answers; empty if nothing."""
    return data.lack() if data.runtime_state() else ""


def command(function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Give an async command --data-dir and --json, run it, and explain its failures."""

    @click.option(
        "--data-dir",
        type=Place(path_type=Path, file_okay=False),
        help="Where the data of `winnow up` lives (default: WINNOW_DATA_DIR, or the user's data directory).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @wraps(function)
    def run(data_dir: Path | None, as_json: bool, **arguments: Any) -> None:
        _refuse_broken_texts(arguments)
        console = open_console(sys.stdout)
        progress = open_console(sys.stderr, is_error=True)
        with explained():
            data = data_directory(data_dir)
        session = Session(data, as_json, console, progress, data_dir is not None)
        try:
            with explained():
                refuse_unknown()
                uvloop.run(function(session, **arguments))
        except Failure as failure:
            if failure.exit_code != UNREACHABLE or not (lack := _lack(session.data)):
                raise
            raise Failure(f"{failure.message}; {lack}", UNREACHABLE) from failure
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("winnow: interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # whoever read the output has gone, and the command ends quietly
        except OSError as error:
            raise Failure(system_reason(error)) from error

    return run
