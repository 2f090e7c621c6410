"""Requests that are valid but for a fault: answered or refused by name, never a defect."""

import os
import sys

import pytest

from tests.conftest import Deployment
from tests.fuzzing.rpcs import ALL, fuzzing
from tests.hostile.attack import SETTINGS

# `make fuzz` makes more of them, with another seed.
CALLS = int(os.environ.get("FUZZ_CALLS", 5 * len(ALL)))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
# They need a generation that served before.
NEVER_ALONE = {"RollBackGeneration", "RetireGeneration"}


@pytest.mark.timeout(300 + CALLS // 5)
async def test_no_fault_of_a_request_is_met_with_a_defect(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every RPC answers a valid request; with a field or bytes of it at fault, it answers or says what is."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    async with fuzzing(deployment) as fuzz:
        # Else most faults would be in what is refused anyway, and meet no query.
        refused = await fuzz.never_answered()
        assert set(refused) <= NEVER_ALONE, refused
        await fuzz.calls(CALLS, SEED)
    sys.stderr.write(f"{fuzz.codes.total():,} calls: {dict(fuzz.codes.most_common())}\n")
    assert not fuzz.wrong, "\n".join(fuzz.wrong[:40])
