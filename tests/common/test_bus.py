"""Hints travel over a broker that dies, freezes, forgets and is told nonsense; no task is lost by it."""

import asyncio
import contextlib
import logging
import shutil
import signal
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID, uuid4

import nats as nats_client
import pytest

from services.common.bus import (
    EVENTS_STREAM,
    TASKS_STREAM,
    Bus,
    BusClosed,
    BusSettings,
    BusUnavailable,
    HintReader,
)
from services.common.hints import Hint
from services.common.signs import TOLD_AGAIN_SECONDS
from tests.common.stages import STAGE, Recorder, eventually, make, running, until, until_true
from tests.conftest import Deployment, free_port
from tests.servers import NatsServer
from winnow.events.v1.events_pb2 import TaskHint

SUBJECT = f"winnow.tasks.{STAGE}"


def settings(server: NatsServer, **others: int) -> BusSettings:
    """Settings for a server that no environment names."""
    return BusSettings(nats_url=server.url, **others)


async def test_a_killed_broker_loses_nothing(
    deployment: Deployment, nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Work goes on after the broker was killed and started again, in the same relay and worker."""
    stage = Recorder()
    async with running(stage):
        await make(deployment, "before")
        await until(deployment.admin, done=1)
        nats.stop(signal.SIGKILL)
        await make(deployment, "while it is away")
        # The first hint fails, then the first look at the streams.
        await eventually(lambda: caplog.text.count("relay: NATS") >= 2)
        said = [each for each in caplog.records if each.name == "services.common.bus"]
        assert any("[Errno 111]" in each.getMessage() for each in said)
        for first, then in pairwise(said):
            is_repeated = then.getMessage() == first.getMessage()
            assert not is_repeated or then.created - first.created > TOLD_AGAIN_SECONDS / 2
        nats.start()
        await until(deployment.admin, done=2)
        await make(deployment, "after")
        await until(deployment.admin, done=3)
    assert sorted(stage.written) == ["after", "before", "while it is away"]


async def test_a_stream_that_lost_its_end_is_read_on(nats: NatsServer) -> None:
    """After a power cut that left less of the stream than of its consumers, new hints are delivered all the same."""
    streams = nats.store / "jetstream" / "$G" / "streams" / TASKS_STREAM
    kept, workspace = nats.store.with_name("kept"), uuid4()
    async with Bus.open(settings(nats), "test") as bus:
        await bus.declare()
        reader = bus.hints(STAGE, 200)
        assert await reader.fetch(1) == []
        nats.stop()
        shutil.copytree(streams / "msgs", kept)
        nats.start()
        for _ in range(50):
            await _published(bus, workspace)
        for hint in [hint for _ in range(50) for hint in await _fetched(reader)]:
            await hint.acknowledge()
        nats.stop()
        shutil.rmtree(streams / "msgs")
        shutil.move(kept, streams / "msgs")
        nats.start()
        await _published(bus, workspace)
        async with asyncio.timeout(60):
            while not await _fetched(reader):  # noqa: ASYNC110 - a fetch waits by itself
                await asyncio.sleep(0)


async def test_a_consumer_that_cannot_be_read_is_replaced(
    deployment: Deployment, nats: NatsServer
) -> None:
    """After a power cut that left a consumer's file empty, which the server never gets over, work goes on."""
    stage = Recorder()
    async with running(stage, again_seconds=250):
        await make(deployment, "before")
        await until(deployment.admin, done=1)
        nats.stop()
        place = nats.store / "jetstream" / "$G" / "streams" / TASKS_STREAM / "obs" / STAGE
        (place / "o.dat").write_bytes(bytes(10))
        nats.start()
        await make(deployment, "after")
        await until(deployment.admin, done=2)
    assert sorted(stage.written) == ["after", "before"]


@pytest.mark.parametrize("tries", [True, False])
async def test_a_client_that_no_longer_tries_is_given_up(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, tries: bool
) -> None:
    """A client that has stopped to connect ends the process that relies on it; one that still tries does not."""
    monkeypatch.setattr("services.common.bus.DEAF_SECONDS", 3.0)
    async with Bus.open(settings(nats), "test") as bus:
        await bus.declare()
        nats.stop()
        await eventually(lambda: bus._client.is_reconnecting)
        if not tries:
            assert bus._client._reconnection_task
            bus._client._reconnection_task.cancel()
        failures = [await _failure(bus) for _ in range(4)]
        assert (BusClosed in failures) is not tries
        nats.start()


async def _failure(bus: Bus) -> type[Exception]:
    """How a look at the streams fails."""
    with pytest.raises((BusUnavailable, BusClosed)) as caught:
        await bus.declare()
    return caught.type


async def _published(bus: Bus, workspace: UUID) -> None:
    """Publish a hint as soon as the broker is there."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(BusUnavailable):
                return await bus.publish_hint(workspace, STAGE, [uuid4()])


async def _fetched(reader: HintReader) -> Sequence[Hint]:
    """The next hints, or none while the broker is away."""
    with contextlib.suppress(BusUnavailable):
        return await reader.fetch(1)
    return []


async def test_a_reader_that_leaves_neither_waits_nor_takes_what_comes_later(
    nats: NatsServer,
) -> None:
    """One that waits for hints ends at once when it is told to, and the next hint is delivered to another at once."""
    async with Bus.open(settings(nats), "test") as bus:
        leaving, staying = bus.hints(STAGE, 200), bus.hints(STAGE, 200)
        await leaving.fetch(4, 0.1)
        async with asyncio.timeout(60):
            waiting = asyncio.create_task(leaving.fetch(4, 120))
            await asyncio.sleep(0.2)
            leaving.leave()
            assert await waiting == []
            assert await leaving.fetch(4, 120) == []
        await leaving.close()
        await bus.publish_hint(uuid4(), STAGE, [uuid4()])
        assert len(await staying.fetch(1, 20)) == 1


async def test_a_reader_that_leaves_takes_what_is_there(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the broker holds when a reader is told to leave is still returned to it, so that it can be given back."""
    monkeypatch.setattr("services.common.bus.UNANSWERED_SECONDS", 20.0)
    async with Bus.open(settings(nats), "test") as bus:
        reader = bus.hints(STAGE, 200)
        await reader.fetch(4, 0.1)
        await bus.publish_hint(uuid4(), STAGE, [uuid4()])
        reader.leave()
        assert len(await reader.fetch(4, 20)) == 1


async def test_a_wiped_store_loses_no_hint(deployment: Deployment, nats: NatsServer) -> None:
    """Hints that vanish with the broker's store are published again at once, not when their next turn comes."""
    stage = Recorder(seconds=0.3)
    async with running(stage, again_seconds=250) as parts:
        await until(deployment.admin)
        parts.worker.drain()
        await parts.working
        await make(deployment, *[f"s{n}" for n in range(100)])
        parts.relay.kick()
        await until_true(deployment.admin, "bool_and(hint_count > 0) from spine.task")
        nats.stop(signal.SIGKILL)
        shutil.rmtree(nats.store)
        nats.start()
    async with running(stage, again_seconds=250):
        await until(deployment.admin, done=100)
    assert len(set(stage.written)) == len(stage.written) == 100


async def test_a_purged_stream_loses_no_hint(deployment: Deployment, nats: NatsServer) -> None:
    """Hints that somebody purged from the stream are published again within a few looks, not when their turn comes."""
    stage = Recorder()
    async with (
        running(stage, again_seconds=250) as parts,
        Bus.open(settings(nats), "vandal") as bus,
    ):
        await until(deployment.admin)
        parts.worker.drain()
        await parts.working
        await make(deployment, *[f"s{n}" for n in range(100)])
        parts.relay.kick()
        await until_true(deployment.admin, "bool_and(hint_count > 0) from spine.task")
        await bus._js.purge_stream(TASKS_STREAM)
        async with running(stage, again_seconds=250):
            await until(deployment.admin, done=100)
    assert len(set(stage.written)) == len(stage.written) == 100


async def test_a_frozen_broker_stops_nothing_for_good(
    deployment: Deployment, nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """After the broker stood still for some seconds, tasks made meanwhile are done."""
    stage = Recorder()
    async with running(stage, again_seconds=1):
        await make(deployment, "before")
        await until(deployment.admin, done=1)
        nats.send(signal.SIGSTOP)
        try:
            await make(deployment, "while it is frozen")
            await eventually(lambda: "relay: NATS" in caplog.text)
        finally:
            nats.send(signal.SIGCONT)
        await until(deployment.admin, done=2)


async def test_a_deleted_consumer_is_made_again(deployment: Deployment, nats: NatsServer) -> None:
    """Work goes on when somebody has deleted the consumer of the stage."""
    async with running(Recorder(), again_seconds=0.5), Bus.open(settings(nats), "vandal") as bus:
        await make(deployment, "before")
        await until(deployment.admin, done=1)
        await bus._js.delete_consumer(TASKS_STREAM, STAGE)
        await make(deployment, "after")
        await until(deployment.admin, done=2)


async def test_nonsense_is_dropped(
    deployment: Deployment, nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Hints that are malformed or name what does not exist disturb nobody and do not come again."""
    real = (await make(deployment, "real"))[0]
    nonsense = [
        b"\xff\xff not a hint",
        TaskHint(workspace_id="not a uuid", task_ids=[real.bytes]).SerializeToString(),
        TaskHint(workspace_id=str(deployment.workspace), task_ids=[b"short"]).SerializeToString(),
        TaskHint(workspace_id=str(uuid4()), task_ids=[real.bytes]).SerializeToString(),
        TaskHint(workspace_id=str(deployment.workspace)).SerializeToString(),
        TaskHint(
            workspace_id=str(deployment.workspace), task_ids=[uuid4().bytes] * 9000
        ).SerializeToString(),
    ]
    client = await nats_client.connect(nats.url)
    try:
        async with Bus.open(settings(nats), "test") as bus:
            await bus.declare()
        with caplog.at_level(logging.WARNING):
            for body in nonsense:
                await client.jetstream().publish(SUBJECT, body)
            await client.jetstream().publish("winnow.tasks.unheard_of", nonsense[3])
            stage = Recorder()
            async with running(stage):
                await until(deployment.admin, done=1)
                await eventually(lambda: caplog.text.count("malformed hint") == 3)
                assert await _left(client) == 1
        assert stage.written == ["real"]
    finally:
        await client.close()


async def _left(client: nats_client.NATS) -> int:
    """How many hints wait in the stream once it stands still."""
    async with asyncio.timeout(60):
        while (await _stored(client)) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return await _stored(client)


async def _stored(client: nats_client.NATS) -> int:
    info = await client.jetstream().stream_info(TASKS_STREAM)
    return info.state.messages


async def test_a_hint_that_nobody_answers_comes_again(nats: NatsServer) -> None:
    """A hint whose reader vanished is delivered to another one."""
    workspace, task = uuid4(), uuid4()
    async with Bus.open(BusSettings(nats_url=nats.url, nats_ack_wait_seconds=0.5), "test") as bus:
        await bus.declare()
        await bus.publish_hint(workspace, STAGE, [task])
        seen: list[tuple[UUID, ...]] = []
        for _ in range(2):
            reader = bus.hints(STAGE, 8)
            while not (hints := await reader.fetch(1)):
                pass
            seen.append(hints[0].tasks)
            await reader.close()
        assert seen == [(task,), (task,)]
        await hints[0].acknowledge()


async def test_an_event_repeated_is_stored_once(nats: NatsServer) -> None:
    """The id of an event tells the broker of a repeat."""
    async with Bus.open(settings(nats), "test") as bus:
        await bus.declare()
        event, workspace = uuid4(), uuid4()
        for _ in range(2):
            await bus.publish_event(workspace, "atoms_extracted", b"body", event)
        info = await bus._js.stream_info(EVENTS_STREAM)
        assert info.state.messages == 1


async def test_a_client_that_is_turned_away_says_so(nats: NatsServer) -> None:
    """When the connection is closed for good the error is no longer one to wait for."""
    async with Bus.open(settings(nats), "test") as bus:
        await bus.declare()
        await bus._client.close()
        for call in (bus.declare(), bus.publish_hint(uuid4(), STAGE, [uuid4()])):
            with pytest.raises(BusClosed):
                await call
        with pytest.raises(BusClosed):
            await bus.hints(STAGE, 8).fetch(1)


async def test_a_broker_that_is_not_there_is_waited_for() -> None:
    """Opening the bus waits for the broker to come up."""
    server = NatsServer(free_port())
    try:
        late = asyncio.get_running_loop().call_later(0.5, server.start)
        async with asyncio.timeout(60), Bus.open(settings(server), "test") as bus:
            assert await bus.declare()
        late.cancel()
    finally:
        server.stop()
        server.remove()
