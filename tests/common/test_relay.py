"""The relay publishes every hint at least once, and repeats those that are lost."""

import asyncio
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common import relay as relay_module
from services.common import streams as streams_module
from services.common.auth import SCOPES, mint_key, store_key
from services.common.bus import (
    TASKS_STREAM,
    Bus,
    BusSettings,
    BusUnavailable,
    HintReader,
)
from services.common.database import Database, DatabaseSettings
from services.common.hints import Hint
from services.common.outbox import enqueue, enqueue_embedding_hinted
from services.common.relay import Hints, Relay, RelaySettings
from services.common.stages import FRESH, HISTORY
from tests.common.relays import LIMITS, announced, lose_files, published, relaying, until_quiet
from tests.common.stages import STAGE, Recorder, make, running, until, until_true
from tests.conftest import Deployment
from tests.meanwhile import meanwhile
from tests.servers import NatsServer


async def test_a_full_stream_loses_nothing(deployment: Deployment) -> None:
    """Hints that the broker has no room for stay due, and are published when there is room again."""
    async with relaying(nats_tasks_bytes_max=1 << 20) as (relay, bus):
        await bus.declare()
        for size in (64, 1):
            with suppress(BusUnavailable):
                while True:
                    await bus.publish_hint(uuid4(), "unheard_of", [uuid4() for _ in range(size)])
        await make(deployment, "a", "b")
        with pytest.raises(BusUnavailable):
            await relay._pass()
        due = "select count(*) from spine.task where hint_at <= now() + interval '2 s' and hint_count <= 1"
        assert await deployment.admin.fetchval(due) == 2
        await bus._js.purge_stream(TASKS_STREAM)
        async with meanwhile(relay.run()):
            stage = Recorder()
            async with running(stage):
                await until(deployment.admin, done=2)


async def test_an_outage_of_the_broker_delays_no_hint(
    deployment: Deployment, nats: NatsServer
) -> None:
    """A hint that could not be published is due at once, however long it would wait after a success."""
    async with relaying() as (relay, bus), meanwhile(relay.run()):
        await until_true(deployment.admin, "exists (select from spine.hint_stream)")
        nats.stop(signal.SIGKILL)
        await make(deployment, "a")
        relay.kick()
        await asyncio.sleep(3)
        nats.start()
        reader = bus.hints(STAGE, 8)
        async with asyncio.timeout(60):
            while not await _fetched(reader):  # noqa: ASYNC110 - a fetch waits by itself
                await asyncio.sleep(0.1)


async def test_a_stream_whose_files_are_gone_begins_anew(
    deployment: Deployment, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that still tells of the stream, and answers nothing that is sent to it, holds up no work."""
    monkeypatch.setattr(streams_module, "UNSTORED_MAX", 2)
    async with relaying() as (relay, bus):
        await bus.declare()
        await lose_files(nats, bus, "winnow.tasks.unheard_of")
        async with meanwhile(relay.run()), running(Recorder()):
            await make(deployment, "a")
            await until(deployment.admin, done=1)


async def make_hinted(
    deployment: Deployment, again_seconds: float, lane: int = FRESH
) -> Sequence[UUID]:
    """Make two tasks for embedding as their maker does who hands their hints to its relay; it has not done so yet."""
    opening = "select embedder.open_generation('m', repeat('0', 64), 8, 'mean', '', '')"
    await deployment.admin.execute(opening)
    subjects, hashes = [uuid4(), uuid4()], [b"1", b"2"]
    place = (deployment.admin, deployment.workspace)
    return await enqueue_embedding_hinted(*place, "message", subjects, hashes, again_seconds, lane)


async def hinted(bus: Bus, consumer: str) -> set[UUID]:
    """The tasks of the next hints of a consumer; fails if none comes in time."""
    reader = bus.hints(consumer, 8)
    async with asyncio.timeout(60):
        while not (hints := await _fetched(reader)):  # noqa: ASYNC110 - a fetch waits by itself
            await asyncio.sleep(0.05)
    return {task for hint in hints for task in hint.tasks}


@pytest.mark.parametrize(("lane", "consumer"), [(FRESH, "embed"), (HISTORY, "embed_backfill")])
async def test_handed_hints_are_published_at_once(
    deployment: Deployment, lane: int, consumer: str
) -> None:
    """What a maker hands over needs no look at the table, and goes to the consumer of its lane."""
    async with relaying() as (relay, bus), meanwhile(relay.run()):
        # A stream that is seen for the first time has every task hinted again, those made before too.
        await until_true(deployment.admin, "exists (select from spine.hint_stream)")
        ids = await make_hinted(deployment, 3600, lane)
        relay.hand(Hints(deployment.workspace, "embed", ids, lane))
        assert await hinted(bus, consumer) == set(ids)
    counts = await deployment.admin.fetch("select distinct hint_count from spine.task")
    assert [row["hint_count"] for row in counts] == [1], "the relay took them from the table too"


async def test_hints_that_nobody_hands_over_are_published(deployment: Deployment) -> None:
    """A maker that dies between its commit and the relay loses nothing: the table knows."""
    async with relaying() as (relay, bus), meanwhile(relay.run()):
        ids = await make_hinted(deployment, 1)
        assert await hinted(bus, "embed") == set(ids)


async def test_an_outage_of_the_broker_delays_no_handed_hint(
    deployment: Deployment, nats: NatsServer
) -> None:
    """Handed over while NATS is away, hints are published when it is back, and not an hour later."""
    async with relaying() as (relay, bus), meanwhile(relay.run()):
        await until_true(deployment.admin, "exists (select from spine.hint_stream)")
        nats.stop(signal.SIGKILL)
        ids = await make_hinted(deployment, 3600)
        relay.hand(Hints(deployment.workspace, "embed", ids))
        await asyncio.sleep(3)
        nats.start()
        assert await hinted(bus, "embed") == set(ids)


async def look(relay: Relay) -> None:
    """Let the relay look at the stream and publish what is due, once."""
    await relay._prepare()
    await relay._pass()


async def pass_time(relay: Relay, admin: asyncpg.Connection, seconds: float) -> None:
    """Let every hint so far have been given so much earlier, and every look have been so long ago."""
    passed = timedelta(seconds=seconds)
    await admin.execute(
        "update spine.task set hint_at = hint_at - $1::interval where hint_count > 0", passed
    )
    looks = relay._looks._looks
    for number, each in enumerate(looks):
        looks[number] = replace(each, at=each.at - passed)


async def stored(bus: Bus) -> dict[str, int]:
    """How many messages the stream of hints holds, by consumer."""
    info = await bus._js.stream_info(TASKS_STREAM, "winnow.tasks.>")
    return {name.split(".")[2]: count for name, count in (info.state.subjects or {}).items()}


async def test_hints_that_lie_in_the_stream_are_not_repeated(deployment: Deployment) -> None:
    """While nobody works, hints of every lane lie where they are for minutes, and none is published twice."""
    async with relaying(RelaySettings()) as (relay, bus):
        await look(relay)
        await make(deployment, "a")
        for lane in (FRESH, HISTORY):
            ids = await make_hinted(deployment, relay.again_seconds, lane)
            relay.hand(Hints(deployment.workspace, "embed", ids, lane))
        for _ in range(4):
            await look(relay)
            await pass_time(relay, deployment.admin, 60)
        assert await stored(bus) == {"embed": 2, "embed_backfill": 1}


@pytest.mark.parametrize(("lane", "consumer"), [(FRESH, "embed"), (HISTORY, "embed_backfill")])
async def test_a_lost_hint_is_repeated_whatever_waits_elsewhere(
    deployment: Deployment, lane: int, consumer: str
) -> None:
    """A hint that never reached the stream is published in its lane, though those of other stages wait for long."""
    async with relaying() as (relay, bus):
        await look(relay)
        await enqueue(deployment.admin, deployment.workspace, "window", [uuid4()], ["w"])
        await look(relay)
        await make_hinted(deployment, LIMITS.relay_again_seconds, lane)
        await look(relay)
        assert await stored(bus) == {"window": 1}, "it might still be on its way"
        await pass_time(relay, deployment.admin, 60)
        await look(relay)
        await look(relay)
        assert await stored(bus) == {"window": 1, consumer: 1}


async def test_what_a_wiped_broker_has_lost_is_repeated_in_parts(
    deployment: Deployment, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much was hinted, each look makes due only so much of it, and the next ones go on until it is all."""
    monkeypatch.setattr(relay_module, "REPEATED_MAX", 2)
    async with relaying() as (relay, bus):
        await look(relay)
        await make(deployment, "a", "b", "c", "d", "e")
        await look(relay)
        await pass_time(relay, deployment.admin, 60)
        nats.stop(signal.SIGKILL)
        shutil.rmtree(nats.store)
        nats.start()
        await until_seen(relay)
        found = [len(await hinted(bus, "embed"))]
        for _ in range(2):
            await look(relay)
            found.append(len(await hinted(bus, "embed")))
        assert found == [2, 2, 1]


async def test_a_lost_hint_is_repeated_when_its_turn_would_have_come(
    deployment: Deployment,
) -> None:
    """Between others a hint is missed once those before it are answered, and those behind it stay as they are."""
    async with relaying() as (relay, bus):
        await look(relay)
        await make(deployment, "before")
        await look(relay)
        lost = await make_hinted(deployment, LIMITS.relay_again_seconds)
        await pass_time(relay, deployment.admin, 60)
        await look(relay)
        behind = (await make(deployment, "behind"))[-1]
        await look(relay)
        assert await stored(bus) == {"embed": 2}
        reader = bus.hints("embed", 8)
        (before,) = await reader.fetch(1)
        (claimed,) = before.tasks
        await deployment.admin.execute(
            "update spine.task set state = 'done', hint_at = null where id = $1", claimed
        )
        await before.acknowledge()
        await until_stored(bus, 1)
        await look(relay)
        assert [set(hint.tasks) for hint in await reader.fetch(8)] == [{behind}, set(lost)]
        assert await stored(bus) == {"embed": 2}


async def until_stored(bus: Bus, count: int) -> None:
    """Wait for the stream of hints to hold so many messages; an acknowledgement takes a moment."""
    async with asyncio.timeout(60):
        while sum((await stored(bus)).values()) != count:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.02)


async def test_no_hint_stays_lost_behind_one_that_is_held(deployment: Deployment) -> None:
    """Where the stream cannot tell, since an older hint is never answered, the last resort repeats both."""
    async with relaying() as (relay, bus):
        await look(relay)
        await make(deployment, "held")
        await look(relay)
        await make_hinted(deployment, LIMITS.relay_again_seconds)
        for seconds, hints in ((200, 1), (60, 2)):
            await pass_time(relay, deployment.admin, seconds)
            await look(relay)
            assert await stored(bus) == {"embed": hints}


async def test_a_stream_that_lost_its_end_is_told_by_what_is_left(
    deployment: Deployment, nats: NatsServer
) -> None:
    """After a power cut that left less of the stream, the hints it lost are found when those left are answered."""
    place = nats.store / "jetstream" / "$G" / "streams" / TASKS_STREAM / "msgs"
    kept = nats.store.with_name("kept")
    async with relaying() as (relay, bus):
        await look(relay)
        await make(deployment, "left")
        await look(relay)
        nats.stop()
        shutil.copytree(place, kept)
        nats.start()
        await until_seen(relay)
        lost = (await make(deployment, "lost"))[-1]
        await look(relay)
        nats.stop()
        shutil.rmtree(place)
        shutil.move(kept, place)
        nats.start()
        await until_seen(relay)
        await pass_time(relay, deployment.admin, 60)
        await look(relay)
        assert await stored(bus) == {"embed": 1}
        left = await hinted(bus, "embed")
        await bus._js.purge_stream(TASKS_STREAM)
        await deployment.admin.execute(
            "update spine.task set state = 'done', hint_at = null where id = any ($1)", list(left)
        )
        await look(relay)
        assert await hinted(bus, "embed") == {lost}


async def until_seen(relay: Relay) -> None:
    """Wait for the broker to be there again."""
    async with asyncio.timeout(60):
        while True:
            with suppress(BusUnavailable):
                return await look(relay)


async def test_what_waits_is_not_read(deployment: Deployment) -> None:
    """Looks cost the same however many hints wait or are paused, also by the plans of when there were none."""
    insert = """insert into spine.task (workspace_id, stage, subject_id, spec, hint_at, hint_count, lane)
                select $1, stage, gen_random_uuid(), '', now() + wait, (lane <> 1)::int, lane
                from generate_series(1, 1000), (values ('embed', 0, interval '200 s'), ('embed', 1, '-1 s'),
                  ('embed', 2, '200 s'), ('window', 0, '200 s')) as x (stage, lane, wait)"""
    read = """select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables
              where relid = 'spine.task'::regclass"""
    await deployment.admin.execute("truncate spine.task")
    await deployment.admin.execute("vacuum analyze spine.task")
    await deployment.admin.execute(
        "insert into spine.paused_backfill (workspace_id) values ($1)", deployment.workspace
    )
    await _look_for_hints(deployment)
    await deployment.admin.execute(insert, deployment.workspace)
    for analyzed in (False, True):
        async with deployment.admin.transaction():
            if analyzed:
                await deployment.admin.execute("analyze spine.task")
            before = await deployment.admin.fetchval(read)
            await _look_for_hints(deployment)
            assert await deployment.admin.fetchval(read) - before <= 12
    await deployment.admin.execute("delete from spine.paused_backfill")
    await deployment.admin.execute("truncate spine.task")


async def test_backfills_share_what_is_hinted(deployment: Deployment) -> None:
    """A workspace with a large backfill does not keep others from theirs; more is not hinted than there is room for."""
    insert = """insert into spine.task (workspace_id, stage, subject_id, spec, hint_at, lane)
                select $1, 'embed', gen_random_uuid(), '', now() - $2::interval, 1 from generate_series(1, $3)"""
    other = await store_key(deployment.admin, "other", "test", mint_key(), SCOPES)
    await deployment.admin.execute(insert, deployment.workspace, timedelta(hours=1), 100)
    await deployment.admin.execute(insert, other, timedelta(seconds=1), 10)
    take = (
        """select workspace_id, count(*) as n from spine.take_hints(2000, $1, $1, 8) group by 1"""
    )
    again = timedelta(seconds=250)
    taken = {row["workspace_id"]: row["n"] for row in await deployment.admin.fetch(take, again)}
    assert taken == {deployment.workspace: 4, other: 4}
    assert not await deployment.admin.fetch(take, again)
    await deployment.admin.execute("truncate spine.task")


async def _look_for_hints(deployment: Deployment) -> None:
    """Look for hints that are due and for lost ones, of which there are none."""
    again = timedelta(seconds=250)
    now = await deployment.admin.fetchval("select now()")
    stages, lanes = ["embed", "embed", "window", "merge"], [0, 2, 0, 0]
    seen = [now - timedelta(seconds=seconds) for seconds in (100, 100, 100, 0)]
    call = "select spine.repeat_lost_hints($1, $2, $3, $4, $4, 20000)"
    assert await deployment.admin.fetchval(call, stages, lanes, seen, again) == 0
    assert not await deployment.admin.fetch("select from spine.take_hints(2000, $1, $1)", again)


async def _fetched(reader: HintReader) -> Sequence[Hint]:
    try:
        return await reader.fetch(1)
    except BusUnavailable:
        return []


async def test_many_relays_share_the_work(deployment: Deployment) -> None:
    """Relays that run at once publish every fact and every hint, and none fails."""
    async with relaying() as (first, bus), relaying() as (second, _):
        runs = await announced(deployment, 120)
        await make(deployment, *[f"s{n}" for n in range(300)])
        async with meanwhile(first.run()) as one, meanwhile(second.run()) as other:
            async with running(Recorder()):
                await until(deployment.admin, done=300)
            await until_quiet(first, deployment.admin)
            assert not one.done()
            assert not other.done()
        found = [event.atoms_extracted.run_id for event in await published(bus)]
    assert sorted(found) == sorted(runs)


async def test_a_kick_is_never_lost(deployment: Deployment) -> None:
    """A task that is made with a kick at any moment is hinted long before the relay would look by itself."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2) as database,
        Bus.open(BusSettings.read(), "test") as bus,
    ):
        relay = Relay(database, bus, RelaySettings(relay_idle_seconds=3600))
        async with meanwhile(relay.run()):
            for turn in range(30):
                relay.kick()
                await asyncio.sleep(0.0005 * turn)
                await make(deployment, f"s{turn}")
                relay.kick()
                await until_true(deployment.admin, "bool_and(hint_count > 0) from spine.task")
