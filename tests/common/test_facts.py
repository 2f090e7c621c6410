"""The relay publishes every fact at least once, and forgets only what the broker has."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.common.outbox import FACTS, announce
from tests.common.relays import announced, published, relaying, until_quiet, waiting
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.meanwhile import meanwhile
from winnow.events.v1.events_pb2 import AtomsExtracted, Event


async def test_facts_are_published_once_and_forgotten(deployment: Deployment) -> None:
    """Each fact arrives whole, in order, under its workspace, and leaves the table."""
    async with relaying() as (relay, bus):
        before = datetime.now(UTC)
        runs = await announced(deployment, 150)
        await until_quiet(relay, deployment.admin)
        events = await published(bus)
    assert [event.atoms_extracted.run_id for event in events] == runs
    assert {event.workspace_id for event in events} == {str(deployment.workspace)}
    assert len({UUID(event.id) for event in events}) == 150
    moments = [event.happened_at.ToDatetime(UTC) for event in events]
    assert before <= min(moments) <= max(moments) <= datetime.now(UTC)


async def test_a_crash_before_forgetting_repeats_the_same_event(deployment: Deployment) -> None:
    """A relay that dies between publishing and forgetting leaves the fact, and the next one repeats it under its id."""
    async with relaying() as (relay, bus):
        await bus.declare()
        [run] = await announced(deployment, 1)
        async with deployment.admin.transaction():
            [row] = await deployment.admin.fetch("select * from spine.take_events(10, $1)", FACTS)
            body = Event(id="as before the crash").SerializeToString()
            await bus.publish_event(row["workspace_id"], row["fact"], body, row["id"])
        assert await waiting(deployment.admin) == 1
        await until_quiet(relay, deployment.admin)
        [event] = await published(bus)
    assert event.id == "as before the crash", "the broker took the repeat for another event"
    assert run


async def test_facts_of_a_newer_release_wait_for_it(deployment: Deployment) -> None:
    """A fact that this release does not know is left alone and holds up nothing."""
    insert = (
        "insert into spine.event (workspace_id, fact, payload) values ($1, 'not_yet_invented', '')"
    )
    for _ in range(120):
        await deployment.admin.execute(insert, deployment.workspace)
    async with relaying() as (relay, bus):
        runs = await announced(deployment, 1)
        async with meanwhile(relay.run()):
            await until_true(deployment.admin, "(select count(*) from spine.event) = 120")
        assert [event.atoms_extracted.run_id for event in await published(bus)] == runs
    assert await waiting(deployment.admin) == 120


async def test_an_unknown_fact_cannot_be_announced(deployment: Deployment) -> None:
    """A name that Event does not carry is refused where it is written."""
    with pytest.raises(ValueError, match="misspelt"):
        await announce(deployment.admin, deployment.workspace, "misspelt", AtomsExtracted())


async def test_a_rolled_back_fact_is_never_announced(deployment: Deployment) -> None:
    """What did not happen is not published."""
    async with relaying() as (relay, bus):
        transaction = deployment.admin.transaction()
        await transaction.start()
        await announced(deployment, 1)
        await transaction.rollback()
        kept = await announced(deployment, 1)
        await until_quiet(relay, deployment.admin)
        assert [event.atoms_extracted.run_id for event in await published(bus)] == kept
