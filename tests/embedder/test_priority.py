"""What somebody waits for goes first: queries, then fresh messages, then backfill."""

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from uuid import UUID

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.hints import HINT_TASKS_MAX
from services.common.llama.lanes import Lane
from services.common.stages import HISTORY
from services.common.testing import FakeEncoder, Tokens
from services.common.vectors import Matrix
from services.embedder import debts
from services.embedder.debts import Debts
from services.embedder.specs import KINDS
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, fake_models, sha256, until
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.types.v1 import types_pb2


class Held(FakeEncoder):
    """Never answers what can wait, until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()
        self.waiting = 0

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return the vectors of the fake, those of a backfill once released."""
        if can_wait:
            self.waiting += 1
            await self.released.wait()
        return await super().encode(token_lists, urgent=urgent, can_wait=can_wait)


async def test_a_fresh_message_passes_a_backfill(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """While a backfill occupies all that it may, a fresh message gets its vector and a query its answer."""
    encoder = Held()
    old = await chat.say([f"old {n}" for n in range(3000)], tasks=False)
    async with embedder.serving(fake_models(encoder), reconciling=True) as channel:
        async with asyncio.timeout(60):
            while encoder.waiting < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        (fresh,) = await chat.say(["fresh"])
        await until(lambda: _has(chat, fresh))
        await EmbedderServiceStub(channel).Embed(
            pb.EmbedRequest(text="why"), metadata=deployment.metadata, timeout=60
        )
        assert set(await chat.vectors()) == {(fresh, 0)}
        encoder.released.set()
        await chat.settled()
    assert {subject for subject, _ in await chat.vectors()} == {*old, fresh}


async def _has(chat: Chat, message: object) -> bool:
    return (message, 0) in await chat.vectors()


async def test_a_backfill_is_hinted_in_a_window(embedder: Embedder, chat: Chat) -> None:
    """Only so many tasks of a backfill are hinted and not done at a time; fresh ones always are, lost hints again."""
    async with embedder.serving():
        pass
    ids = await chat.say([f"old {n}" for n in range(300)], tasks=False)
    generation = await chat.admin.fetchval("select id from embedder.generation")
    await chat.admin.execute(
        "select spine.enqueue_backfill($1, $2, 'message', $3, $4)",
        chat.workspace,
        generation,
        ids,
        [sha256(f"old {n}") for n in range(300)],
    )
    await chat.say(["fresh 1", "fresh 2"])
    long, soon = timedelta(hours=1), timedelta(0)
    assert await _taken(chat, long, 100) == {0: 2, 1: 100}
    assert await _taken(chat, long, 100) == {}
    await chat.admin.execute("update spine.task set hint_at = now() where hint_count > 0")
    assert await _taken(chat, soon, 100) == {0: 2, 1: 100}
    done = """update spine.task set state = 'done', hint_at = null where id in (
                select id from spine.task where lane = 1 and hint_count > 0 limit 40)"""
    await chat.admin.execute(done)
    await chat.admin.execute(
        "update spine.task set hint_at = now() + $1 where hint_count > 0 and hint_at is not null",
        long,
    )
    assert await _taken(chat, long, 100) == {1: 40}
    await chat.admin.execute("select spine.pause_backfill($1, true)", chat.workspace)
    assert await _taken(chat, long, 1000) == {}
    await chat.admin.execute("select spine.pause_backfill($1, false)", chat.workspace)
    assert await _taken(chat, long, 1000) == {1: 160}


async def _taken(chat: Chat, again: timedelta, window: int) -> dict[int, int]:
    rows = await chat.admin.fetch(
        "select lane, count(*) as n from spine.take_hints(1000, $1, $1, $2) group by lane",
        again,
        window,
    )
    return {row["lane"]: row["n"] for row in rows}


async def test_a_paused_backfill_waits(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """A backfill that is held back does nothing, fresh messages go on, and resumed it ends."""
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        await stub.PauseBackfill(pb.PauseBackfillRequest(paused=True), metadata=deployment.metadata)
        await chat.say(["old 1", "old 2"], tasks=False)
        replies = aiter(stub.Backfill(pb.BackfillRequest(), metadata=deployment.metadata))
        first = await anext(replies)
        assert (first.paused, first.remaining) == (True, 2)
        (fresh,) = await chat.say(["fresh"])
        await until(lambda: _has(chat, fresh))
        assert await chat.debt() == (2, 0)
        await stub.PauseBackfill(
            pb.PauseBackfillRequest(paused=False), metadata=deployment.metadata
        )
        *_, last = [reply async for reply in replies]
    assert (last.embedded, last.remaining, last.finished, last.paused) == (2, 0, True, False)


async def test_a_rate_spaces_the_tasks(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """With a rate no second has more tasks than that, and a reconciliation in between makes no others."""
    ids = await chat.say([f"text {n}" for n in range(25)], tasks=False)
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        request = pb.BackfillRequest(rate_per_second=10)
        replies = aiter(stub.Backfill(request, metadata=deployment.metadata))
        await anext(replies)
        await until(lambda: _tasks(chat, len(ids)))
        rows = await chat.admin.fetch(
            """select extract(epoch from available_at - min(available_at) over ())::float as after, count(*) as n
               from spine.task group by available_at order by available_at"""
        )
        assert [(round(row["after"], 3), row["n"]) for row in rows] == [(0, 10), (1, 10), (2, 5)]
        *_, last = [reply async for reply in replies]
        assert (last.embedded, last.finished) == (25, True)


async def test_a_rate_holds_for_what_a_cancelled_call_had_not_asked_for_yet(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """Whoever leaves while a backfill is planned leaves it to be planned to its end; the next call takes over."""
    ids = await chat.say([f"text {n}" for n in range(120)], tasks=False)
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        slow = stub.Backfill(pb.BackfillRequest(rate_per_second=0.01), metadata=deployment.metadata)
        await slow.read()
        slow.cancel()
        await until(lambda: _tasks(chat, len(ids)))
        assert await _is_spread(chat, 100 * (len(ids) - 1))
        slow = stub.Backfill(pb.BackfillRequest(rate_per_second=0.01), metadata=deployment.metadata)
        await slow.read()
        slow.cancel()
        hasty = stub.Backfill(pb.BackfillRequest(), metadata=deployment.metadata, timeout=60)
        *_, last = [reply async for reply in hasty]
    assert (last.remaining, last.finished) == (0, True)


async def test_a_backfill_of_one_kind_leaves_others_their_plan(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """Whoever hurries the atoms while a slow backfill of everything is planned does not end the plan of messages."""
    count = 400
    await chat.say([f"text {n}" for n in range(count)], tasks=False)
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        slow = stub.Backfill(pb.BackfillRequest(rate_per_second=0.01), metadata=deployment.metadata)
        await slow.read()
        await until(lambda: _planned(chat))
        atoms = pb.BackfillRequest(kinds=[types_pb2.SUBJECT_KIND_ATOM])
        assert not await _tasks(chat, count)
        *_, last = [r async for r in stub.Backfill(atoms, metadata=deployment.metadata)]
        assert last.finished
        await until(lambda: _tasks(chat, count), 30)
        slow.cancel()
    assert await _is_spread(chat, 100 * (count - 1))


async def _planned(chat: Chat) -> bool:
    return not await _tasks(chat, 0)


async def test_a_rate_is_kept_by_the_clock_of_the_database(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is an hour ahead plans a backfill that begins now all the same."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(time.time() + 3600, tz)

    monkeypatch.setattr(debts, "datetime", Ahead)
    await chat.say(["one", "two"], tasks=False)
    async with embedder.serving():
        generation = await chat.admin.fetchval("select id from embedder.generation")
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        asked = Debts(database, lambda: None).ask_for_missing(
            chat.workspace, generation, 1, KINDS, 0.01, take_over=True
        )
        assert [made async for made in asked] == [1, 1]
    due = await chat.admin.fetch(
        "select available_at <= now() as is_due from spine.task order by 1"
    )
    assert [row["is_due"] for row in due] == [False, True]


async def test_a_backfill_paces_what_waits_already(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """A rate holds for what was asked for before, and for what a cancelled call leaves; without one that is hurried."""
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        pause = pb.PauseBackfillRequest(paused=True)
        await stub.PauseBackfill(pause, metadata=deployment.metadata)
        ids = await chat.say([f"text {n}" for n in range(25)], tasks=False)
        generation = await chat.admin.fetchval("select id from embedder.generation")
        async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
            debts = Debts(database, lambda: None)
            asked = debts.ask_for_missing(chat.workspace, generation, 1000)
            assert [made async for made in asked] == [len(ids)]
        slow = stub.Backfill(pb.BackfillRequest(rate_per_second=0.01), metadata=deployment.metadata)
        await slow.read()
        await until(lambda: _is_spread(chat, 2400))
        slow.cancel()
        async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
            again = Debts(database, lambda: None).ask_for_missing(chat.workspace, generation, 1000)
            assert [made async for made in again] == []
        assert await _is_spread(chat, 2400)
        await stub.PauseBackfill(pb.PauseBackfillRequest(), metadata=deployment.metadata)
        hasty = stub.Backfill(pb.BackfillRequest(), metadata=deployment.metadata, timeout=60)
        *_, last = [reply async for reply in hasty]
    assert (last.embedded, last.finished) == (25, True)


async def _is_spread(chat: Chat, seconds: float) -> bool:
    spread = await chat.admin.fetchval(
        "select extract(epoch from max(available_at) - min(available_at)) from spine.task"
    )
    return round(spread) == seconds


async def _tasks(chat: Chat, count: int) -> bool:
    return bool(await chat.admin.fetchval("select count(*) = $1 from spine.task", count))


class Nothing:
    """A context that holds no memory."""

    def close(self) -> None:
        """Nothing to free."""


async def test_a_lane_runs_what_can_wait_last() -> None:
    """Work that can wait is overtaken by all that comes while it waits, and keeps its own order."""
    lane = Lane(Path("model"), "texts", [], 100, background=[Nothing()])
    begun, go, order = threading.Event(), threading.Event(), list[str]()

    def block(_: Nothing) -> None:
        begun.set()
        go.wait(60)

    def note(name: str) -> object:
        return lambda _: order.append(name)

    first = asyncio.create_task(lane.run([block]))
    await asyncio.to_thread(begun.wait, 60)
    slow = asyncio.create_task(lane.run([note("old 1"), note("old 2")], can_wait=True))  # type: ignore[list-item]
    await asyncio.sleep(0)
    fast = asyncio.create_task(lane.run([note("fresh")]))  # type: ignore[list-item]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, slow, fast)
    lane.close()
    assert order == ["fresh", "old 1", "old 2"]


async def test_a_fresh_text_is_not_left_to_a_context_that_steps_back() -> None:
    """Single texts are read by the first context; those that step back help once it is busy, up to their number."""
    first, backs = Nothing(), [Nothing(), Nothing()]
    lane = Lane(Path("model"), "texts", [first], 100, background=backs)
    used = [(await lane.run([lambda context: context]))[0] for _ in range(50)]
    assert used == [first] * 50
    begun, go = list[Nothing](), threading.Event()

    def hold(context: Nothing) -> Nothing:
        begun.append(context)
        go.wait(60)
        return context

    held = asyncio.create_task(lane.run([hold] * 3))
    async with asyncio.timeout(60):
        while len(begun) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(begun) == 2
    assert first in begun
    go.set()
    assert len(await held) == 3
    lane.close()


async def test_a_backfill_waits_for_one_batch_of_another(
    embedder: Embedder, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two workspaces that import, the one that began later has a turn after each batch of the other."""
    monkeypatch.setenv("WINNOW_EMBED_HINTS_MAX", "1")
    monkeypatch.setenv("WINNOW_EMBED_PARALLEL", "1")
    first, second = UUID(int=1 << 96), UUID(int=2 << 96)
    await deployment.admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, hint_at, lane)
           select w, 'embed', uuidv7(), 'message:' || uuidv7() || ':gone', now(), $3
           from (values ($1::uuid, 1000), ($2, 1)) x (w, count), generate_series(1, count)""",
        first,
        second,
        HISTORY,
    )
    async with embedder.serving():
        await until_true(deployment.admin, "bool_and(state = 'done') from spine.task")
    before = await deployment.admin.fetchval(
        """select count(*) from spine.task
           where finished_at < (select finished_at from spine.task where workspace_id = $1)""",
        second,
    )
    assert before <= 4 * HINT_TASKS_MAX
