"""Lists that come in pages: the options for them, their tables, and what is said of the next page."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from services.cli.options import Session
from services.cli.values import MOMENT, on_one_line

PAGE_MAX = 500
LIST_MAX = 100_000  # gathered from many pages
TEXT_COLUMNS_MIN = 10  # to which a text is folded, and no narrower
CELL_COLUMNS_MAX = 300
GAP_COLUMNS = 2
F = TypeVar("F", bound=Callable[..., Any])


def limited(most: int) -> Callable[[F], F]:
    """Give a command --limit, of which the list is as long as `most` at most."""
    kind = click.IntRange(1, most)
    return click.option(
        "--limit", default=50, show_default=True, type=kind, help="At most so many."
    )


def paged(function: F) -> F:
    """Give a command --limit and --page-token."""
    token = click.option("--page-token", default="", help="Go on after a page, with what it told.")
    return limited(PAGE_MAX)(token(function))


def spanned(what: str) -> Callable[[F], F]:
    """Give a command --after and --before, which say when what it lists was made, begun or the like."""
    after, before = (
        click.option(*names, type=MOMENT, help=f"Only {what} {when} this (UTC).")
        for *names, when in (
            ("--after", "--since", "at or after"),
            ("--before", "--until", "before"),
        )
    )
    return lambda function: after(before(function))


class Listing(Table):
    """A table of which nothing is cut: texts are folded to the terminal, and a row that has no room goes on below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        measure = partial(Measurement.get, console, options.update(max_width=CELL_COLUMNS_MAX))
        needed = 0
        for column in self.columns:
            widest = max(measure(cell).maximum for cell in (column.header, *column.cells))
            column.min_width = widest if column.no_wrap else min(widest, TEXT_COLUMNS_MIN)
            needed += column.min_width + GAP_COLUMNS
        room = options.update(max_width=max(options.max_width, needed))
        yield from super().__rich_console__(console, room)

    def add_entry(self, *texts: str) -> None:
        """Add a row of plain texts, each on one line but for where it is folded."""
        self.add_row(*(escape(on_one_line(text)) for text in texts))


def listing(*columns: str, texts: tuple[str, ...] = ()) -> Listing:
    """A table; ids, numbers and dates stay whole, `texts` are the columns that may be folded."""
    table = Listing(box=None)
    for column in columns:
        table.add_column(column, no_wrap=column not in texts, overflow="fold")
    return table


def show_page(session: Session, table: Table, response: Any, what: str) -> None:
    """Print one page and how to get the next; one of which all was left out does not say that there is nothing."""
    if table.row_count or not response.next_page_token:
        session.console.print(table if table.row_count else f"no {what}")
    show_more(session, response)


def show_more(session: Session, response: Any) -> None:
    """Say how to get the next page, if there is one."""
    if response.next_page_token:
        session.tell_more(f"repeat with --page-token {response.next_page_token}")


def print_page(session: Session, response: Any) -> None:
    """Print one page as JSON and how to get the next."""
    session.print_message(response)
    show_more(session, response)


async def gather(
    limit: int, field: str, ask: Callable[[int, str], Awaitable[Any]], page_max: int = PAGE_MAX
) -> tuple[list[Any], bool]:
    """Up to `limit` of what replies have in a field, and whether there are more; `ask` takes a size and a token."""
    found: list[Any] = []
    token = ""
    while len(found) < limit:
        reply = await ask(min(page_max, limit - len(found)), token)
        found += getattr(reply, field)
        token = reply.next_page_token
        if not token:
            break
    return found, bool(token)
