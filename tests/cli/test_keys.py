"""`winnow keys`: made, shown once, listed without secrets, revoked, all of it on record."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.common.addresses import NAMES
from services.common.bootstrap import login_of
from services.common.migrations import SCHEMA_DIRECTORY, migrate, read
from tests.conftest import Deployment
from tests.forked import winnow


@pytest.fixture(autouse=True)
def owner(deployment: Deployment, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's login is in the environment, as it should be."""
    monkeypatch.setenv("WINNOW_ADMIN_DATABASE_URL", database_url)


def keys() -> dict[str, dict[str, object]]:
    """What `winnow keys list` says, by name."""
    return {key["name"]: key for key in json.loads(winnow("keys", "list", "--json").stdout)}


async def test_a_key_lives_and_is_revoked(deployment: Deployment) -> None:
    """A made key is listed by its prefix without its secret, and is marked once revoked."""
    made = winnow("keys", "create", "ci", "--workspace", "lab", "--scope", "read")
    key = made.stdout.strip()
    assert key.startswith("wk_")
    prefix, _, secret = key.partition(".")
    assert secret not in made.stderr
    for listed in (winnow("keys", "list", "--json"), winnow("keys", "list")):
        assert prefix.removeprefix("wk_") in listed.stdout
        assert secret not in listed.stdout + listed.stderr
    assert (keys()["ci"]["workspace"], keys()["ci"]["scopes"]) == ("lab", ["read"])
    revoked = winnow("keys", "revoke", prefix)
    assert revoked.returncode == 0
    assert keys()["ci"]["revoked_at"]
    unknown = winnow("keys", "revoke", "wk_000000000000")
    assert unknown.returncode == 1
    assert "no key" in unknown.stderr
    # A whole key is taken too, since people paste what they have; its secret is not repeated.
    whole = winnow("keys", "revoke", f"wk_000000000000.{secret}")
    assert secret not in whole.stdout + whole.stderr
    for again in (winnow("keys", "revoke", key), winnow("keys", "revoke", key, "--json")):
        assert again.returncode == 0
        assert prefix.removeprefix("wk_") in again.stdout
        assert secret not in again.stdout + again.stderr
    stored = await deployment.admin.fetch("select to_jsonb(k) || '{}' as row from spine.api_key k")
    assert all(secret not in row["row"] for row in stored)


async def test_what_the_owner_does_is_on_record(deployment: Deployment) -> None:
    """Making and revoking a key leaves an entry in the workspace of the key, without its secret."""
    made = winnow("keys", "create", "ci", "--workspace", "test", "--days", "7")
    prefix, _, secret = made.stdout.strip().removeprefix("wk_").partition(".")
    winnow("keys", "revoke", prefix)
    rows = await deployment.admin.fetch("select * from spine.audit order by id")
    assert [row["action"] for row in rows] == ["winnow keys create", "winnow keys revoke"]
    assert all(json.loads(row["request"])["prefix"] == prefix for row in rows)
    assert {(row["workspace_id"], row["login"], row["outcome"]) for row in rows} == {
        (deployment.workspace, "postgres", "OK")
    }
    assert secret not in str([dict(row) for row in rows])


async def test_a_key_expires_when_it_is_told_to(deployment: Deployment) -> None:
    """--days gives a key an end; without it a key has none."""
    winnow("keys", "create", "short", "--days", "7")
    winnow("keys", "create", "long")
    ends = datetime.fromisoformat(str(keys()["short"]["expires_at"]))
    assert timedelta(days=6) < ends - datetime.now(UTC) <= timedelta(days=7)
    assert keys()["long"]["expires_at"] is None
    assert winnow("keys", "create", "never", "--days", "0").returncode == 2
    assert winnow("keys", "create", "root", "--scope", "everything").returncode == 2


@pytest.mark.parametrize("command", [("keys", "list"), ("migrate",)])
def test_a_password_on_the_command_line_is_refused(
    command: tuple[str, ...], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line can be read by everybody on the machine, so it must not hold the owner's password."""
    refused = winnow(*command, "--database-url", database_url)
    assert refused.returncode == 2
    assert "WINNOW_ADMIN_DATABASE_URL" in refused.stderr
    assert database_url not in refused.stderr
    without, _, place = database_url.partition(":test@")
    monkeypatch.setenv("PGPASSWORD", "test")
    assert winnow(*command, "--database-url", f"{without}@{place}").returncode == 0


async def test_logins_are_opened_from_files(
    deployment: Deployment, database_url: str, tmp_path: Path
) -> None:
    """`winnow migrate --passwords-dir` lets each service in by the password in its file; a missing file is named."""
    passwords = {name: f"{name}-canary" for name in NAMES}
    for name, password in passwords.items():
        (tmp_path / name).write_text(password + "\n")
    try:
        opened = winnow("migrate", "--passwords-dir", str(tmp_path))
        assert opened.returncode == 0, opened.stderr
        assert "canary" not in opened.stdout + opened.stderr
        for name, password in passwords.items():
            url = database_url.replace("postgres:test@", f"{login_of(name)}:{password}@")
            connection = await asyncpg.connect(url)
            await connection.close()
        (tmp_path / "search").unlink()
        refused = winnow("migrate", "--passwords-dir", str(tmp_path))
        assert refused.returncode == 2
        assert str(tmp_path / "search") in refused.stderr
    finally:
        for name in NAMES:
            await deployment.admin.execute(f"alter role {login_of(name)} nologin password null")


async def test_what_another_release_migrated_is_told(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of an upgrade begins with what it does, and nothing to apply is told from a release that is too old."""
    monkeypatch.setenv("WINNOW_ADMIN_DATABASE_URL", empty_url)
    schema = Path(shutil.copytree(SCHEMA_DIRECTORY, tmp_path / "schema"))
    last = read(schema)[-1]
    (schema / f"{last.version:04}_{last.name}.sql").unlink()
    await migrate(empty_url, schema)
    upgraded = winnow("migrate")
    assert upgraded.stderr == f"migrating from {last.version - 1:04} to {last.version:04}\n"
    assert upgraded.stdout == f"applied {last.version:04} {last.name}\n"
    assert winnow("migrate").stderr == ""
    connection = await asyncpg.connect(empty_url)
    await connection.execute("insert into public.winnow_migration values (9999, 'next', '')")
    await connection.close()
    newer = f"a newer release migrated the database (9999; this one has {last.version:04})\n"
    assert winnow("migrate").stderr == newer


async def test_a_name_is_shown_as_it_was_given(deployment: Deployment) -> None:
    """Brackets in a name are neither taken for colours nor the end of the list."""
    for name in ("ci [prod]", "[/b] night"):
        assert winnow("keys", "create", name).returncode == 0
        listed = winnow("keys", "list")
        assert (listed.returncode, name in listed.stdout) == (0, True), listed.stderr


COMMANDS = [("keys", "create", "ci"), ("keys", "list"), ("keys", "revoke", "wk_0"), ("migrate",)]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("postgres:test@", "postgres:wrong@"), "password authentication failed"),
        (("postgres:test@", "winnow_app:test@"), "it takes the owner's login"),
        (("/test_", "/missing_"), "does not exist"),
        (("postgresql://", "mysql://"), "not a postgresql:// URL"),
    ],
)
def test_a_login_that_does_not_do_is_one_clear_line(
    command: tuple[str, ...],
    change: tuple[str, str],
    said: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever gives a wrong login is told so, and not where in Winnow it was found out."""
    monkeypatch.setenv("WINNOW_ADMIN_DATABASE_URL", database_url.replace(*change))
    refused = winnow(*command)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert "WINNOW_ADMIN_DATABASE_URL: " in refused.stderr
    assert "--database-url" not in refused.stderr
    monkeypatch.delenv("WINNOW_ADMIN_DATABASE_URL")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    typed = database_url.replace(":test@", "@").replace("/test_", "/missing_")
    assert "--database-url: PostgreSQL" in winnow(*command, "--database-url", typed).stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("PGSSLMODE", "on"), ("PGTARGETSESSIONATTRS", "x")]
)
def test_a_variable_that_spoils_a_good_login_is_named(
    variable: str, value: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever's URL is right is told of what the environment says beside it."""
    monkeypatch.setenv("WINNOW_ADMIN_DATABASE_URL", database_url)
    monkeypatch.setenv(variable, value)
    assert f"or {variable} is wrong" in winnow("keys", "list").stderr


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_a_database_without_our_tables_is_one_clear_line(
    command: tuple[str, ...], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names a database that was never migrated is told what to do first."""
    monkeypatch.setenv("WINNOW_ADMIN_DATABASE_URL", f"{postgres_url}/postgres")
    refused = winnow(*command)
    assert refused.returncode == 2
    assert refused.stderr == "winnow: the database is not migrated: run `winnow migrate` first\n"


@pytest.mark.parametrize(
    ("name", "workspace"),
    [("a\nb", "lab"), ("a\x1b[31m", "lab"), ("a" * 201, "lab"), (" ", "lab"), ("a", "\u202elab")],
)
async def test_a_name_is_a_line_that_people_can_read(
    name: str, workspace: str, deployment: Deployment
) -> None:
    """What would break or turn the table of keys is refused, and no key is made; any letter or picture may be in it."""
    before = len(keys())
    refused = winnow("keys", "create", name, "--workspace", workspace)
    assert (refused.returncode, "must be one line of 1 to 200 characters" in refused.stderr) == (
        2,
        True,
    )
    assert winnow("keys", "create", "Зоя 👩‍👩‍👧", "--workspace", "Lab  2").returncode == 0
    assert keys()["Зоя 👩‍👩‍👧"]["workspace"] == "Lab  2"
    assert len(keys()) == before + 1
