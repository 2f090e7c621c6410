"""The command `winnow` itself: what it lists, what it loads, and what it says to a misspelt name."""

import subprocess
import sys

from click.testing import CliRunner

from services.cli.app import PARTS, winnow

LOADED = """import sys
from services.__main__ import winnow
winnow({}, standalone_mode=False)
print(*sys.modules)"""


def test_every_command_exists_and_is_listed() -> None:
    """The list of commands names every one with its summary, and each can be imported."""
    listed = CliRunner().invoke(winnow, ["--help"]).output
    for name, part in PARTS.items():
        assert f"  {name} " in listed
        assert part.summary in listed
        assert CliRunner().invoke(winnow, [name, "--help"]).exit_code == 0


def test_a_misspelt_command_is_answered_with_the_one_it_resembles() -> None:
    """Whoever mistypes a command is told which one there is; whoever types nonsense is told no other."""
    result = CliRunner().invoke(winnow, ["serach", "x"])
    assert result.exit_code == 2
    assert "No such command 'serach'. Did you mean 'search'?" in result.output
    assert "Did you mean" not in CliRunner().invoke(winnow, ["qqqq"]).output


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
