"""A harness that is asked for something it does not know says so: to run nothing would look like success."""

import click
import pytest
from click.testing import CliRunner

from tests.faults import exhaustive, mutants, overload, recovery, soak


@pytest.mark.parametrize(
    ("command", "option"),
    [(exhaustive.main, "--points"), (mutants.main, "--only"), (soak.main, "--kinds")],
)
def test_what_is_unknown_is_refused(command: click.Command, option: str) -> None:
    """It ends as wrong usage does, and names what could be chosen."""
    result = CliRunner().invoke(command, [option, "nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.output
    assert result.output.count(", ") > 5


def test_a_broken_promise_is_named() -> None:
    """Figures that are not good enough say which of them, and good ones nothing."""
    good = {
        "factor": 5, "untyped_refusals": 0, "memory_spread": 0.05, "acknowledged_messages": 9,
        "stored_messages": 9, "vectors_missing": 0, "drain_seconds": 3,
    }  # fmt: skip
    assert overload.broken(good) == []
    assert overload.broken(good | {"factor": 3.3}) == ["5 times what fits is offered"]
    names = ("worker_death_seconds", "database_back_seconds", "longest_call_seconds")
    quick = {name: {"worst": 0.1} for name in names}
    assert recovery.broken(quick) == []
    (said,) = recovery.broken(quick | {"database_back_seconds": {"worst": 99.0}})
    assert said.startswith("database_back_seconds: 99.0, at most")
