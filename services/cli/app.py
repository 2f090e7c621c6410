"""The `winnow` command; each part is imported when it is called, so that a service starts without them all."""

import importlib
import signal
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import click

from services.cli.interrupts import leave_to_the_command
from services.cli.streams import ended_unread


@dataclass(frozen=True, slots=True)
class Part:
    """A command as `module:attribute`, and what the list of commands says of it."""

    where: str
    summary: str


PARTS = {
    "ask": Part("services.cli.asking:ask", "Answer a question from cited messages."),
    "atoms": Part(
        "services.cli.curating:atoms",
        "Show pieces of knowledge and what they rest on; review them.",
    ),
    "audit": Part("services.cli.auditing:audit", "Show what was done with an admin's rights."),
    "authors": Part("services.cli.authors:authors", "List who wrote messages, with their ids."),
    "backfill": Part(
        "services.cli.backfilling:backfill", "Embed everything that has no current vector."
    ),
    "bot": Part(
        "services.cli.telegram_bot.command:bot_group", "Receive messages as they are written."
    ),
    "broker": Part("services.cli.broker:broker", "Prepare a NATS server of your own."),
    "dead": Part(
        "services.cli.status:dead", "List tasks that failed too often, or give them another chance."
    ),
    "demo": Part(
        "services.cli.demonstrate:demo", "Run everything on a sample chat and ask three questions."
    ),
    "doctor": Part(
        "services.evaluating:doctor", "Check this machine, the models and the running services."
    ),
    "erase": Part(
        "services.cli.erasing:erase", "Remove messages, and all that was made of them, for good."
    ),
    "evaluate": Part("services.evaluating:evaluate", "Measure the product on labelled data."),
    "extract": Part(
        "services.cli.extracting:extract", "Read conversations again, by messages or by time."
    ),
    "follow": Part(
        "services.cli.following:follow", "Show atoms and topics as they appear and change."
    ),
    "generations": Part(
        "services.cli.generations:generations",
        "Change the embedding model without downtime.",
    ),
    "import": Part("services.cli.importing:import_group", "Import messages from a file."),
    "keys": Part("services.cli.keys:keys", "Make, list and revoke API keys."),
    "messages": Part(
        "services.cli.messages:messages", "Show one message, how far it is, and what rests on it."
    ),
    "migrate": Part(
        "services.deploying:migrate", "Bring a database to the schema of this release."
    ),
    "models": Part("services.cli.modelling:models", "List models, fetch them, check them."),
    "operations": Part(
        "services.cli.erasing:operations", "Show what erasures and rescores have done."
    ),
    "provider": Part(
        "services.cli.provider:provider",
        "Show which engine and model read, and what was spent today.",
    ),
    "rescore": Part("services.cli.erasing:rescore", "Score stored messages again."),
    "run": Part("services.deploying:run", "Run services by name in the foreground."),
    "runs": Part("services.cli.runs:runs", "Show how readings of conversations went."),
    "search": Part(
        "services.cli.searching:search", "Search messages and atoms by meaning and by words."
    ),
    "sources": Part(
        "services.cli.sources:sources", "List the chats that messages came from, with their ids."
    ),
    "status": Part(
        "services.cli.status:status",
        "Show services, rows, vectors, tasks and what is 0 at rest.",
    ),
    "top": Part("services.cli.top:top", "Show the pipeline live."),
    "topics": Part(
        "services.cli.curating:topics", "Show what conversations were about; review it."
    ),
    "up": Part("services.cli.up:up", "Run PostgreSQL, NATS and the four services until Ctrl-C."),
    "validate": Part(
        "services.cli.validation.command:validate",
        "Send a small conversation through and judge what comes out.",
    ),
}


_OF_COMMANDS = ("--data-dir", "--json")


def _tell_the_place(error: click.NoSuchOption) -> None:
    """Raise UsageError with where an option goes that a group was given and its commands take."""
    context = error.ctx
    if context and isinstance(context.command, click.Group) and error.option_name in _OF_COMMANDS:
        option, path = error.option_name, context.command_path
        context.fail(f"{option} goes after the command: {path} COMMAND {option} …")


def _list_commands(error: click.NoSuchCommand) -> None:
    """Raise UsageError with the commands that a group has, if none resembles the one that was given."""
    context = error.ctx
    if context and isinstance(context.command, click.Group) and not error.possibilities:
        there = ", ".join(context.command.list_commands(context))
        context.fail(f"{error.message} There are: {there}.")


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists all without importing any."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All names in order."""
        return sorted(PARTS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the command when it is wanted."""
        if name not in PARTS:
            return None
        module, _, attribute = PARTS[name].where.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        leave_to_the_command()
        return found

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the options before a command, of which --help prints."""
        with ended_unread():
            return super().make_context(*arguments, **options)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the options before a command; one that commands take is told its place."""
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            _tell_the_place(error)
            raise

    def invoke(self, context: click.Context) -> Any:
        """Find and run a command; an interruption means the same while it is found as while it runs."""
        try:
            with ended_unread():
                return super().invoke(context)
        except click.NoSuchOption as error:
            _tell_the_place(error)
            raise
        except click.NoSuchCommand as error:
            _list_commands(error)
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("winnow: interrupted", err=True)
            context.exit(128 + signal.SIGINT)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant; a misspelt one is answered with the one it resembles."""
        try:
            return super().resolve_command(context, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, None, PARTS, context) from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, PARTS[name].summary) for name in sorted(PARTS)])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(version("winnow"), prog_name="winnow")
def winnow() -> None:
    """Turn team chat into searchable knowledge.

    \b
    First steps:
      winnow demo                          see it work on a sample chat
      winnow up                            run everything on this machine
      winnow import telegram result.json   in another terminal: import a chat
      winnow search "what did we decide about the release?"
      winnow ask "why did the backup fail?"   an answer from cited messages
      winnow status                        services, rows, vectors, tasks

    Times are shown in UTC; those of options are in UTC, too, unless they name a zone.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Winnow cannot be reached, 4 bad input, 5 a model is missing or wrong,
    6 imported but for rows that were left out or rejected, 130 interrupted, 141 nobody reads the output any more.
    """
