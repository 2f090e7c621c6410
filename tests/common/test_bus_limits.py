"""What NATS may hold: limits of streams, those that are refused, and how large a message may be."""

import logging
from uuid import uuid4

import pytest

from services.common.bus import (
    EVENTS_STREAM,
    TASKS_STREAM,
    Bus,
    BusUnavailable,
)
from services.common.errors import InvalidSetting
from tests.common.stages import STAGE
from tests.common.test_bus import settings
from tests.servers import NatsServer


async def test_a_full_stream_refuses(nats: NatsServer) -> None:
    """A stream of hints that is full takes no more and says so, rather than dropping the oldest."""
    async with Bus.open(settings(nats, nats_tasks_bytes_max=1 << 20), "test") as bus:
        await bus.declare()
        tasks = [uuid4() for _ in range(64 * 1200)]
        with pytest.raises(BusUnavailable):
            await bus.publish_hint(uuid4(), STAGE, tasks)
        first = await bus.hints(STAGE, 8).fetch(1)
        assert first[0].tasks == tuple(tasks[:64])


async def test_changed_limits_reach_streams_that_are_there(
    nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Streams that were made with other limits get those that are set, keep what they hold, and it is said once."""
    async with Bus.open(settings(nats, nats_tasks_bytes_max=4 << 20), "before") as bus:
        await bus.declare()
        await bus.publish_hint(uuid4(), STAGE, [uuid4()])
        shorter = (await bus._js.stream_info(EVENTS_STREAM)).config
        await bus._js.update_stream(shorter, max_age=3600, duplicate_window=60, description="mine")
    with caplog.at_level(logging.INFO, "services.common.streams"):
        async with Bus.open(settings(nats, nats_tasks_bytes_max=2 << 20), "after") as bus:
            for _ in range(2):
                await bus.declare()
            hints = await bus._js.stream_info(TASKS_STREAM)
            events = await bus._js.stream_info(EVENTS_STREAM)
    assert (hints.config.max_bytes, hints.state.messages) == (2 << 20, 1)
    assert (events.config.max_age, events.config.duplicate_window) == (7 * 86400, 120)
    assert events.config.description == "mine"
    assert caplog.text.count("changed the stream WINNOW_TASKS") == 1
    assert "max_bytes from 4194304 to 2097152" in caplog.text
    assert caplog.text.count("changed the stream WINNOW_EVENTS") == 1


async def test_processes_set_otherwise_do_not_fight(nats: NatsServer) -> None:
    """In a rolling upgrade the process that was started last has its way; the older one looks on."""
    old, new = (settings(nats, nats_tasks_bytes_max=each << 20) for each in (4, 2))
    async with Bus.open(old, "old") as before, Bus.open(new, "new") as after:
        for bus in (before, after, before, after, before):
            await bus.declare()
        assert (await after._js.stream_info(TASKS_STREAM)).config.max_bytes == 2 << 20
        # The older one made the next stream, and who is set otherwise changes that one, too.
        await before._js.delete_stream(TASKS_STREAM)
        for bus in (before, after, before):
            await bus.declare()
        assert (await after._js.stream_info(TASKS_STREAM)).config.max_bytes == 2 << 20


async def test_limits_that_nats_refuses_are_named(nats: NatsServer) -> None:
    """A limit that NATS does not allow for a stream that is there ends the start, by the name of its setting."""
    async with Bus.open(settings(nats), "before") as bus:
        await bus.declare()
    async with Bus.open(settings(nats, nats_replicas=3), "after") as bus:
        with pytest.raises(InvalidSetting, match=r"WINNOW_NATS_REPLICAS: .* from 1 to 3"):
            await bus.declare()
        assert (await bus._js.stream_info(TASKS_STREAM)).config.num_replicas == 1


async def test_how_large_a_message_may_be_is_known(nats: NatsServer) -> None:
    """The largest event that is said to fit does, with its headers; a server that takes less than a hint is refused."""
    async with Bus.open(settings(nats), "test") as bus:
        await bus.declare()
        await bus.publish_event(uuid4(), "atoms_extracted", bytes(bus.event_bytes_max), uuid4())
        assert (await bus._js.stream_info(EVENTS_STREAM)).state.messages == 1
    nats.stop()
    nats.configure("max_payload: 1024")
    nats.start()
    with pytest.raises(InvalidSetting, match=r"WINNOW_NATS_URL: .* max_payload must be 4096"):
        async with Bus.open(settings(nats), "test"):
            pass
