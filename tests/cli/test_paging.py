"""Lists that come in pages."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.embedded.paths import DataDirectory
from services.cli.options import Session
from services.cli.paging import gather, listing, show_page
from winnow.ingest.v1 import ingest_pb2 as pb


@pytest.mark.parametrize(
    ("token", "rows", "said"),
    [
        ("", 0, "no sources"),
        ("next", 0, "there are more: repeat with --page-token next"),
        ("", 1, "id"),
    ],
)
def test_a_page_without_rows_is_not_the_end(
    tmp_path: Path, token: str, rows: int, said: str
) -> None:
    """That there is nothing must be said on the last page alone: of one before, all may have been left out."""
    file = io.StringIO()
    session = Session(DataDirectory(tmp_path), False, Console(file=file), Console(file=file))
    table = listing("id")
    for _ in range(rows):
        table.add_row("x")
    show_page(session, table, pb.ListSourcesResponse(next_page_token=token), "sources")
    assert file.getvalue().lstrip().startswith(said)


@pytest.mark.parametrize("width", [30, 60, 200])
def test_nothing_of_a_list_is_cut(width: int) -> None:
    """On a narrow terminal an id can still be copied and every column read: texts are folded, and rows go on below."""
    file = io.StringIO()
    console = Console(file=file, width=width, soft_wrap=True)
    table = listing("id", "title", "outcome", texts=("title",))
    title = "why the nightly backup failed"
    table.add_row("01a226fa-f599-7a01-a38f-598805862fdc", title, "[dim]INVALID_ARGUMENT[/dim]")
    console.print(table)
    printed = file.getvalue()
    for whole in ("01a226fa-f599-7a01-a38f-598805862fdc", "INVALID_ARGUMENT", *title.split()):
        assert whole in printed
    assert (title in printed) is (width == 200)


@pytest.mark.parametrize(
    ("limit", "pages", "sizes", "more"),
    [
        (5, [5], [5], False),
        (5, [2, 2, 1], [5, 3, 1], True),
        (5, [2, 2], [5, 3], False),
        (600, [500, 50, 50], [500, 100, 50], True),
    ],
)
async def test_pages_that_end_early_are_gone_on_with(
    limit: int, pages: Sequence[int], sizes: Sequence[int], more: bool
) -> None:
    """As many as are wanted must be gathered, whatever a reply holds of them."""
    asked: list[tuple[int, str]] = []

    async def ask(size: int, token: str) -> pb.ListSourcesResponse:
        asked.append((size, token))
        is_last = len(asked) == len(pages) and not more
        sources = [pb.Source()] * pages[len(asked) - 1]
        return pb.ListSourcesResponse(
            sources=sources, next_page_token="" if is_last else str(len(asked))
        )

    found, are_more = await gather(limit, "sources", ask)
    assert (len(found), are_more) == (sum(pages), more)
    assert asked == [(size, str(n) if n else "") for n, size in enumerate(sizes)]
