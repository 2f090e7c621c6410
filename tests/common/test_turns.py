"""A workspace with much to do keeps no other waiting: between two of its batches each other has a turn."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from services.common.breaker import Breaker
from services.common.outbox import Task, enqueue
from services.common.stages import BACKFILL, BEHIND, FRESH, HISTORY, STAGES
from services.common.work import Result
from tests.common.stages import STAGE, Recorder, eventually, running, store_of, until, until_true
from tests.conftest import Deployment

BATCH = 4
OWNER = uuid4()
WORKSPACES = NOISY, QUIET, OTHER = [UUID(int=number << 96) for number in (1, 2, 3)]
HINTED = "bool_and(hint_count > 0) from spine.task"


@dataclass
class Held(Recorder):
    """A stage that keeps whose batches it was given, and works on the first one until it is let go."""

    turns: list[UUID] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[str]]:
        """Return each task's spec."""
        self.turns.append(tasks[0].workspace)
        self.started.set()
        await self.may_go_on.wait()
        return await super().perform(tasks)


async def _make(
    deployment: Deployment, workspace: UUID, count: int, stage: str = STAGE, *, hinted: bool = False
) -> None:
    """Make tasks that are called by their numbers, as if they were hinted already if that is asked."""
    bound = "select set_config('winnow.workspace_id', $1, false)"
    await deployment.admin.execute(bound, str(workspace))
    subjects, specs = sorted(uuid4() for _ in range(count)), [f"{n:04}" for n in range(count)]
    await enqueue(deployment.admin, workspace, stage, subjects, specs)
    if hinted:
        await deployment.admin.execute(
            "update spine.task set hint_count = 1, hint_at = now() + interval '5 min' where workspace_id = $1",
            workspace,
        )


@pytest.mark.parametrize("stage", STAGES)
async def test_a_task_of_another_workspace_waits_for_one_batch(
    deployment: Deployment, stage: str
) -> None:
    """In every stage a task that comes while another workspace has a hundred waiting is next."""
    held = Held(name=stage)
    async with running(held, batch_max=BATCH):
        await _make(deployment, NOISY, 100, stage)
        await held.started.wait()
        await _make(deployment, QUIET, 1, stage)
        await until_true(deployment.admin, HINTED)
        held.may_go_on.set()
        await until(deployment.admin, done=101)
    assert held.turns.index(QUIET) == 1


async def test_workspaces_with_much_to_do_share(deployment: Deployment) -> None:
    """While three have work, none is more than two batches ahead of another."""
    held = Held()
    async with running(held, batch_max=BATCH):
        for workspace in WORKSPACES:
            await _make(deployment, workspace, 100)
        await until_true(deployment.admin, HINTED)
        held.may_go_on.set()
        await until(deployment.admin, done=300)
    batches = 100 // BATCH
    for end in range(3 * batches - 2):
        counts = Counter(held.turns[:end])
        assert max(counts.values(), default=0) - min(counts[each] for each in WORKSPACES) <= 2
    assert Counter(held.turns) == dict.fromkeys(WORKSPACES, batches)


async def test_what_waits_longest_of_a_workspace_is_claimed_first(deployment: Deployment) -> None:
    """Out of turn too, the tasks of a workspace are done in the order in which they were asked for."""
    await _make(deployment, QUIET, 3, hinted=True)
    await deployment.admin.execute(
        "update spine.task set available_at = now() - interval '1 s' where spec = '0002'"
    )
    async with store_of() as store:
        place = {"after": NOISY, "before": NOISY}
        specs = []
        while turn := await store.claim_next(STAGE, [FRESH], 1, OWNER, **place):
            specs += [task.spec for task in turn.tasks]
    assert specs == ["0002", "0000", "0001"]


async def test_the_circle_ends_where_it_began(deployment: Deployment) -> None:
    """Each workspace that waits is found once on the way from one round to it, wherever that is."""
    others = [*WORKSPACES, UUID(int=2**128 - 2)]
    for workspace in others:
        await _make(deployment, workspace, 9, hinted=True)
    async with store_of() as store:
        for start in (*others, UUID(int=0), UUID(int=5 << 95)):
            at, found = start, list[UUID]()
            place = {"before": start}
            while turn := await store.claim_next(STAGE, [FRESH], 1, OWNER, after=at, **place):
                at = turn.workspace
                found.append(at)
            after = [each for each in others if each > start]
            assert found == after + [each for each in others if each < start]


@pytest.mark.parametrize(
    "why_not",
    [
        "hint_count = 0",
        "state = 'leased', lease_until = now() - interval '1 s'",
        "stage = 'merge'",
        "lane = 1",
        "state = 'done', hint_at = null",
    ],
)
async def test_what_cannot_be_claimed_does_not_wait(deployment: Deployment, why_not: str) -> None:
    """What no hint was given for, is taken or ended, or is of another lane or stage, is nobody's turn."""
    await _make(deployment, QUIET, 1, hinted=True)
    await deployment.admin.execute(f"update spine.task set {why_not}")
    async with store_of() as store:
        place = {"after": NOISY, "before": NOISY}
        assert await store.claim_next(STAGE, [FRESH, HISTORY], 1, OWNER, **place) is None


async def test_what_can_wait_has_turns_of_its_own(deployment: Deployment) -> None:
    """A worker on backfills takes of both their lanes and nothing fresh."""
    await _make(deployment, QUIET, 3, hinted=True)
    for lane in (FRESH, BACKFILL, HISTORY):
        await deployment.admin.execute(
            "update spine.task set lane = $1 where spec = $2", lane, f"{lane:04}"
        )
    async with store_of() as store:
        place = {"after": NOISY, "before": NOISY}
        turn = await store.claim_next(STAGE, BEHIND, 64, OWNER, **place)
        assert turn is not None
        assert {task.spec for task in turn.tasks} == {f"{lane:04}" for lane in BEHIND}
        assert await store.claim_next(STAGE, BEHIND, 64, OWNER, **place) is None


async def test_many_workers_on_one_turn_take_different_tasks(deployment: Deployment) -> None:
    """Each task that waits is claimed by one of many who come at once."""
    await _make(deployment, QUIET, 64, hinted=True)
    async with store_of() as store:
        place = {"after": NOISY, "before": NOISY}
        turns = await asyncio.gather(
            *(store.claim_next(STAGE, [FRESH], 8, uuid4(), **place) for _ in range(16))
        )
    specs = [task.spec for turn in turns if turn for task in turn.tasks]
    assert len(specs) == len(set(specs))
    assert len(specs) >= 8


async def test_no_turn_is_given_while_a_provider_is_left_alone(deployment: Deployment) -> None:
    """Of what many have waiting no more is tried once the provider that all need has not answered three times."""
    held, breaker = Held(outage=True), Breaker(lambda: 0.0)
    held.may_go_on.set()
    for number in range(10, 20):
        await _make(deployment, UUID(int=number << 96), 1, hinted=True)
    async with running(held, batch_max=BATCH, breaker=breaker):
        await _make(deployment, NOISY, BATCH)
        await eventually(lambda: breaker.is_open)
    assert len(held.turns) == 3


async def test_a_turn_is_found_by_the_index_alone(deployment: Deployment) -> None:
    """Planned while the table was empty, it reads a few rows of many that are done or wait."""
    admin = deployment.admin
    read = """select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables
              where relid = 'spine.task'::regclass"""
    calls = (
        ("select spine.next_waiting('embed', '{0}', $1, $1)", (NOISY,)),
        (
            "select * from spine.claim_waiting($1, 'embed', '{0}', 1, $2, '1 min', 5)",
            (QUIET, OWNER),
        ),
    )
    for sql, arguments in calls:
        await admin.fetch(sql, *arguments)
    await _make(deployment, NOISY, 1, hinted=True)
    await _make(deployment, QUIET, 1, hinted=True)
    await admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, state, hint_at, hint_count)
           select w, 'embed', uuidv7(), n::text, s, case s when 'ready' then now() end, 1
           from unnest($1::uuid[]) w, generate_series(1, 3000) n, unnest(array['ready', 'done']) s""",
        [NOISY, QUIET],
    )
    for sql, arguments in calls:
        async with admin.transaction():
            before = await admin.fetchval(read) or 0
            assert await admin.fetch(sql, *arguments)
            assert (await admin.fetchval(read)) - before < 50
