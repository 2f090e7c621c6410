"""Lists that come in pages."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.embedded.paths import DataDirectory
from services.cli.options import Session
from services.cli.paging import listing, show_page
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
