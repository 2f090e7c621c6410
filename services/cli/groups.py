"""Groups of commands, whose lists say the whole of what each does."""

import click

SUMMARY_CHARACTERS_MAX = 300


class Group(click.Group):
    """A group that lists its commands by their whole first sentences, on as many lines as they need."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands."""
        listed = [
            (name, command.get_short_help_str(SUMMARY_CHARACTERS_MAX))
            for name in self.list_commands(context)
            if (command := self.get_command(context, name)) is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(listed)
