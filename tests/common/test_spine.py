"""The spine's rules, each on a real PostgreSQL and nats-server."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from services.common.bus import Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.outbox import complete, enqueue, enqueue_embedding_hinted
from services.common.stages import HISTORY
from tests.common.stages import STAGE, Recorder, make, running, states, store_of, until
from tests.conftest import Deployment

OWNER = uuid4()


async def test_the_same_task_is_made_once(deployment: Deployment) -> None:
    """A second request for the same stage, subject and spec makes no second task."""
    subject = uuid4()
    made = [
        await enqueue(deployment.admin, deployment.workspace, STAGE, [subject, subject], ["a", "b"])
        for _ in range(2)
    ]
    assert made == [2, 0]


async def test_tasks_of_new_subjects_are_as_those_of_others(deployment: Deployment) -> None:
    """Whether subjects are new or not, the tasks that embed them in what serves and in what is built are the same."""
    admin, workspace = deployment.admin, deployment.workspace
    for digit, state in (("0", "serving"), ("1", "building")):
        opening = f"select (embedder.open_generation('m{digit}', repeat('{digit}', 64), 8, 'mean', '', '')).id"
        generation = await admin.fetchval(opening)
        await admin.execute(
            "update embedder.generation set state = $2 where id = $1", generation, state
        )
    made = []
    for are_new in (False, True):
        subjects = sorted(uuid4() for _ in range(3))
        place = (admin, workspace, "message", subjects, [b"1", b"2", b"3"], 60, HISTORY)
        handed = await enqueue_embedding_hinted(*place, are_new=are_new)
        rows = await admin.fetch(
            """select array_position($1, subject_id) as number, stage, spec, state, attempts, hint_count, lane,
                 hint_at - created_at as again, id = any ($2) as is_handed
               from spine.task where subject_id = any ($1) order by number, spec""",
            subjects,
            handed,
        )
        made.append(list(map(tuple, rows)))
    assert len(made[0]) == 6
    assert made[1] == made[0]


async def test_a_task_is_claimed_by_one_worker_only(deployment: Deployment) -> None:
    """Of many claims at once exactly one gets each task."""
    ids = await make(deployment, *"abcdefgh")
    async with store_of() as store:
        claims = await asyncio.gather(
            *(store.claim(deployment.workspace, STAGE, ids, uuid4()) for _ in range(8))
        )
    assert sorted(task.id for claim in claims for task in claim) == sorted(ids)


async def test_a_lost_lease_cannot_complete(deployment: Deployment) -> None:
    """After another worker has taken an expired lease, the first one's results are not accepted."""
    ids = await make(deployment, "a")
    async with store_of(lease=0.05) as store:
        [first] = await store.claim(deployment.workspace, STAGE, ids, uuid4())
        await asyncio.sleep(0.1)
        [second] = await store.claim(deployment.workspace, STAGE, ids, uuid4())
        assert second.fence == first.fence + 1
        assert await store.extend([first]) == set()
        assert await complete(deployment.admin, [first], [1]) == set()
        assert await complete(deployment.admin, [second], [1]) == {second.id}
        assert await complete(deployment.admin, [second], [1]) == set()


async def test_a_held_lease_cannot_be_taken(deployment: Deployment) -> None:
    """A lease that is extended in time stays with its worker."""
    ids = await make(deployment, "a")
    nearly_over = "update spine.task set lease_until = now() + interval '30 s'"
    left = "select lease_until > now() + interval '500 s' from spine.task"
    async with store_of(lease=600) as store:
        [task] = await store.claim(deployment.workspace, STAGE, ids, OWNER)
        for _ in range(3):
            await deployment.admin.execute(nearly_over)
            assert await store.extend([task]) == {task.id}
            assert await deployment.admin.fetchval(left)
            assert await store.claim(deployment.workspace, STAGE, ids, uuid4()) == []


async def test_silent_attempts_end_in_death(deployment: Deployment) -> None:
    """A task whose workers all die without a word is dead after its last attempt, and says so."""
    ids = await make(deployment, "a")
    async with store_of(lease=0.01, attempts=3) as store:
        for attempt in range(1, 4):
            [task] = await store.claim(deployment.workspace, STAGE, ids, OWNER)
            assert task.attempts == attempt
            await asyncio.sleep(0.02)
        assert await store.claim(deployment.workspace, STAGE, ids, OWNER) == []
    row = await deployment.admin.fetchrow("select state, error_class from spine.task")
    assert tuple(row) == ("dead", "abandoned")


async def test_released_tasks_keep_their_attempts(deployment: Deployment) -> None:
    """Giving a task back does not count as an attempt."""
    ids = await make(deployment, "a")
    async with store_of() as store:
        for _ in range(10):
            [task] = await store.claim(deployment.workspace, STAGE, ids, OWNER)
            assert task.attempts == 1
            await store.release([task], "ModelUnavailable", "away", 0)


async def test_replay_gives_dead_tasks_fresh_attempts(deployment: Deployment) -> None:
    """A dry run counts and changes nothing; a replay makes the task claimable again."""
    ids = await make(deployment, "a")
    replay = "select spine.replay($1, '', '{}', $2)"
    async with store_of(attempts=1) as store:
        [task] = await store.claim(deployment.workspace, STAGE, ids, OWNER)
        assert await store.fail([task], "poison", "bad", 0) == {task.id: True}
        assert await deployment.admin.fetchval(replay, deployment.workspace, True) == 1
        assert await states(deployment.admin) == {"dead": 1}
        assert await deployment.admin.fetchval(replay, deployment.workspace, False) == 1
        [again] = await store.claim(deployment.workspace, STAGE, ids, OWNER)
        assert again.attempts == 1


async def test_tasks_flow_through_relay_and_worker(deployment: Deployment) -> None:
    """Every task is done exactly once, in batches."""
    specs = [f"s{n}" for n in range(500)]
    await make(deployment, *specs)
    stage = Recorder()
    async with running(stage):
        await until(deployment.admin, done=500)
    assert sorted(stage.written) == sorted(specs)
    assert len(stage.calls) < 100


@pytest.mark.parametrize("position", [0, 17, 63])
async def test_poison_is_isolated(deployment: Deployment, position: int) -> None:
    """One bad task in 64 costs at most 13 calls to find, and none of its neighbours."""
    specs = [f"s{n:02}" for n in range(64)]
    await make(deployment, *specs)
    stage = Recorder(poison=frozenset([specs[position]]))
    async with running(stage, task_attempts_max=1):
        await until(deployment.admin, done=63, dead=1)
    assert sorted(stage.written) == sorted(set(specs) - stage.poison)
    assert len(stage.calls) <= 13


async def test_an_outage_burns_no_attempts(deployment: Deployment) -> None:
    """While a provider is away tasks wait, none dies, and they are done once it is back."""
    await make(deployment, "a", "b")
    stage = Recorder(outage=True)
    async with running(stage, task_attempts_max=1):
        while len(stage.calls) < 3:  # noqa: ASYNC110 - calls have no event
            await asyncio.sleep(0.05)
        assert (await states(deployment.admin)).get("dead") is None
        stage.outage = False
        await until(deployment.admin, done=2)


async def test_a_task_that_was_tried_before_runs_alone(deployment: Deployment) -> None:
    """From its third attempt a task takes no neighbours with it."""
    await make(deployment, "a", "b", "c")
    await deployment.admin.execute("update spine.task set attempts = 2 where spec = 'b'")
    stage = Recorder()
    async with running(stage):
        await until(deployment.admin, done=3)
    assert sorted(stage.calls) == [1, 2]


async def test_a_wiped_broker_loses_nothing(deployment: Deployment) -> None:
    """When the streams vanish with all hints in them, every task is hinted and done again."""
    stage = Recorder(seconds=0.3)
    async with running(stage, again_seconds=0.5):
        await make(deployment, *[f"a{n}" for n in range(200)])
        await asyncio.sleep(0.4)
        async with Bus.open(BusSettings.read(), "vandal") as bus:
            await bus._js.delete_stream("WINNOW_TASKS")
        await make(deployment, *[f"b{n}" for n in range(200)])
        await until(deployment.admin, done=400)
    assert len(set(stage.written)) == len(stage.written) == 400


async def test_an_expired_lease_is_hinted_again(deployment: Deployment) -> None:
    """Work that a vanished worker held is done by another one after the lease."""
    ids = await make(deployment, "a")
    async with store_of(lease=0.3) as store:
        await store.claim(deployment.workspace, STAGE, ids, uuid4())
    stage = Recorder()
    async with running(stage):
        await until(deployment.admin, done=1)
    assert stage.written == ["a"]


async def test_tasks_are_locked_in_one_order(deployment: Deployment, database_url: str) -> None:
    """Producers, workers and relays that touch the same tasks at once never deadlock."""
    order = random.Random(7)
    subjects, workspace = [uuid4() for _ in range(40)], deployment.workspace
    lease = timedelta(seconds=60)

    async def produce(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            chosen = order.sample(subjects, 30)
            await enqueue(connection, workspace, STAGE, chosen, ["x"] * 30)
            await enqueue(connection, workspace, "window", chosen, ["y"] * 30)

    async def work(connection: asyncpg.Connection) -> None:
        ids = [row["id"] for row in await connection.fetch("select id from spine.task")]
        claim = "select * from spine.claim($1, $2, $3, $4, $5, 99)"
        rows = list(await connection.fetch(claim, workspace, STAGE, ids, uuid4(), lease))
        order.shuffle(rows)
        keys = workspace, [row["id"] for row in rows], [row["fence"] for row in rows]
        await connection.fetch("select * from spine.extend($1, $2, $3, $4)", *keys, lease)
        async with connection.transaction():
            complete_all = "select * from spine.complete($1, $2, $3, $4)"
            await connection.fetch(complete_all, *keys, [1] * len(rows))
            await connection.execute("select pg_sleep(0.002)")
        await connection.execute("delete from spine.task where state = 'done' and random() < 0.5")

    async def relay(connection: asyncpg.Connection) -> None:
        await connection.fetch("select * from spine.take_hints(20, $1, $1)", timedelta(0))

    async def repeat(turn: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        bound = {"winnow.workspace_id": str(workspace)}
        connection = await asyncpg.connect(database_url, server_settings=bound)
        for _ in range(40):
            await turn(connection)
        await connection.close()

    await asyncio.gather(*(repeat(turn) for turn in (produce, work, relay) for _ in range(3)))


async def test_services_cannot_write_tasks_directly(deployment: Deployment) -> None:
    """No service role may touch the task table but through the functions."""
    for role in ("winnow_ingest", "winnow_extractor", "winnow_embedder", "winnow_search"):
        async with Database.open(DatabaseSettings.read(), role) as database:
            for sql in ("delete from spine.task", "update spine.task set state = 'done'"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with database.transaction(deployment.workspace) as connection:
                        await connection.execute(sql)


async def test_one_writer_per_table(deployment: Deployment) -> None:
    """Each table can be written by the role of the schema it is in, and by no other."""
    rows = await deployment.admin.fetch(
        """select n.nspname || '.' || c.relname as name, n.nspname as owner, r.rolname as role
           from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_roles r
           where n.nspname in ('ingest', 'extractor', 'embedder') and c.relkind in ('r', 'p')
             and r.rolname in ('winnow_ingest', 'winnow_extractor', 'winnow_embedder', 'winnow_search')
             and has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE')"""
    )
    assert rows
    assert [tuple(row) for row in rows if row["role"] != f"winnow_{row['owner']}"] == []


async def test_every_table_of_a_workspace_is_guarded(deployment: Deployment) -> None:
    """Every table with a workspace_id has forced row-level security and the workspace first in its primary key."""
    rows = await deployment.admin.fetch(
        """select c.oid::regclass::text as name, c.relrowsecurity and c.relforcerowsecurity as guarded,
             (select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
              where i.indrelid = c.oid and i.indisprimary) as leading
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute w on w.attrelid = c.oid and w.attname = 'workspace_id'
           where n.nspname in ('spine', 'ingest', 'extractor', 'embedder') and c.relkind in ('r', 'p')"""
    )
    unguarded = {"spine.workspace"}
    assert {r["name"] for r in rows if not r["guarded"]} <= unguarded
    assert [r["name"] for r in rows if r["leading"] != "workspace_id"] == []


async def test_a_transaction_without_a_workspace_sees_nothing(deployment: Deployment) -> None:
    """Rows are invisible until the transaction is bound to their workspace."""
    await deployment.admin.execute(
        "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'x')",
        deployment.workspace,
    )
    count = "select count(*) from ingest.source"
    async with Database.open(DatabaseSettings.read(), "winnow_ingest") as database:
        async with database.connection() as connection:
            assert await connection.fetchval(count) == 0
        async with database.transaction(uuid4()) as connection:
            assert await connection.fetchval(count) == 0
        async with database.transaction(deployment.workspace) as connection:
            assert await connection.fetchval(count) == 1
