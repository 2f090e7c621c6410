"""A query on the command line: it may begin with a dash, as a word does that must not occur."""

import re
import shlex
from itertools import islice

import click

_EXCLUSION = re.compile(r"-[^-]")


class QueryCommand(click.Command):
    """A command with one argument, a query, and options whose names begin with two dashes."""

    allow_extra_args = True

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the options wherever they stand; what begins with one dash is of the query."""
        rest = super().parse_args(context, self._query_last(context, args))
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

    def _query_last(self, context: click.Context, args: list[str]) -> list[str]:
        """The same arguments with those that could be taken for short options behind `--`."""
        options = {name: each for each in self.get_params(context) for name in each.opts}
        before: list[str] = []
        behind: list[str] = []
        coming = iter(args)
        for each in coming:
            if each == "--":
                behind += coming
            elif _EXCLUSION.match(each) and each not in options:
                behind.append(each)
            else:
                before.append(each)
                option = options.get(each)
                if isinstance(option, click.Option) and not option.is_flag:
                    before += islice(coming, option.nargs)
        return [*before, "--", *behind]
