"""The database's clock, when it is put back."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from services.common.clocks import DatabaseClock
from tests.common.relays import relaying
from tests.common.stages import STAGE, Recorder, make, running, states, store_of, until
from tests.conftest import Deployment
from tools.guide import run_by

BACK = timedelta(hours=3)
# As if a clock that was three hours ahead had been put right.
PUT_BACK = """update spine.task set available_at = available_at + $1::interval, hint_at = hint_at + $1::interval,
  lease_until = lease_until + $1::interval, created_at = created_at + $1::interval"""


def test_a_clock_that_goes_back_is_told_by_how_much() -> None:
    """It is told neither of a slow answer, nor where it is put forward, or right by seconds."""
    seconds = iter([0, 1, 2, 3, 4, 90, 91, 92, 93, 94])
    clock, noon = DatabaseClock(lambda: next(seconds)), datetime(2026, 5, 4, 12, tzinfo=UTC)

    def told(now: datetime) -> timedelta | None:
        clock.ask()
        return clock.answer(now)

    assert told(noon) is None
    assert told(noon + timedelta(seconds=-50)) is None
    assert told(noon) is None
    assert told(noon + BACK) is None
    back = told(noon + timedelta(seconds=10))
    assert back == BACK - timedelta(seconds=9)


async def test_the_log_tells_of_it(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever wonders why nothing is worked on finds it in the log of every service that ran meanwhile."""
    async with relaying() as (relay, _):
        await relay._prepare()
        await relay._prepare()
        assert "went back" not in caplog.text
        relay._clock.answer(datetime.now(UTC) + BACK)
        await relay._prepare()
    assert re.search(r"the database's clock went back by (3:00:00|2:59:\d\d):", caplog.text)


async def test_what_waits_since_then_is_brought_forward(deployment: Deployment) -> None:
    """Older tasks wait, newer ones do not, and the statement of the page has all worked on, also those taken before."""
    async with store_of(lease=1) as store:
        [taken] = await make(deployment, "taken")
        assert len(await store.claim(deployment.workspace, STAGE, [taken], taken)) == 1
        await make(deployment, "waiting", "later")
    later = "update spine.task set available_at = now() + interval '1 hour' where spec = 'later'"
    await deployment.admin.execute(later)
    await deployment.admin.execute(PUT_BACK, BACK)
    stage = Recorder()
    async with running(stage):
        await make(deployment, "new")
        await until(deployment.admin, done=1, ready=2, leased=1)
        [block] = run_by("clock")
        await deployment.admin.execute(block.text)
        await until(deployment.admin, done=3, ready=1)
    assert set(stage.written) == {"new", "taken", "waiting"}
    waits = "select available_at - now() from spine.task where spec = 'later'"
    assert await deployment.admin.fetchval(waits) < timedelta(hours=1)
    assert await states(deployment.admin) == {"done": 3, "ready": 1}
