"""What is read again: what people choose, and what late changes touch."""

import asyncio
from uuid import UUID

import asyncpg
import grpc
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.stages import FRESH, HISTORY
from services.extractor import manual, subscriptions
from services.extractor.subscriptions import ExtractStage
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.asking import recorded
from tests.extractor.calling import asked, at
from tests.extractor.known import SayingEngine, knowing
from tests.extractor.saved import change, say
from tests.extractor.test_erasing import LIMITS, window_of
from tests.extractor.test_merging import DISK, FRIDAY, OTHER_DISK, SMALL_TALK, WAITS, tell, title


async def test_chosen_messages_are_read_again(deployment: Deployment) -> None:
    """A dry run counts and changes nothing; a period is read again but for what is noise alone, and atoms stay."""
    async with asked(deployment) as (knowledge, call):
        source, first = await tell(knowledge, DISK, FRIDAY)
        await tell(knowledge, *["ok"] * 40)
        before = await knowledge.atoms()
        chosen = {"since": at(0), "until": at(100)}
        plan = await call("ExtractMessages", dry_run=True, **chosen)
        assert (plan.messages, plan.windows, plan.windows_noise) == (42, 1, 1)
        assert (plan.messages_read, plan.tokens_estimated, plan.runs_measured) == (2, 0, 1)
        runs = "select count(*) from extractor.run"
        await knowledge.settled()
        assert await deployment.admin.fetchval(runs) == 1
        await call("ExtractMessages", **chosen)
        await knowledge.settled()
        assert await deployment.admin.fetchval(runs) == 2
        await call("ExtractMessages", message_ids=[str(first[0])])
        await knowledge.settled()
        assert await deployment.admin.fetchval(runs) == 3
        assert await knowledge.atoms() == before
        nothing = await call("ExtractMessages", source_id=str(source), since=at(50), dry_run=True)
        assert (nothing.messages, nothing.windows) == (0, 0)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call("ExtractMessages", message_ids=[str(uuid7())])
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_few_old_conversations_that_are_asked_for_are_read_first(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody waits for a few; what is more, and was said long ago, is read behind what is fresh."""
    monkeypatch.setattr(manual, "WAITED_FOR_MAX", 1)
    lanes = "select array_agg(lane order by lane) from spine.task where stage = 'extract' and state <> 'done'"
    async with asked(deployment) as (knowledge, call):
        _, first = await tell(knowledge, DISK, FRIDAY)
        await pause(deployment)
        await tell(knowledge, OTHER_DISK, SMALL_TALK[0])
        await knowledge.settled()
        await call("ExtractMessages", message_ids=[str(first[0])])
        assert await deployment.admin.fetchval(lanes) == [FRESH]
        await knowledge.settled()
        await call("ExtractMessages", since=at(0), until=at(100))
        assert await deployment.admin.fetchval(lanes) == [HISTORY, HISTORY]
        await knowledge.settled()


async def test_what_failed_too_often_is_read_when_somebody_asks(deployment: Deployment) -> None:
    """A conversation whose reading is dead is tried afresh for whoever names a message of it, and no other one is."""
    die = """update spine.task set state = 'dead', hint_at = null, attempts = 5, error_class = 'poison'
             where stage = 'extract'"""
    states = "select state, attempts, lane from spine.task where stage = 'extract' order by id"
    async with asked(deployment) as (knowledge, call):
        _, first = await tell(knowledge, DISK, FRIDAY)
        await tell(knowledge, OTHER_DISK)
        await deployment.admin.execute(die)
        await call("ExtractMessages", dry_run=True, message_ids=[str(first[0])])
        assert {row["state"] for row in await deployment.admin.fetch(states)} == {"dead"}
        await call("ExtractMessages", message_ids=[str(first[0])])
        await knowledge.settled()
        rows = [tuple(row) for row in await deployment.admin.fetch(states)]
        assert rows == [("done", 1, FRESH), ("dead", 5, HISTORY)]
        assert await deployment.admin.fetchval("select count(*) from extractor.run") == 3


async def test_a_window_that_goes_on_is_counted_once(deployment: Deployment) -> None:
    """Where a window that is read again is one that open talk continues, the plan counts it and its messages once."""
    async with asked(deployment) as (knowledge, call):
        admin = deployment.admin
        source, _ = await say(deployment, [("ann", DISK), ("bob", FRIDAY)])
        await admin.execute("update ingest.message set sent_at = now() - interval '10 minutes'")
        await knowledge.settled()
        await call("ExtractNow")
        await knowledge.settled()
        _, (late,) = await say(deployment, [("ann", OTHER_DISK)], source)
        await admin.execute("update ingest.message set sent_at = now() where id = $1", late)
        await knowledge.settled()
        plan = await call("ExtractMessages", dry_run=True, source_id=str(source))
        assert (plan.messages, plan.windows, plan.messages_read) == (3, 1, 3)
        only = await call("ExtractMessages", dry_run=True, message_ids=[str(late)])
        assert (only.messages, only.windows, only.messages_read) == (1, 1, 3)


async def pause(deployment: Deployment) -> None:
    """Let half an hour pass in which nobody says anything here: others talk elsewhere."""
    await say(deployment, [("ann", "ok")] * 31)


async def test_late_changes_read_only_what_they_touch(deployment: Deployment) -> None:
    """An edit, a deletion and a new reply cause one reading each: of the window that holds the message or goes on."""
    async with knowing(deployment) as knowledge:
        source, first = await tell(knowledge, DISK, FRIDAY)
        await pause(deployment)
        _, second = await tell(knowledge, OTHER_DISK, SMALL_TALK[0], source=source)
        windows = """select r.window_id, count(*) from extractor.run r
            join extractor.conversation_window c on c.id = r.window_id where c.source_id = $1 group by 1 order by 1"""

        async def readings() -> list[int]:
            return [row["count"] for row in await deployment.admin.fetch(windows, source)]

        assert await readings() == [1, 1]
        await change(deployment, first[0], text=DISK.replace("full", "broken"))
        await knowledge.settled()
        assert await readings() == [2, 1]
        await change(deployment, second[1], deleted=True)
        await knowledge.settled()
        assert await readings() == [2, 2]
        await tell(knowledge, SMALL_TALK[1], source=source)
        assert await readings() == [2, 3]
        await pause(deployment)
        await tell(knowledge, SMALL_TALK[2], source=source)
        assert await readings() == [2, 3, 1]
        assert title(SMALL_TALK[0]) not in await knowledge.live()


async def test_who_asks_for_readings_meets_a_deadlock(
    deployment: Deployment, database_url: str
) -> None:
    """Workers lock the same tasks in another order: what PostgreSQL stops of it is asked for again."""
    async with asked(deployment) as (knowledge, call):
        for line in (DISK, FRIDAY):
            await tell(knowledge, line)
        lock = "select id from spine.task where id = $1 for update"
        rows = await deployment.admin.fetch(
            "select id from spine.task where stage = 'extract' order by subject_id"
        )
        first, last = (row["id"] for row in rows)
        other = await asyncpg.connect(database_url)
        try:
            # Who waits first is the one that PostgreSQL stops.
            await other.execute("set deadlock_timeout = '1min'")
            async with other.transaction():
                await other.execute(lock, last)
                reading = asyncio.create_task(call("ExtractMessages", all=True))
                await until_true(deployment.admin, WAITS)
                await other.execute(lock, first)
            assert (await reading).windows == 2
        finally:
            await other.close()
        open_tasks = "select count(*) from spine.task where stage = 'extract' and state = 'ready'"
        assert await deployment.admin.fetchval(open_tasks) == 2


async def test_no_embedding_is_asked_for_after_comparing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes vectors locks the tasks that embed before those that compare: so must who reads several windows."""
    asked_for = recorded(monkeypatch, subscriptions)
    workspace = deployment.workspace
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        stage = ExtractStage(database, SayingEngine(), "", LIMITS, lambda: None)
        tasks = []
        for line in (DISK, FRIDAY):
            source, ids = await say(deployment, [("ann", line)])
            tasks.append(await window_of(database, deployment, source, ids))
        read = await stage.perform(tasks)
        async with database.transaction(workspace) as connection:
            await stage.lock(connection, workspace, read)
            await stage.write(connection, workspace, read)
    assert asked_for == ["atom", "topic", "atom", "topic", "compare"]


LATER = "update spine.task set available_at = now() + interval '1 hour' where state = 'ready'"
NOW = "update spine.task set available_at = now() where state = 'ready'"


async def just_said(deployment: Deployment, *lines: str, source: UUID | None = None) -> UUID:
    """Say something now, whose own task is late; return the source."""
    source, _ = await say(deployment, [("ann", line) for line in lines], source)
    await deployment.admin.execute("update ingest.message set sent_at = now()")
    await deployment.admin.execute(LATER)
    return source


@pytest.mark.parametrize("method", ["ExtractNow", "ExtractMessages"])
async def test_what_was_only_just_accepted_is_read(deployment: Deployment, method: str) -> None:
    """Messages that no window holds yet when somebody asks are read like those that wait in open ones."""
    async with asked(deployment) as (knowledge, call):
        source = await just_said(deployment, DISK)
        await just_said(deployment, FRIDAY)
        reply = await call(method, source_id=str(source))
        assert reply.conversations == 1 if method == "ExtractNow" else reply.messages == 1
        await knowledge.settled()
        assert set(await knowledge.live()) == {title(DISK)}
        await call(method, **({} if method == "ExtractNow" else {"all": True}))
        await knowledge.settled()
        assert set(await knowledge.live()) == {title(DISK), title(FRIDAY)}
        await deployment.admin.execute(NOW)
        await knowledge.settled()
        assert (await call("ExtractNow")).conversations == 0


async def test_what_is_too_much_to_take_up_at_once_is_closed_when_it_is_there(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to read waits for all that was accepted before it, and then closes one window of it."""
    monkeypatch.setattr(subscriptions, "AWAITED_MAX", 1)
    admin = deployment.admin
    async with asked(deployment) as (knowledge, call):
        source = await just_said(deployment, DISK)
        for line in (FRIDAY, OTHER_DISK):
            await just_said(deployment, line, source=source)
        assert (await call("ExtractNow")).conversations == 1
        await knowledge.settled()
        assert not await knowledge.atoms()
        new = (
            "update spine.task set available_at = now() where state = 'ready' and spec like 'new:%'"
        )
        await admin.execute(new)
        await knowledge.settled()
        assert not await knowledge.atoms()
        await admin.execute(NOW)
        await knowledge.settled()
        assert len(await knowledge.atoms()) == 3
        assert await admin.fetchval("select count(*) from extractor.run") == 1
