"""Ids and times as they are typed: what is none is refused before anything is called; and how counts are printed."""

import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from services.cli.values import counted, word
from winnow.types.v1 import types_pb2 as types

ID = "01a21a69-d42e-70ce-b63c-d11ad0805df1"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["atoms", "show", "nope"], "'ATOM_ID': 'nope' is no id"),
        (["topics", "split", ID, "x", "--title", "t"], "'MESSAGES...': 'x' is no id"),
        (["search", "backup", "--source", "x"], "'--source': 'x' is no id"),
        (["erase", "author", "ann", "--source", "", "--yes"], "'--source': '' is no id"),
        (
            ["search", "backup", "--after", "2026-13-01"],
            "'--after' / '--since': '2026-13-01' is no time like",
        ),
        (["extract", "--since", "yesterday"], "'--since' / '--after': 'yesterday' is no time like"),
        (["extract", "--source", ID, "now"], "--source goes after: winnow extract now --source"),
        (["extract", "--json", "now"], "--json goes after: winnow extract now --json"),
        (["search", "\udcff"], "'QUERY': is not text in UTF-8"),
        (["erase", "messages", "1", "\udcff", "--source", ID, "--yes"], "'KEYS...': is not text"),
        (["search", "backup", "--wait", "nan"], "'--wait': 'nan' is no finite number"),
        (["backfill", "--rate", "inf"], "'--rate': 'inf' is no finite number"),
        (
            ["backfill", "--dry-run", "--resume"],
            "--resume changes something, and --dry-run nothing",
        ),
        (["keys", "create", "ci", "--days", "99999999999"], "'--days': 99999999999 is not in"),
        (["atoms", "approve", ID, "--version", "5000000000"], "'--version': 5000000000 is not in"),
        (["import", "jsonl", "-", "--timezone", "Kiev/Europe"], "'Kiev/Europe' is no time zone"),
        (["import", "telegram", ".", "--timezone", "Europe"], "'--timezone': 'Europe' is no time"),
        (["import", "jsonl", "-", "--timezone", "../x"], "'../x' is no time zone like"),
        (["search", "backup", "--where", "(" * 3000], "--where: brackets and nots may not go"),
        (["search", "backup", "--where", "after:9"], "--where: '9' is no time like"),
    ],
)
def test_what_is_no_value_is_named_as_it_was_typed(arguments: list[str], named: str) -> None:
    """A wrong id or time is wrong usage, told by the option or argument; an empty id never means all."""
    result = CliRunner().invoke(winnow, arguments)
    assert result.exit_code == 2
    assert named in result.output


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01",
        "2026-3-1",
        "2026-03-01T09:30",
        "2026-03-01 09:30",
        "2026-03-01T09:30:00Z",
        "2026-03-01T09:30:00.123456Z",
        "2026-03-01T11:30+02:00",
    ],
)
def test_a_time_is_read_as_winnow_prints_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied from a list or from JSON can be given back; only then is the service looked for."""
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    monkeypatch.setenv("WINNOW_SEARCH_ADDRESS", "127.0.0.1:1")
    result = CliRunner().invoke(winnow, ["search", "backup", "--after", text])
    assert result.exit_code == 3, result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "backup", "--since", "2026-03-01", "--until", "2026-04-01"],
        ["ask", "why?", "--since", "2026-03-01", "--until", "2026-04-01"],
        ["extract", "--after", "2026-03-01", "--before", "2026-04-01", "--dry-run"],
        ["rescore", "--since", "2026-03-01", "--until", "2026-04-01", "--yes"],
    ],
)
def test_a_period_has_two_names(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever knows --since and --until of one command, or --after and --before of another, knows them of all."""
    monkeypatch.setenv("WINNOW_API_KEY", "none")
    for service in ("INGEST", "EXTRACTOR", "SEARCH"):
        monkeypatch.setenv(f"WINNOW_{service}_ADDRESS", "127.0.0.1:1")
    assert CliRunner().invoke(winnow, arguments).exit_code == 3


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 atoms are"), (1, "1 atom is"), (2, "2 atoms are"), (1_234_567, "1,234,567 atoms are")],
)
def test_one_thing_is_called_otherwise_than_many(count: int, said: str) -> None:
    """One is never spoken of as several, nor are large numbers written without their thousands."""
    assert counted(count, "atom is", "atoms are") == said
    assert counted(count, "atom") == said.rpartition(" ")[0]


def test_a_value_of_a_newer_release_is_shown() -> None:
    """Services may be newer than the command, and have a type that it has no name for."""
    assert word(types.AtomType, types.ATOM_TYPE_SOLUTION) == "solution"
    assert word(types.AtomType, 99) == "99"
