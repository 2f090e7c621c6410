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
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

STAGE, ATTEMPTS_MAX = "embed", 3
LONG, SHORT = timedelta(hours=1), timedelta(0)
SPECS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True)


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
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, Expected] = {}
        self.ids: dict[str, UUID] = {}
        self.done: dict[tuple[str, int], int] = {}

    @initialize()
    def start(self) -> None:
        """Begin with a workspace of its own."""
        self.table.workspace, self.table.subject = uuid4(), uuid4()

    @rule(specs=SPECS, reopen=st.booleans())
    def enqueue(self, specs: list[str], reopen: bool) -> None:
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

    @rule(target=claims, specs=SPECS)
    def claim(self, specs: list[str]) -> Any:
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
        return multiple(*(Claim(row["spec"], row["id"], row["fence"]) for row in rows))

    @rule(specs=SPECS)
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

    def _held(self, claim: Claim) -> Expected | None:
        task = self.tasks[claim.spec]
        return task if task.state == "leased" and task.fence == claim.fence else None

    @rule(claim=claims)
    def extend(self, claim: Claim) -> None:
        """A lease that nobody else has taken goes on, even after its end; another one does not come back."""
        call = "select id from spine.extend($1, $2, $3, $4)"
        rows = self.table.fetch(call, [claim.task], [claim.fence], LONG)
        held = self._held(claim)
        assert len(rows) == (held is not None)
        if held:
            held.expired = False

    @rule(claims=st.lists(consumes(claims), min_size=1, max_size=3), count=st.integers(0, 3))
    def complete(self, claims: list[Claim], count: int) -> None:
        """Only results behind the current fence are accepted, each fence once."""
        ids, fences = [c.task for c in claims], [c.fence for c in claims]
        call = "select id from spine.complete($1, $2, $3, $4)"
        accepted = {row["id"] for row in self.table.fetch(call, ids, fences, [count] * len(ids))}
        wanted = {claim.task for claim in claims if self._held(claim)}
        assert accepted == wanted
        for claim in claims:
            if held := self._held(claim):
                held.state, held.expired, held.results = "done", False, count
                key = claim.spec, claim.fence
                self.done[key] = self.done.get(key, 0) + 1

    @rule(claim=claims, again=st.booleans())
    def fail(self, claim: Claim, again: bool) -> None:
        """A failure makes the task ready again, or dead after its last attempt."""
        call = "select dead from spine.fail($1, $2, $3, 'class', 'text', $4, $5)"
        rows = self.table.fetch(call, [claim.task], [claim.fence], SHORT, ATTEMPTS_MAX)
        held = self._held(claim)
        assert len(rows) == (held is not None)
        if held:
            held.state = "dead" if held.attempts >= ATTEMPTS_MAX else "ready"
            held.expired = False
            assert rows[0]["dead"] == (held.state == "dead")

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        """A task that is given back has not used an attempt."""
        call = "select spine.release($1, $2, $3, $4, 'class', 'text') as count"
        [row] = self.table.fetch(call, [claim.task], [claim.fence], SHORT)
        held = self._held(claim)
        assert row["count"] == (held is not None)
        if held:
            held.state, held.expired, held.attempts = "ready", False, held.attempts - 1

    @rule(dry=st.booleans())
    def replay(self, dry: bool) -> None:
        """Dead tasks, and no others, begin anew."""
        dead = [task for task in self.tasks.values() if task.state == "dead"]
        [row] = self.table.fetch("select spine.replay($1, '', '{}', $2) as count", dry)
        assert row["count"] == len(dead)
        for task in dead if not dry else ():
            task.state, task.attempts = "ready", 0

    @rule()
    def take_hints(self) -> None:
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
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
