"""What each login and role may do in the database, and that functions are bound to the workspace they act for."""

import importlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.addresses import NAMES
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.outbox import Task, TaskStore, announce, enqueue, enqueue_embedding
from tests.conftest import PASSWORD, Deployment
from winnow.events.v1.events_pb2 import VectorsWritten

ROLES = tuple(f"winnow_{name}" for name in (*NAMES, "relay"))
LOGINS = tuple(f"winnow_{name}_app" for name in NAMES)
# What acts for one workspace: its argument cannot mislead it.
BOUND = {
    *(
        "enqueue",
        "enqueue_embedding",
        "enqueue_backfill",
        "plan_backfill",
        "announce",
        "claim",
        "claim_waiting",
        "extend",
        "complete",
        "fail",
        "release",
    ),
    *("replay", "tasks", "stages", "note_action", "end_action", "actions", "tokens_today"),
    "key_with_prefix",
}
WRITERS = r"^\s*(insert|update|delete|with\b[\s\S]*\b(insert into|update|delete from))\b"


async def _make(deployment: Deployment, workspace: UUID) -> list[UUID]:
    """Three ready tasks of a workspace."""
    await deployment.admin.execute(
        "select set_config('winnow.workspace_id', $1, false)", str(workspace)
    )
    await enqueue(deployment.admin, workspace, "embed", [uuid4() for _ in range(3)], ["x"] * 3)
    rows = await deployment.admin.fetch(
        "select id from spine.task where workspace_id = $1", workspace
    )
    return [row["id"] for row in rows]


async def _states(deployment: Deployment, workspace: UUID) -> Sequence[tuple[object, ...]]:
    rows = await deployment.admin.fetch(
        "select state, attempts, fence from spine.task where workspace_id = $1 order by id",
        workspace,
    )
    return [tuple(row) for row in rows]


async def test_a_wrong_workspace_reaches_nothing(deployment: Deployment) -> None:
    """In a transaction of one workspace no function can touch the tasks of another, whatever it is asked."""
    mine, other = deployment.workspace, uuid4()
    ids = await _make(deployment, other)
    await deployment.admin.execute(
        "insert into spine.audit (workspace_id, action) values ($1, 'x')", other
    )
    before = await _states(deployment, other)
    lease = timedelta(seconds=60)
    harmless = [
        ("select * from spine.claim($1, 'embed', $2, $3, $4, 5)", ids, uuid4(), lease),
        ("select * from spine.extend($1, $2, $3, $4)", ids, [0] * 3, lease),
        ("select * from spine.complete($1, $2, $3, $4)", ids, [0] * 3, [1] * 3),
        ("select * from spine.fail($1, $2, $3, 'x', 'x', $4, 1)", ids, [0] * 3, lease),
        ("select * from spine.tasks($1, '', '', $2, 10)", UUID(int=0)),
        ("select * from spine.tasks($1, '', '', '', null, null, null, null, 10)",),
        ("select * from spine.actions($1, null, '', '', null, null, null, null, 10)",),
        ("select * from spine.stages($1)",),
    ]
    counting = [
        ("select spine.release($1, $2, $3, $4, 'x', 'x')", ids, [0] * 3, lease),
        ("select spine.replay($1, '', $2, false)", ids),
    ]
    await deployment.admin.execute("update spine.task set state = 'leased', lease_until = now()")
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        async with database.transaction(mine) as connection:
            for sql, *arguments in harmless:
                assert await connection.fetch(sql, other, *arguments) == []
            for sql, *arguments in counting:
                assert await connection.fetchval(sql, other, *arguments) == 0
        for attempt in (
            lambda c: enqueue(c, other, "embed", [uuid4()], ["y"]),
            lambda c: enqueue(c, other, "embed", [uuid4()], ["y"], reopen=True),
            lambda c: announce(c, other, "vectors_written", VectorsWritten()),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with database.transaction(mine) as connection:
                    await attempt(connection)
    await deployment.admin.execute(
        "update spine.task set state = 'ready', lease_until = null, hint_at = now()"
    )
    assert await _states(deployment, other) == before


async def test_what_waits_elsewhere_cannot_be_claimed(deployment: Deployment) -> None:
    """In a transaction of one workspace nothing that waits in another is claimed; in the other's own it is."""
    other = uuid4()
    ids = await _make(deployment, other)
    await deployment.admin.execute("update spine.task set hint_count = 1")
    claim = "select id from spine.claim_waiting($1, 'embed', '{0}', 9, $2, '1 minute', 5)"
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        for workspace, found in ((deployment.workspace, []), (other, ids)):
            async with database.transaction(workspace) as connection:
                rows = await connection.fetch(claim, other, uuid4())
                assert {row["id"] for row in rows} == set(found)


async def test_without_a_workspace_nothing_is_reached(deployment: Deployment) -> None:
    """A connection that is bound to no workspace can claim nothing and make nothing."""
    ids = await _make(deployment, deployment.workspace)
    async with (
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
        database.connection() as connection,
    ):
        claim = "select * from spine.claim($1, 'embed', $2, $3, '1 minute', 5)"
        assert await connection.fetch(claim, deployment.workspace, ids, uuid4()) == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await enqueue(connection, deployment.workspace, "embed", [uuid4()], ["y"])


async def test_the_store_binds_each_statement(deployment: Deployment) -> None:
    """What a worker reports is bound to the workspace of its tasks, and the binding does not outlive the statement."""
    ids = await _make(deployment, deployment.workspace)
    async with Database.open(DatabaseSettings.read(), "winnow_embedder", size=1) as database:
        store = TaskStore(database, 60, 5)
        tasks = await store.claim(deployment.workspace, "embed", ids, uuid4())
        assert {task.id for task in tasks} == set(ids)
        async with database.connection() as connection:
            assert await connection.fetchval("select spine.current_workspace()") is None
        assert await store.extend(tasks) == set(ids)
        elsewhere = uuid4()
        forged = [Task(elsewhere, t.id, t.subject, t.spec, t.fence, t.attempts) for t in tasks]
        assert await store.extend(forged) == set()
        await store.release(forged, "x", "x", 0)
        assert {state for state, *_ in await _states(deployment, deployment.workspace)} == {
            "leased"
        }
        assert await store.fail(tasks, "x", "x", 0) == dict.fromkeys(ids, False)


async def test_embedding_tasks_are_bound_too(deployment: Deployment) -> None:
    """Asking for vectors of another workspace's subjects is refused like any other task."""
    await deployment.admin.fetchrow(
        "select * from embedder.open_generation('m', $1, 3, 'mean', '', '')", "a" * 64
    )
    async with Database.open(DatabaseSettings.read(), "winnow_ingest") as database:
        async with database.transaction(deployment.workspace) as connection:
            subjects, hashes = [uuid4()], [b"h" * 32]
            place = (connection, deployment.workspace, "message", subjects, hashes)
            assert await enqueue_embedding(*place) == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(deployment.workspace) as connection:
                await enqueue_embedding(connection, uuid4(), "message", subjects, hashes)


async def test_functions_that_write_for_a_workspace_are_bound(deployment: Deployment) -> None:
    """Every function that takes a workspace and changes rows runs as the role that sees one workspace alone."""
    rows = await deployment.admin.fetch(
        """select p.proname as name, o.rolname as owner, p.provolatile = 'v' as writes
           from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles o on o.oid = p.proowner
           where n.nspname = 'spine' and p.prosecdef and p.proargnames[1] = 'p_workspace'"""
    )
    owners = {row["name"]: row["owner"] for row in rows}
    assert {name for name, owner in owners.items() if owner == "winnow_workspace"} >= BOUND
    assert {
        row["name"] for row in rows if row["writes"] and row["owner"] != "winnow_workspace"
    } == set()
    policies = await deployment.admin.fetch(
        "select polrelid::regclass::text as name from pg_policy where 'winnow_workspace'::regrole = any (polroles)"
    )
    assert policies == []


@asynccontextmanager
async def logged_in(deployment: Deployment, url: str, login: str) -> AsyncIterator[str]:
    """Give a login a password for a moment; yields its URL."""
    await deployment.admin.execute(f"alter role {login} login password '{PASSWORD}'")
    try:
        yield url.replace("postgres:", f"{login}:", 1)
    finally:
        await deployment.admin.execute(f"alter role {login} nologin")


@pytest.mark.parametrize("name", NAMES)
async def test_a_login_acts_as_its_own_service(
    deployment: Deployment, database_url: str, name: str
) -> None:
    """A service's own login may take its role and that of its relay, and no other; by itself it may do nothing."""
    allowed = {f"winnow_{name}"} | ({"winnow_relay"} if name != "search" else set())
    async with logged_in(deployment, database_url, f"winnow_{name}_app") as url:
        connection = await asyncpg.connect(url)
        try:
            for role in (*ROLES, "winnow_spine", "winnow_workspace", "winnow_app", "postgres"):
                if role in allowed:
                    await connection.execute(f"set role {role}")
                    await connection.execute("reset role")
                    continue
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(f"set role {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("select * from ingest.message")
        finally:
            await connection.close()
        for role in set(ROLES) - allowed:
            with pytest.raises(InvalidSetting, match="WINNOW_DATABASE_URL"):
                async with Database.open(DatabaseSettings(database_url=url), role):  # type: ignore[arg-type]
                    pass


@pytest.mark.parametrize("name", ["ingest", "search"])
async def test_a_service_runs_with_its_own_login(
    deployment: Deployment, database_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a login of its own in WINNOW_DATABASE_URL a service starts, and all its connections are that login's."""
    login = f"winnow_{name}_app"
    async with logged_in(deployment, database_url, login) as url:
        monkeypatch.setenv("WINNOW_DATABASE_URL", url)
        module = importlib.import_module(f"services.{name}.service")
        async with module.open_service():
            rows = await deployment.admin.fetch(
                """select distinct usename from pg_stat_activity
                   where datname = current_database() and application_name ~ '^winnow_'"""
            )
            assert [row["usename"] for row in rows] == [login]


async def test_logins_are_closed_until_they_are_given_a_password(deployment: Deployment) -> None:
    """A migrated database lets no service in by itself, and no role but a login can ever log in."""
    rows = await deployment.admin.fetch(
        "select rolname from pg_roles where rolname like 'winnow\\_%' and rolcanlogin"
    )
    assert {row["rolname"] for row in rows} == {"winnow_app"}, "the tests' own login alone"


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_can_make_and_read_nothing_else(deployment: Deployment, role: str) -> None:
    """No service can make objects, read files, run programs, become another, or see the passwords of the cluster."""
    async with Database.open(DatabaseSettings.read(), role) as database:
        for statement in (
            "create table public.x (a int)",
            "create table ingest.x (a int)",
            "create function public.f() returns int language sql return 1",
            "create schema x",
            "create extension pg_stat_statements",
            "create role x",
            "alter table ingest.message disable row level security",
            "alter role winnow_app superuser",
            "drop policy own_workspace on ingest.message",
            "set session authorization postgres",
            "select pg_read_file('/etc/passwd')",
            "select pg_ls_dir('/')",
            "copy (select 1) to program 'cat'",
            "copy (select 1) to '/tmp/x'",
            "select lo_import('/etc/passwd')",
            "select * from pg_authid",
            "select pg_terminate_backend(pg_backend_pid()) from pg_stat_activity where usename = 'postgres'",
            "select secret_sha256 from spine.api_key",
            "truncate spine.task",
        ):
            try:
                async with database.transaction(deployment.workspace) as connection:
                    await connection.fetch(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            pytest.fail(f"{role} may {statement}")
