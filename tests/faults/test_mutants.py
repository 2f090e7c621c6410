"""Each mutant still takes out what it says, so that a hunt for it means something."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.common import migrations
from tests.faults.mutants import MUTANTS, Mutant, apply, copy_to


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source(scratch: Path, mutant: Mutant) -> None:
    """What is taken out stands there, and what is left is still Python."""
    copy_to(scratch)
    apply(scratch, mutant)
    for edit in mutant.edits:
        if edit.path.endswith(".py"):
            subprocess.run([sys.executable, "-m", "py_compile", scratch / edit.path], check=True)


@pytest.mark.parametrize(
    "mutant",
    [m for m in MUTANTS if any(e.path.endswith("*.sql") for e in m.edits)],
    ids=lambda mutant: mutant.name,
)
async def test_a_mutant_migrates(scratch: Path, empty_url: str, mutant: Mutant) -> None:
    """What is left of the schema is still one, so that a hunt meets the mutant and not its mistake."""
    copy_to(scratch)
    apply(scratch, mutant)
    assert await migrations.migrate(empty_url, scratch / "services/common/schema")
