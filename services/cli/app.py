"""The `winnow` command; each part is imported when it is called, so that a service starts without them all."""

import importlib
from importlib.metadata import version

import click

PARTS = {
    "ask": "services.cli.asking:ask",
    "atoms": "services.cli.curating:atoms",
    "audit": "services.cli.auditing:audit",
    "backfill": "services.cli.backfilling:backfill",
    "bot": "services.cli.telegram_bot.command:bot_group",
    "broker": "services.cli.broker:broker",
    "dead": "services.cli.status:dead",
    "demo": "services.cli.demonstrate:demo",
    "doctor": "services.evaluating:doctor",
    "erase": "services.cli.erasing:erase",
    "evaluate": "services.evaluating:evaluate",
    "extract": "services.cli.extracting:extract",
    "follow": "services.cli.following:follow",
    "generations": "services.cli.generations:generations",
    "import": "services.cli.importing:import_group",
    "keys": "services.cli.keys:keys",
    "migrate": "services.deploying:migrate",
    "models": "services.cli.modelling:models",
    "operations": "services.cli.erasing:operations",
    "provider": "services.cli.provider:provider",
    "rescore": "services.cli.erasing:rescore",
    "run": "services.deploying:run",
    "runs": "services.cli.knowledge:runs",
    "search": "services.cli.searching:search",
    "status": "services.cli.status:status",
    "top": "services.cli.top:top",
    "topics": "services.cli.curating:topics",
    "up": "services.cli.up:up",
    "validate": "services.cli.validation.command:validate",
}


class LazyGroup(click.Group):
    """A group whose commands are named by `module:attribute`."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All names in order."""
        return sorted(PARTS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the command when it is wanted."""
        if name not in PARTS:
            return None
        module, _, attribute = PARTS[name].partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found


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
      winnow status                        rows, vectors, tasks

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Winnow cannot be reached, 4 bad input, 5 a model is
    missing or wrong, 130 interrupted.
    """
