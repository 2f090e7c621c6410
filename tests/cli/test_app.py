"""The command `winnow` itself: what it lists, what it loads, and what it says to a misspelt name."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from services.cli.app import PARTS, winnow

LOADED = """import sys
from services.cli.app import winnow
winnow({}, standalone_mode=False)
print(*sys.modules)"""


def test_every_command_exists_and_is_listed() -> None:
    """The list of commands names every one with its summary, and each can be imported."""
    listed = CliRunner().invoke(winnow, ["--help"]).output
    for name, part in PARTS.items():
        assert f"  {name} " in listed
        assert part.summary in listed
        assert CliRunner().invoke(winnow, [name, "--help"]).exit_code == 0


def test_lists_of_commands_are_whole() -> None:
    """What a group says of its commands must not break off in the middle of a sentence."""
    for name in PARTS:
        listed = CliRunner().invoke(winnow, [name, "--help"]).output.partition("\nCommands:\n")[2]
        assert "..." not in listed, name


def helps(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    """The names of a command and of all below it."""
    yield names
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found
            yield from helps(found, *names, name)


def test_help_fits_a_terminal() -> None:
    """At 80 columns no line of a help is broken, but for the choices of an option, which are one word."""
    for names in helps(winnow):
        printed = CliRunner().invoke(winnow, [*names, "--help"], env={"COLUMNS": "80"}).output
        lines = [line for line in printed.splitlines() if not line.startswith("  --")]
        assert max(map(len, lines)) <= 80, names


def test_every_option_says_what_it_is() -> None:
    """No option is left to be guessed, and one that says when things began is called alike by all commands."""
    for names in helps(winnow):
        found: click.Command = winnow
        for name in names:
            assert isinstance(found, click.Group)
            below = found.get_command(click.Context(found), name)
            assert below
            found = below
        for option in (each for each in found.params if isinstance(each, click.Option)):
            assert option.help, (names, option.opts)
            for one, other in (("--since", "--after"), ("--until", "--before")):
                if one in option.opts and names != ("atoms", "edit"):
                    assert other in option.opts, names
            if option.multiple:
                assert "epeat" in option.help, (names, option.opts)


def test_a_misspelt_command_is_answered_with_the_one_it_resembles() -> None:
    """Whoever mistypes a command is told which one there is; whoever types nonsense is told no other."""
    result = CliRunner().invoke(winnow, ["serach", "x"])
    assert result.exit_code == 2
    assert re.search(r"No such command 'serach'\. .*Did you mean .*'search'", result.output)
    assert "Did you mean" not in CliRunner().invoke(winnow, ["qqqq"]).output
    result = CliRunner().invoke(winnow, ["import", "csv"])
    assert result.exit_code == 2
    assert "No such command 'csv'. There are: discord, jsonl, slack, telegram." in result.output


@pytest.mark.parametrize("option", ["--json", "--data-dir"])
def test_an_option_before_its_command_is_told_its_place(option: str) -> None:
    """Every command takes it, so whoever puts it first learns where it goes, and not that it does not exist."""
    result = CliRunner().invoke(winnow, [option, "x", "status"])
    assert result.exit_code == 2
    assert f"{option} goes after the command" in result.output
    assert "No such option" in CliRunner().invoke(winnow, ["--colour", "status"]).output
    result = CliRunner().invoke(winnow, ["dead", option, "x"])
    assert result.exit_code == 2
    assert f"{option} goes after the command: winnow dead COMMAND {option}" in result.output


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_an_interruption_means_the_same_while_a_command_is_loaded(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the first second, or at a question, ends with the code of an interruption like any later one."""

    def interrupted(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", interrupted)
    result = CliRunner().invoke(winnow, ["status"])
    assert (result.exit_code, result.output) == (130, "winnow: interrupted\n")


def test_a_misspelt_port_is_told_which_there_are() -> None:
    """Whoever misspells what should listen on a port is told all names, without a look at the help."""
    result = CliRunner().invoke(winnow, ["up", "--port", "serach=12345"])
    assert result.exit_code == 2
    assert "postgres, nats, nats_monitor, ingest, extractor, embedder, search" in " ".join(
        result.output.split()
    )


def test_a_misspelt_stage_is_refused() -> None:
    """Whoever mistypes a stage must be told which there are, not that nothing is dead."""
    for arguments in (["dead", "list"], ["dead", "replay"]):
        result = CliRunner().invoke(winnow, [*arguments, "--stage", "embedd"])
        assert result.exit_code == 2
        assert "'erase_embedder'" in result.output


def test_help_and_searches_load_no_server() -> None:
    """What a person waits for is not the import of servers, their drivers or models."""
    for arguments, forbidden in (
        (["--help"], {"grpc", "asyncpg", "nats", "llama_cpp", "pydantic"}),
        (["search", "--help"], {"asyncpg", "nats", "llama_cpp", "protovalidate", "opentelemetry"}),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", LOADED.format(arguments)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert not forbidden & set(ran.stdout.splitlines()[-1].split())


def test_a_misspelt_variable_is_refused_by_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that nothing reads is told at once, not after servers were started without it."""
    monkeypatch.setenv("WINNOW_API_KYE", "x")
    data = ["--data", "."]
    for arguments in (
        *(["status"], ["demo"], ["search", "backup"]),
        *(["evaluate", what, *data] for what in ("importance", "extraction", "retrieval")),
        ["migrate", "--database-url", "postgresql://127.0.0.1:1/none"],
    ):
        result = CliRunner().invoke(winnow, arguments)
        assert result.exit_code == 2
        assert "WINNOW_API_KYE: no such setting; did you mean WINNOW_API_KEY?" in result.output


def test_a_demo_does_not_pretend_to_keep_its_data() -> None:
    """A data directory that would stay empty is refused."""
    result = CliRunner().invoke(winnow, ["demo", "--data-dir", "here"])
    assert result.exit_code == 2
    assert "--data-dir goes with --keep or --running" in result.output


def test_every_command_prints_json() -> None:
    """Whatever answers can be read by programs; `run` alone only logs."""
    root = click.Context(winnow, info_name="winnow")
    lacking = {
        path
        for path, command in _leaves(winnow, root, "")
        if not any("--json" in option.opts for option in command.params)
    }
    assert lacking == {"run"}


def _leaves(
    group: click.Group, context: click.Context, path: str
) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from _leaves(command, click.Context(command, context), f"{path}{name} ")
        else:
            yield f"{path}{name}", command
