"""Claims, results, failures, expiries and replays in any order keep the laws of the task table: a model knows them."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

STAGE, ATTEMPTS_MAX = "embed", 2
LONG, SHORT = timedelta(hours=1), timedelta(0)
ALL = "abcd"
SPECS = st.lists(st.sampled_from(ALL), min_size=1, unique=True)
WORK = "claim claim expire expire complete complete fail release extend".split()
CARE = "enqueue reopen replay count_dead take_hints".split()


@dataclass
class Expected:
    """What a task must look like."""

    state: str = "ready"
    attempts: int = 0
    fence: int = 0
    expired: bool = False
    results: int | None = None

    def row(self) -> tuple[object, ...]:
        """The same as the table has it."""
        return self.state, self.attempts, self.fence, self.results


@dataclass(frozen=True)
class Claim:
    """What one worker got."""

    spec: str
    task: UUID
    fence: int


@dataclass
class Table:
    """The task table of one workspace, through the functions that services have."""

    loop: asyncio.AbstractEventLoop
    connection: asyncpg.Connection
    workspace: UUID = field(default_factory=uuid4)
    subject: UUID = field(default_factory=uuid4)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end."""
        return self.loop.run_until_complete(work)

    def fetch(self, sql: str, *arguments: object) -> list[Any]:
        """The rows of a statement about this workspace, which is its first argument."""
        rows: list[Any] = self.run(self.connection.fetch(sql, self.workspace, *arguments))
        return rows


class Spine(RuleBasedStateMachine):
    """Workers that are slow, die and come back, and people who replay."""

    table: Table

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Expected] = {}
        self.ids: dict[str, UUID] = {}
        self.claims: list[Claim] = []
        self.done: dict[tuple[str, int], int] = {}

    @initialize(specs=SPECS)
    def start(self, specs: list[str]) -> None:
        """Begin with some tasks in a workspace of their own."""
        self.table.workspace, self.table.subject = uuid4(), uuid4()
        self.table.fetch("select set_config('winnow.workspace_id', $1::uuid::text, false)")
        self.enqueue(specs)

    # Few rules with many ways, since Hypothesis leaves whole rules out of a run and most ways need a claim before.

    @rule(way=st.sampled_from(WORK), specs=SPECS, which=st.integers(0, 9), many=st.booleans())
    def work(self, way: str, specs: list[str], which: int, many: bool) -> None:
        """A worker takes tasks, sleeps too long, or answers for something that it took at any time."""
        if way in ("claim", "expire"):
            getattr(self, way)(specs)
        elif self.claims:
            latest = self.claims[-1 - which % len(self.claims) :]
            getattr(self, way)(latest if many else latest[:1])

    @rule(way=st.sampled_from(CARE), specs=SPECS)
    def care(self, way: str, specs: list[str]) -> None:
        """Producers, people and the relay do their part."""
        getattr(self, way)(specs)

    def reopen(self, specs: list[str]) -> None:
        """Ask for work that may have been done before."""
        self.enqueue(specs, reopen=True)

    def enqueue(self, specs: list[str], reopen: bool = False) -> None:
        """New tasks appear; one that exists is left alone, or opened again if it was done."""
        changed = 0
        for spec in specs:
            task = self.tasks.get(spec)
            if task is None or (reopen and task.state == "done"):
                fence = task.fence if task else 0
                self.tasks[spec] = Expected(fence=fence)
                changed += 1
        subjects = [self.table.subject] * len(specs)
        call = "select spine.enqueue($1, $2, $3, $4, now(), $5) as made"
        [row] = self.table.fetch(call, STAGE, subjects, specs, reopen)
        assert row["made"] == changed
        rows = self.table.fetch("select id, spec from spine.task where workspace_id = $1")
        self.ids = {row["spec"]: row["id"] for row in rows}

    def claim(self, specs: list[str]) -> None:
        """Exactly the tasks that are ready or whose lease ran out are leased, with a new fence each."""
        wanted, dying = [], []
        for spec, task in self.tasks.items():
            if spec in specs and (task.state == "ready" or task.expired):
                (dying if task.attempts >= ATTEMPTS_MAX else wanted).append(spec)
        ids = [self.ids[spec] for spec in specs if spec in self.ids]
        call = "select * from spine.claim($1, $2, $3, $4, $5, $6)"
        rows = self.table.fetch(call, STAGE, ids, uuid4(), LONG, ATTEMPTS_MAX)
        assert sorted(row["spec"] for row in rows) == sorted(wanted)
        for spec in dying:
            self.tasks[spec].state, self.tasks[spec].expired = "dead", False
        for row in rows:
            task = self.tasks[row["spec"]]
            assert row["fence"] == task.fence + 1
            task.state, task.expired = "leased", False
            task.fence, task.attempts = task.fence + 1, task.attempts + 1
            assert row["attempts"] == task.attempts
            self.claims.append(Claim(row["spec"], row["id"], row["fence"]))

    def expire(self, specs: list[str]) -> None:
        """Leases run out while their workers sleep."""
        self.table.fetch(
            """update spine.task set lease_until = now() - interval '1 s'
               where workspace_id = $1 and state = 'leased' and spec = any ($2)""",
            specs,
        )
        for spec in specs:
            if spec in self.tasks and self.tasks[spec].state == "leased":
                self.tasks[spec].expired = True

    def _held_of(self, claims: list[Claim]) -> dict[UUID, Expected]:
        """The tasks that are still held by these claims."""
        return {
            claim.task: task
            for claim in claims
            if (task := self.tasks[claim.spec]).state == "leased" and task.fence == claim.fence
        }

    def extend(self, claims: list[Claim]) -> None:
        """A lease that nobody else has taken goes on, even after its end; another one does not come back."""
        held = self._held_of(claims)
        rows = self.table.fetch("select id from spine.extend($1, $2, $3, $4)", *_keys(claims), LONG)
        assert {row["id"] for row in rows} == held.keys()
        for task in held.values():
            task.expired = False

    def complete(self, claims: list[Claim]) -> None:
        """Only results behind the current fence are accepted, each fence once."""
        held, counts = self._held_of(claims), list(range(len(claims)))
        call = "select id from spine.complete($1, $2, $3, $4)"
        rows = self.table.fetch(call, *_keys(claims), counts)
        assert {row["id"] for row in rows} == held.keys()
        for claim, count in zip(claims, counts, strict=True):
            if claim.task in held and held[claim.task].fence == claim.fence:
                held[claim.task].results = count
                self.done[claim.spec, claim.fence] = self.done.get((claim.spec, claim.fence), 0) + 1
        for task in held.values():
            task.state, task.expired = "done", False

    def fail(self, claims: list[Claim]) -> None:
        """A failure makes the task ready again, or dead after its last attempt."""
        held = self._held_of(claims)
        call = "select id, dead from spine.fail($1, $2, $3, 'class', 'text', $4, $5)"
        rows = self.table.fetch(call, *_keys(claims), SHORT, ATTEMPTS_MAX)
        dead = {task_id: task.attempts >= ATTEMPTS_MAX for task_id, task in held.items()}
        assert {row["id"]: row["dead"] for row in rows} == dead
        for task_id, task in held.items():
            task.state, task.expired = "dead" if dead[task_id] else "ready", False

    def release(self, claims: list[Claim]) -> None:
        """A task that is given back has not used an attempt."""
        held = self._held_of(claims)
        call = "select spine.release($1, $2, $3, $4, 'class', 'text') as count"
        [row] = self.table.fetch(call, *_keys(claims), SHORT)
        assert row["count"] == len(held)
        for task in held.values():
            task.state, task.expired, task.attempts = "ready", False, task.attempts - 1

    def count_dead(self, specs: list[str]) -> None:
        """Count what a replay would do."""
        self.replay(specs, dry=True)

    def replay(self, specs: list[str], dry: bool = False) -> None:
        """Dead tasks, and no others, begin anew."""
        dead = [task for task in self.tasks.values() if task.state == "dead"]
        [row] = self.table.fetch("select spine.replay($1, '', '{}', $2) as count", dry)
        assert row["count"] == len(dead)
        for task in dead if not dry else ():
            task.state, task.attempts = "ready", 0

    def take_hints(self, specs: list[str]) -> None:
        """Every open task is hinted in turn; a hint changes nothing but the time of the next one."""
        self.table.fetch(
            "update spine.task set hint_at = now() where workspace_id = $1 and hint_at is not null"
        )
        call = "select id from spine.take_hints(1000, $2, $2) where workspace_id = $1"
        found = {row["id"] for row in self.table.fetch(call, LONG)}
        opened = {
            self.ids[spec] for spec, task in self.tasks.items() if task.state in ("ready", "leased")
        }
        assert found == opened

    @invariant()
    def the_table_is_as_it_must_be(self) -> None:
        """State, attempts, fence and result count are those of the model, and open tasks always have a next hint."""
        rows = self.table.fetch("select * from spine.task where workspace_id = $1")
        found = {
            r["spec"]: (r["state"], r["attempts"], r["fence"], r["result_count"]) for r in rows
        }
        assert found == {spec: task.row() for spec, task in self.tasks.items()}
        for row in rows:
            assert (row["hint_at"] is None) == (row["state"] in ("done", "dead"))
            assert row["attempts"] <= ATTEMPTS_MAX

    @invariant()
    def no_fence_was_accepted_twice(self) -> None:
        """One fence makes one set of results visible."""
        assert set(self.done.values()) <= {1}


def _keys(claims: list[Claim]) -> tuple[list[UUID], list[int]]:
    return [claim.task for claim in claims], [claim.fence for claim in claims]


@pytest.fixture
def table(postgres_url: str) -> Iterator[Table]:
    """A task table for one run after another, each in its own workspace."""
    loop, name = asyncio.new_event_loop(), f"state_{uuid4().hex}"
    owner = loop.run_until_complete(asyncpg.connect(f"{postgres_url}/postgres"))
    make = f"create database {name} template template_winnow strategy file_copy"
    loop.run_until_complete(owner.execute(make))
    connection = loop.run_until_complete(asyncpg.connect(f"{postgres_url}/{name}"))
    yield Table(loop, connection)
    loop.run_until_complete(connection.close())
    loop.run_until_complete(owner.execute(f"drop database {name} with (force)"))
    loop.run_until_complete(owner.close())
    loop.close()


def test_the_laws_hold_in_any_order(table: Table) -> None:
    """No two workers hold one fence, what is done was done exactly once, and attempts count as they should."""

    class Bound(Spine):
        """The machine on this test's table."""

    Bound.table = table
    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
