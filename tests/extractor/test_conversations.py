"""Where windows end follows from what was said and when, not from how and in which order it came in."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services import cli
from services.extractor import conversations, subscriptions
from services.extractor.evaluation import read_export
from services.extractor.grounded import GroundedEngine
from services.extractor.store import QUERIES
from tests.conftest import Deployment
from tests.extractor.known import Knowledge, knowing
from tests.extractor.saved import BEGAN, change, say

TALK = [(f"person {n % 3}", f"idea: Matter {n} of them all") for n in range(60)]
CHAT = Path(cli.__file__).parent / "demo" / "chat.json"
# Of no conversation is the last window found.
NONE_UNFINISHED = """select null::uuid as id, null::text as thread_id where $1::uuid is null and $2::uuid is null
    and $3::text[] is null and $4::timestamptz[] is null and $5::interval is null
    and $6::int is null and $7::int is null"""


def pieces(talk: Sequence[tuple[str, str]], size: int) -> list[Sequence[tuple[str, str]]]:
    """The talk as it comes in, so many messages at a time."""
    return [talk[start : start + size] for start in range(0, len(talk), size)]


async def windows(deployment: Deployment, source: UUID) -> list[list[str]]:
    """What each window of a source says, in order."""
    rows = await deployment.admin.fetch(
        """select array_agg(m.text order by w.position) as texts, array_agg(m.text order by m.sent_at) as in_order,
             c.message_count, c.last_sent_at = max(m.sent_at) as is_last
           from extractor.conversation_window c
           join extractor.window_message w on w.window_id = c.id join ingest.message m on m.id = w.message_id
           where c.source_id = $1 group by c.workspace_id, c.id order by min(m.sent_at)""",
        source,
    )
    for row in rows:
        assert row["texts"] == row["in_order"]
        assert (row["message_count"], row["is_last"]) == (len(row["texts"]), True)
    return [row["texts"] for row in rows]


async def late_task(knowledge: Knowledge, talk: Sequence[tuple[str, str]]) -> UUID:
    """Say something in pieces, of which the first has its task only after the others; return the source."""
    admin, source = knowledge.deployment.admin, None
    for number, piece in enumerate(pieces(talk, 23)):
        source, _ = await say(knowledge.deployment, piece, source)
        if number == 0:
            await admin.execute("update spine.task set available_at = now() + interval '1 hour'")
    await knowledge.settled()
    await admin.execute("update spine.task set available_at = now() where state = 'ready'")
    await knowledge.settled()
    assert source is not None
    return source


async def slowly(knowledge: Knowledge, talk: Sequence[tuple[str, str]]) -> UUID:
    """Say something in pieces, each of which is known before the next one comes; return the source."""
    source = None
    for piece in pieces(talk, 13):
        source, _ = await say(knowledge.deployment, piece, source)
        await knowledge.settled()
    assert source is not None
    return source


async def nothing_awaited(*_: Any) -> list[str]:
    """Nobody else waits."""
    return []


@pytest.mark.parametrize("way", [late_task, slowly])
@pytest.mark.parametrize("guarded", [True, False])
async def test_the_same_talk_gives_the_same_windows(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, way: Any, guarded: bool
) -> None:
    """Late tasks and pauses between imports change nothing; without what prevents it they do."""
    async with knowing(deployment, merges=False) as knowledge:
        whole, _ = await say(deployment, TALK)
        await knowledge.settled()
        if not guarded:
            monkeypatch.setattr(subscriptions, "awaited", nothing_awaited)
            monkeypatch.setitem(QUERIES, "unfinished", NONE_UNFINISHED)
        source = await way(knowledge, TALK)
        expected = await windows(deployment, whole)
        assert [len(window) for window in expected] == [36, 24]
        assert (await windows(deployment, source) == expected) == guarded


async def test_waiting_is_bounded(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many late tasks only some are taken up early; what came after waits for the rest, and windows are the same."""
    monkeypatch.setattr(subscriptions, "AWAITED_MAX", 2)
    async with knowing(deployment, merges=False) as knowledge:
        admin, source = deployment.admin, None
        for piece in pieces(TALK, 9):
            source, _ = await say(deployment, piece, source)
        spec = await admin.fetchval("select max(spec) from spine.task")
        await admin.execute(
            "update spine.task set available_at = now() + interval '1 hour' where spec <> $1", spec
        )
        await knowledge.settled()
        assert source is not None
        assert await windows(deployment, source) == []
        await admin.execute("update spine.task set available_at = now() where state = 'ready'")
        await knowledge.settled()
        assert [len(window) for window in await windows(deployment, source)] == [36, 24]


async def test_a_look_that_had_to_wait_is_made_though_the_clock_was_put_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tail whose look came while other messages had to be taken up first is closed at its moment all the same."""
    monkeypatch.setattr(subscriptions, "AWAITED_MAX", 1)
    admin = deployment.admin
    async with knowing(deployment, merges=False) as knowledge:
        source, _ = await say(deployment, TALK[:5])
        await admin.execute("update ingest.message set sent_at = now()")
        await knowledge.settled()
        for _ in range(2):
            await say(deployment, TALK[5:7], source)
        await admin.execute(
            """update ingest.message set sent_at = now() - interval '10 min', thread_id = 'elsewhere'
               where id not in (select message_id from extractor.pending_message)"""
        )
        later = "update spine.task set available_at = now() + interval '1 hour' where spec like $1"
        await admin.execute(later, "new:%")
        due = "update spine.task set available_at = now() where state = 'ready' and spec like $1"
        # As a fast clock would, which is right again when the others are taken up.
        await admin.execute(due, "tail:%")
        await knowledge.settled()
        assert await admin.fetchval("select count(*) from extractor.pending_message") == 7
        await admin.execute(due, "new:%")
        await knowledge.settled()
        assert await admin.fetchval("select count(*) from extractor.pending_message") == 9
        await admin.execute(due, "tail:%")
        await knowledge.settled()
        assert await admin.fetchval("select count(*) from extractor.pending_message") == 0


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_chat_that_comes_in_again_teaches_nothing_new(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """A second source that comes in slowly adds no atom; if windows did not go on, it would."""
    if not guarded:
        monkeypatch.setitem(QUERIES, "unfinished", NONE_UNFINISHED)
    talk = [(message.author, message.text) for message in read_export(CHAT).values()]
    async with knowing(deployment, engine=GroundedEngine()) as knowledge:
        await say(deployment, talk)
        await knowledge.settled()
        before = {atom.id for atom in await knowledge.atoms() if atom.is_live}
        messages = {m for atom in await knowledge.atoms() for m in atom.messages}
        await slowly(knowledge, talk)
        live = [atom for atom in await knowledge.atoms() if atom.is_live]
        assert ({atom.id for atom in live} == before) == guarded
        shown = {m for atom in live for m in atom.messages}
        assert messages <= shown


async def test_what_moves_while_it_waits_is_read_where_it_is(deployment: Deployment) -> None:
    """A thread or time that is told later is that of the window, whatever it was when the message began to wait."""
    admin, workspace = deployment.admin, deployment.workspace
    talk = [("ann", f"idea: Matter {number}") for number in range(4)]
    source, ids = await say(deployment, talk)
    await admin.execute(QUERIES["add_pending"], workspace, source, ids[0], ids[-1])
    await admin.execute("update ingest.message set thread_id = 'ops' where id = $1", ids[1])
    await admin.execute("update ingest.message set sent_at = $2 where id = $1", ids[3], BEGAN)
    async with knowing(deployment, merges=False) as knowledge:
        await knowledge.settled()
        rows = await admin.fetch(
            """select c.thread_id, array_agg(m.text order by w.position) as texts from extractor.conversation_window c
               join extractor.window_message w on w.window_id = c.id
               join ingest.message m on m.id = w.message_id group by c.id, c.thread_id order by 1"""
        )
    texts = [text for _, text in talk]
    assert [tuple(row) for row in rows] == [
        ("", [texts[0], texts[3], texts[2]]),
        ("ops", [texts[1]]),
    ]


async def at_minutes(
    knowledge: Knowledge, minutes: Sequence[int], source: UUID | None = None
) -> tuple[UUID, list[UUID]]:
    """Say something at each of some minutes, and let it be read; return the source and the messages."""
    admin = knowledge.deployment.admin
    talk = [("ann", f"idea: Said at minute {minute}") for minute in minutes]
    source, ids = await say(knowledge.deployment, talk, source)
    for message, minute in zip(ids, minutes, strict=True):
        sent_at = BEGAN + timedelta(minutes=minute)
        await admin.execute(
            "update ingest.message set sent_at = $2 where id = $1", message, sent_at
        )
    await knowledge.settled()
    return source, ids


@pytest.mark.parametrize(
    ("kept", "deleted", "more", "expected"),
    [
        pytest.param([0, 25], [1], [40], [[0], [40]], id="its end is gone, and what was left is long ago"),
        pytest.param([0, 20, 40], [1], [50], [[0, 40, 50]], id="a gap in its midst"),
        pytest.param([0, 25], [0, 1], [40], [[40]], id="nothing is left of it"),
    ],
)  # fmt: skip
async def test_a_window_that_lost_messages_goes_on(
    deployment: Deployment,
    kept: list[int],
    deleted: list[int],
    more: list[int],
    expected: list[list[int]],
) -> None:
    """What is deleted from a window that was closed early never keeps later messages from being read."""
    async with knowing(deployment, merges=False) as knowledge:
        source, ids = await at_minutes(knowledge, kept)
        for position in deleted:
            await change(deployment, ids[position], deleted=True)
        await knowledge.settled()
        await at_minutes(knowledge, more, source)
        rows = await deployment.admin.fetch(
            """select array_agg(extract(epoch from m.sent_at - $2)::int / 60 order by w.position) as minutes
               from extractor.window_message w
               join ingest.message m on m.id = w.message_id and m.deleted_at is null
               where m.source_id = $1 group by w.window_id order by 1""",
            source,
            BEGAN,
        )
        assert [row["minutes"] for row in rows] == expected


@pytest.mark.parametrize("is_asked", [False, True])
async def test_more_than_is_looked_at_in_one_go_is_cut_alike(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, is_asked: bool
) -> None:
    """Whatever waits of several conversations ends in the same windows, also if their end is asked for."""
    admin = deployment.admin
    async with knowing(deployment, merges=False) as knowledge:
        found = []
        for bound in (conversations.PENDING_MAX, 25):
            monkeypatch.setattr(conversations, "PENDING_MAX", bound)
            source, _ = await say(deployment, TALK)
            moment = "now()" if is_asked else "sent_at"
            await admin.execute(
                f"""update ingest.message set thread_id = (substring(text from '\\d+')::int / 20)::text,
                      sent_at = {moment} + substring(text from '\\d+')::int * interval '1 second'
                    where source_id = $1""",
                source,
            )
            await knowledge.settled()
            if is_asked:
                assert await windows(deployment, source) == []
                asking = "select spine.enqueue($1, 'window', array[$2::uuid], array['close:now'])"
                await admin.execute(asking, deployment.workspace, source)
                await knowledge.settled()
            assert not await admin.fetchval("select count(*) from extractor.pending_message")
            found.append(await windows(deployment, source))
    assert found[0] == found[1]
    assert sum(map(len, found[0])) == len(TALK)


async def test_looks_at_part_of_what_waits_leave_nothing_behind(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies behind the end of what is looked at is cut, also when all looks that were planned fall due together."""
    monkeypatch.setattr(conversations, "PENDING_MAX", 25)
    admin = deployment.admin
    async with knowing(deployment, merges=False) as knowledge:
        source, _ = await say(deployment, TALK)
        await admin.execute(
            """update ingest.message set sent_at = now(),
                 thread_id = (substring(text from '\\d+')::int / 20)::text where source_id = $1""",
            source,
        )
        await knowledge.settled()
        assert await admin.fetchval("select count(*) from extractor.pending_message") == 60
        due = "update spine.task set available_at = now() where state = 'ready' and spec like 'tail:%'"
        while await admin.fetchval(f"with due as ({due} returning 1) select count(*) from due"):
            await knowledge.settled()
        assert await admin.fetchval("select count(*) from extractor.pending_message") == 0
