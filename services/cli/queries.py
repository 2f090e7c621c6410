"""Arguments that may begin with a dash, as the numbers of some messages do, and words that a query excludes."""

import re
import shlex
from itertools import islice

import click

_DASHED = re.compile(r"-[^-]")


class DashedCommand(click.Command):
    """A command whose arguments may begin with a dash, and whose options begin with two."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the options wherever they stand; what begins with one dash is an argument."""
        return super().parse_args(context, self._arguments_last(context, args))

    def _arguments_last(self, context: click.Context, args: list[str]) -> list[str]:
        """The same arguments with those that could be taken for short options behind `--`."""
        options = {name: each for each in self.get_params(context) for name in each.opts}
        before: list[str] = []
        behind: list[str] = []
        coming = iter(args)
        for each in coming:
            if each == "--":
                behind += coming
            elif _DASHED.match(each) and each not in options:
                behind.append(each)
            else:
                before.append(each)
                option = options.get(each)
                if isinstance(option, click.Option) and not option.is_flag:
                    before += islice(coming, option.nargs)
        return [*before, "--", *behind]


class QueryCommand(DashedCommand):
    """A command with one argument, a query."""

    allow_extra_args = True

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the options wherever they stand; what begins with one dash is of the query."""
        rest = super().parse_args(context, args)
        if rest and not context.resilient_parsing:
            query = next(
                context.params[str(each.name)]
                for each in self.params
                if isinstance(each, click.Argument)
            )
            context.fail(
                "a query of several words goes in quotes, and options begin with two dashes: "
                f"{context.command_path} {shlex.quote(' '.join([query, *rest]))}"
            )
        return rest
