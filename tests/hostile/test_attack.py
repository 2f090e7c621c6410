"""Damaged requests to every RPC: typed refusals alone, and nothing of another workspace is seen or changed."""

import os
import sys

import pytest

from tests.common.edge import METHODS
from tests.conftest import Deployment
from tests.hostile.attack import OF_THE_DEPLOYMENT, SETTINGS, attacking, state_of

# `make attack` makes more of them, with another seed.
ENOUGH = 10 * len(METHODS)
CALLS = int(os.environ.get("ATTACK_CALLS", ENOUGH))
# Of these so many, at the end, are of methods by which an admin of any workspace changes what all of them share.
SHARED_CALLS = CALLS // 6
SEED = int(os.environ.get("ATTACK_SEED", "1"))


@pytest.mark.timeout(300 + CALLS // 10)
async def test_no_request_reaches_another_workspace(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked, by ids of the other workspace or not: no reply names a row of it, and none of it changes."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    async with attacking(deployment) as attack:
        assert len(attack.victim.ids) > 10
        before = await state_of(deployment.admin, attack.victim.workspace)
        own = [m for m in METHODS if m.name not in OF_THE_DEPLOYMENT]
        await attack.calls(CALLS - SHARED_CALLS, SEED, own)
        assert not attack.report.wrong, "\n".join(attack.report.wrong[:40])
        after = await state_of(deployment.admin, attack.victim.workspace)
        assert [table for table in before if before[table] != after[table]] == []
        shared = [m for m in METHODS if m.name in OF_THE_DEPLOYMENT]
        await attack.calls(SHARED_CALLS, SEED, shared)
        assert not attack.report.wrong, "\n".join(attack.report.wrong[:40])
    codes = attack.report.codes
    sys.stderr.write(f"{codes.total():,} calls: {dict(codes.most_common())}\n")
    assert codes.total() == CALLS
    # Many methods were reached, not only refused; the others ask for ids that the attacker does not have.
    assert CALLS < ENOUGH or len(attack.report.answered) > len(METHODS) // 3, attack.report
