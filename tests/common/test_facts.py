"""The relay publishes every fact at least once, and forgets only what the broker has."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.common import relay as relay_module
from services.common import streams as streams_module
from services.common.bus import EVENTS_STREAM, MESSAGE_BYTES_MIN, Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.facts import events
from services.common.outbox import FACTS, announce
from services.common.relay import Relay
from tests.common.relays import (
    LIMITS,
    announced,
    lose_files,
    published,
    relaying,
    until_quiet,
    waiting,
)
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.meanwhile import meanwhile
from tests.servers import NatsServer
from winnow.events.v1.events_pb2 import AtomsExtracted, Event, MessagesIngested


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


@pytest.fixture
def soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are given up, and facts tried again, sooner than usual."""
    monkeypatch.setattr(streams_module, "UNSTORED_MAX", 2)
    monkeypatch.setattr(relay_module, "FACTS_PAUSE_SECONDS", 0.1)


@pytest.mark.usefixtures("soon_given_up")
async def test_a_stream_of_events_whose_files_are_gone_begins_anew(
    deployment: Deployment, nats: NatsServer
) -> None:
    """A server that has lost every event, and stores none, holds up no fact until it is started again."""
    async with relaying() as (relay, bus):
        await bus.declare()
        await announced(deployment, 3)
        await until_quiet(relay, deployment.admin)
        await lose_files(nats, bus, f"winnow.events.{deployment.workspace}.vectors_written")
        runs = await announced(deployment, 2)
        async with meanwhile(relay.run()):
            await until_true(deployment.admin, "not exists (select from spine.event)", 120)
        assert [event.atoms_extracted.run_id for event in await published(bus)] == runs


@pytest.mark.usefixtures("soon_given_up")
@pytest.mark.parametrize("lost", [(), (1,), (1, 3)])
async def test_a_stream_of_events_that_can_be_read_stays(
    deployment: Deployment, caplog: pytest.LogCaptureFixture, lost: tuple[int, ...]
) -> None:
    """One that stores nothing, as after a full disk, keeps what is nowhere else, and whoever operates it is told."""
    async with relaying() as (relay, bus):
        await bus.declare()
        await announced(deployment, 3)
        await until_quiet(relay, deployment.admin)
        for number in lost:
            await bus._js.delete_msg(EVENTS_STREAM, number)
        for _ in range(2):
            with pytest.raises(TimeoutError), bus._streams.storing(EVENTS_STREAM):
                raise TimeoutError
        await bus.declare()
        state = (await bus._js.stream_info(EVENTS_STREAM)).state
    assert state.messages == 3 - len(lost)
    assert "start nats-server again" in caplog.text


async def test_a_fact_larger_than_a_message_is_told_in_parts(
    deployment: Deployment, nats: NatsServer
) -> None:
    """Where the server takes only small messages, what names many things holds up nothing and is told in full."""
    nats.stop()
    nats.configure(f"max_payload: {MESSAGE_BYTES_MIN}")
    nats.start()
    source, messages = str(uuid4()), [str(uuid4()) for _ in range(2_000)]
    atoms, topics = [str(uuid4()) for _ in range(301)], [str(uuid4())]
    async with relaying() as (relay, bus):
        await bus.declare()
        many = MessagesIngested(source_id=source, message_ids=messages)
        both = AtomsExtracted(run_id=source, atom_ids=atoms, topic_ids=topics)
        for name, fact in (("messages_ingested", many), ("atoms_extracted", both)):
            await announce(deployment.admin, deployment.workspace, name, fact)
        async with deployment.admin.transaction():
            rows = await deployment.admin.fetch("select * from spine.take_events(10, $1)", FACTS)
            before = [each for row in rows for each in events(row, bus.event_bytes_max)]
        runs = await announced(deployment, 1)
        await until_quiet(relay, deployment.admin)
        told = await published(bus)
    assert told[:-1] == before
    assert told[-1].atoms_extracted.run_id == runs[0]
    parts = [event.messages_ingested for event in told if event.messages_ingested.message_ids]
    assert [each for part in parts for each in part.message_ids] == messages
    assert {part.source_id for part in parts} == {source}
    rest = [event.atoms_extracted for event in told[len(parts) : -1]]
    assert [each for part in rest for each in part.atom_ids] == atoms
    assert [each for part in rest for each in part.topic_ids] == topics
    ids = [UUID(event.id) for event in told]
    assert len(set(ids)) == len(ids) > 25
    assert {each.version for each in ids} == {7}


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


async def test_a_slow_broker_gets_every_fact(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was published is forgotten before the database ends a session that has nothing to say for too long."""
    monkeypatch.setattr(relay_module, "FACTS_SECONDS", 0.1)
    impatient = {"idle_in_transaction_session_timeout": "2000"}
    async with (
        Database.open(
            DatabaseSettings.read(), "winnow_relay", size=2, server_settings=impatient
        ) as database,
        Bus.open(BusSettings(), "test") as bus,
    ):
        publish = bus.publish_event

        async def publish_slowly(*arguments: Any) -> None:
            await asyncio.sleep(0.4)
            await publish(*arguments)

        monkeypatch.setattr(bus, "publish_event", publish_slowly)
        runs = await announced(deployment, 8)
        await until_quiet(Relay(database, bus, LIMITS), deployment.admin)
        assert [event.atoms_extracted.run_id for event in await published(bus)] == runs
