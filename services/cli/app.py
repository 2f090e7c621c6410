"""The `winnow` command without the parts that need the services' own code."""

from importlib.metadata import version

import click

from services.cli.demonstrate import demo
from services.cli.doctor import doctor
from services.cli.importing import import_group
from services.cli.modelling import models
from services.cli.searching import search
from services.cli.status import backfill, dead, status
from services.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("winnow"), prog_name="winnow")
def winnow() -> None:
    """Turn team chat into searchable knowledge.

    \b
    First steps:
      winnow demo                          see it work on a sample chat
      winnow up                            run everything on this machine
      winnow import telegram result.json   in another terminal: import a chat
      winnow search "what did we decide about the release?"
      winnow status                        rows, vectors, tasks

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Winnow cannot be reached, 4 bad input, 5 a model is
    missing or wrong, 130 interrupted.
    """


for part in (demo, up, import_group, search, status, backfill, dead, doctor, models):
    winnow.add_command(part)
