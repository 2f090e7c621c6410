"""A query as it is typed."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from services.cli.app import winnow
from services.cli.asking import ask
from services.cli.erasing import erase
from services.cli.searching import search


def read(*typed: str, command: click.Command = search) -> dict[str, Any]:
    """What a command takes from its arguments."""
    parent = winnow.make_context("winnow", ["search"])
    return command.make_context("search", list(typed), parent).params


@pytest.mark.parametrize("query", ["-staging", "-s", "-staging backup", "-1", "--", "-"])
def test_a_query_may_begin_with_a_dash(query: str) -> None:
    """A word that must not occur is typed as the help shows it, also where it stands alone or first."""
    typed = ["--", query] if query == "--" else [query]
    assert read(*typed)["query"] == query
    assert read("--limit", "3", *typed)["query"] == query
    assert read(*typed, command=ask)["question"] == query


def test_options_stand_before_and_behind_a_query_with_a_dash() -> None:
    """What such a query does not take from anybody is their options, and values that begin with a dash."""
    read_options = read("--json", "-staging", "--author", "-5", "--author=-6", "--limit", "3")
    assert read_options["query"] == "-staging"
    assert read_options["as_json"] is True
    assert read_options["authors"] == ("-5", "-6")
    assert read_options["limit"] == 3


def test_keys_of_messages_may_begin_with_a_dash() -> None:
    """Telegram numbers what a supergroup took over below zero, and such keys are typed as they are shown."""
    source = "01a227d0-6f56-708f-8999-1d7ec7630fd7"
    command = erase.commands["messages"]
    typed = ["-999999997", "5", "--source", source, "-999999996@hal", "--yes"]
    taken = read(*typed, command=command)
    assert sorted(taken["keys"]) == ["-999999996@hal", "-999999997", "5"]
    assert (taken["source"], taken["yes"]) == (source, True)
    assert read("-5", "--yes", command=erase.commands["author"])["author"] == "-5"
    misspelt = CliRunner().invoke(winnow, ["erase", "messages", "5", "--yess", "--source", source])
    assert (misspelt.exit_code, "No such option" in misspelt.output) == (2, True)


def test_help_is_no_query() -> None:
    """`-h` explains the command, as it does everywhere."""
    shown = CliRunner().invoke(winnow, ["search", "-h"])
    assert (shown.exit_code, "Usage: winnow search" in shown.output) == (0, True)


@pytest.mark.parametrize(
    "typed", [["lock", "timeout", "-staging"], ["lock", "-staging", "timeout"]]
)
def test_a_query_without_quotes_is_told_how_to_be_typed(typed: list[str]) -> None:
    """Several words are refused with the very line to type instead."""
    refused = CliRunner().invoke(winnow, ["search", "--limit", "3", *typed])
    assert refused.exit_code == 2
    assert "winnow search 'lock timeout -staging'" in refused.output


def test_a_misspelt_option_is_no_query() -> None:
    """What begins with two dashes is an option, and is told which one it resembles."""
    refused = CliRunner().invoke(winnow, ["search", "deploy", "--limits", "3"])
    assert refused.exit_code == 2
    assert "No such option" in refused.output
    assert "--limit" in refused.output
