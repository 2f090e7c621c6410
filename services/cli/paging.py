"""Lists that come in pages: the options for them, their tables, and what is said of the next page."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
from rich.markup import escape
from rich.table import Table

from services.cli.options import Session

PAGE_MAX = 500
F = TypeVar("F", bound=Callable[..., Any])


def paged(function: F) -> F:
    """Give a command --limit and --page-token."""
    limit = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, PAGE_MAX))
    token = click.option("--page-token", default="", help="Where the page before ended.")
    return limit(token(function))


def listing(*columns: str) -> Table:
    """A table whose first column is an id that must stay whole."""
    table = Table(box=None)
    for column in columns:
        table.add_column(column, no_wrap=column == columns[0], overflow="fold")
    return table


def show_page(session: Session, table: Table, response: Any, what: str) -> None:
    """Print one page and how to get the next; one of which all was left out does not say that there is nothing."""
    if table.row_count or not response.next_page_token:
        session.console.print(table if table.row_count else f"no {what}")
    show_more(session, response)


def show_more(session: Session, response: Any) -> None:
    """Say how to get the next page, if there is one."""
    if response.next_page_token:
        session.console.print(
            f"[dim]there are more: repeat with --page-token {escape(response.next_page_token)}[/dim]"
        )


async def gather(limit: int, ask: Callable[[int, str], Awaitable[Any]]) -> list[Any]:
    """As many replies as hold up to `limit` rows; `ask` is called with the size of a page and its token."""
    replies, left, token = [], limit, ""
    while left > 0:
        size = min(PAGE_MAX, left)
        replies.append(await ask(size, token))
        left, token = left - size, replies[-1].next_page_token
        if not token:
            break
    return replies
