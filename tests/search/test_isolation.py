"""Two workspaces never see each other, whatever is asked in whatever order."""

import os

import pytest

from tests.conftest import Deployment
from tests.search.isolation import REQUESTS, isolating

# `make isolation` makes more of them, with another seed.
CALLS = int(os.environ.get("ISOLATION_CALLS", "350"))
SEED = int(os.environ.get("ISOLATION_SEED", "1"))


@pytest.mark.timeout(300 + CALLS // 10)
async def test_two_workspaces_never_see_each_other(deployment: Deployment) -> None:
    """Of random calls of both at once over every RPC, no reply may hold an id or a count of the other workspace."""
    async with isolating(deployment) as isolation:
        await isolation.calls(CALLS, SEED)
    assert not isolation.wrong, "\n".join(isolation.wrong[:20])
    assert set(isolation.answered) == set(REQUESTS)
    # Most replies hold something, or nothing would be shown.
    assert isolation.seen["own"] > isolation.seen["none"] / 2
