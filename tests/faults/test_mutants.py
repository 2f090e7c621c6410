"""Each mutant still takes out what it says, so that a hunt for it means something."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.mutants import MUTANTS, Mutant, apply, copy_to


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source(scratch: Path, mutant: Mutant) -> None:
    """What is taken out stands there, and what is left is still Python."""
    copy_to(scratch)
    apply(scratch, mutant)
    for edit in mutant.edits:
        if edit.path.endswith(".py"):
            subprocess.run([sys.executable, "-m", "py_compile", scratch / edit.path], check=True)
