"""`winnow up`: runs everything in the foreground until Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.cli.embedded.ports import USER_PORTS, Ports
from services.cli.embedded.runtime import cancelled_by
from services.cli.embedded.supervisor import Event, State
from services.cli.modelling import fetch_wanted
from services.cli.options import Session, command
from services.cli.running import Running, check_settings, running
from services.cli.streams import drop_unwritten
from services.cli.target import data_option
from services.common.signals import stop_signals

_PORT = click.IntRange(USER_PORTS.start, USER_PORTS.stop - 1)
_PORTS = tuple(Ports.model_fields)
_TOLD_ALWAYS = (
    *(State.DIED, State.WAITING, State.RENEWED, State.FULL, State.ROOM, State.UNWATCHED),
    *(State.MIGRATED, State.NEWER),
)


def announce(console: Console, quiet: bool) -> Callable[[Event], None]:
    """Print what happens to the children, for as long as somebody reads it: nobody has to for them to run."""

    def tell(event: Event) -> None:
        if not quiet or event.state in _TOLD_ALWAYS:
            try:
                console.print(f"[dim]{escape(str(event))}[/dim]")
            except (OSError, SystemExit):  # rich exits where a pipe is broken
                drop_unwritten()

    return tell


@click.command()
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="NAME=PORT",
    help=f"Listen on this port or fail; repeatable. Names: {', '.join(_PORTS)}.",
)
@command
async def up(session: Session, ports: tuple[str, ...]) -> None:  # fmt: skip
    """Run PostgreSQL, NATS and the four services on this machine until Ctrl-C.

    The first start fetches the models. Everything listens on 127.0.0.1 alone; a part that dies is started again.
    """
    requested = _read_ports(ports)
    await check_settings()
    await fetch_wanted(session)
    tell = announce(session.progress, session.as_json)
    with cancelled_by(signal.SIGINT, *stop_signals()):
        try:
            async with running(session.data, requested, tell) as up_now:
                _introduce(session, up_now)
                await up_now.runtime.supervise()
        except asyncio.CancelledError:
            with suppress(OSError, SystemExit):  # where the terminal is closed
                session.progress.print("[dim]stopped[/dim]")


def _read_ports(texts: Sequence[str]) -> dict[str, int]:
    """The ports that are asked for, by name; each name and each port once."""
    requested: dict[str, int] = {}
    for name, port in map(_read_port, texts):
        if name in requested or port in requested.values():
            twice = name if name in requested else port
            raise click.BadParameter(f"{twice} is given twice", param_hint="--port")
        requested[name] = port
    return requested


def _read_port(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in _PORTS or not number.isdecimal():
        raise click.BadParameter(
            f"{text!r} is not NAME=PORT with a name of {', '.join(_PORTS)}",
            param_hint="--port",
        )
    try:
        return name, int(_PORT.convert(int(number), None, None))
    except click.BadParameter as error:
        error.param_hint = "--port"
        raise


def _introduce(session: Session, up_now: Running) -> None:
    if session.as_json:
        session.print_json({"addresses": up_now.target.addresses, "data": str(session.data.path)})
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, address in up_now.target.addresses.items():
        table.add_row(name, address)
    session.console.print(table)
    key = session.data.secrets / "api-key"
    session.console.print(escape(f"data in {session.data.path}, API key in {key}"))
    where = data_option(session.data)
    told = f"now, in another terminal: winnow import telegram result.json{where}, winnow search{where} …"
    session.console.print(escape(told))
