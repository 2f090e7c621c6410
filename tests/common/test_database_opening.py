"""What a database must be for a service to begin: let it in under its role, be new enough, and be migrated."""

import asyncio
import os
from collections.abc import Callable

import pytest

from services.common.database import Database, DatabaseSettings, check_versions
from services.common.errors import DatabaseUnavailable, InvalidSetting
from tests.conftest import PASSWORD, Deployment, free_port


@pytest.mark.parametrize(
    ("change", "role", "said"),
    [
        (lambda url: url.replace("winnow_app:", "postgres:"), "postgres", "not safe"),
        (lambda url: url, "winnow_unheard_of", "winnow_unheard_of"),
        (lambda url: url.replace(PASSWORD, "wrong"), "winnow_search", "password"),
        (lambda url: url + "x", "winnow_search", "does not exist"),
        (lambda url: url.rpartition("/")[0] + "/postgres", "winnow_search", "not migrated"),
        (lambda url: "mysql://u:hunter2@db/x", "winnow_search", "WINNOW_DATABASE_URL"),
        (lambda url: "postgresql://u:hun/ter2@db:x/x", "winnow_search", "WINNOW_DATABASE_URL"),
    ],
)
async def test_a_wrong_setting_is_one_clear_line(
    deployment: Deployment, change: Callable[[str], str], role: str, said: str
) -> None:
    """A login that is refused, or could see too much, is named without its password."""
    url = change(os.environ["WINNOW_DATABASE_URL"])
    with pytest.raises(InvalidSetting) as caught:
        async with Database.open(DatabaseSettings(database_url=url), role):  # type: ignore[arg-type]
            pass
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("delete from public.winnow_migration where version > 67", "migrated to 0067"),
        ("revoke all on public.winnow_migration from winnow_search", "an older release"),
    ],
)
async def test_a_schema_that_lacks_migrations_is_told(
    deployment: Deployment, change: str, said: str
) -> None:
    """A service that is newer than the schema must say at its start what to do, not fail at the first call."""
    settings = DatabaseSettings.read()
    async with Database.open(settings, "winnow_search"):
        pass
    await deployment.admin.execute(change)
    with pytest.raises(DatabaseUnavailable, match=rf"{said}.* run `winnow migrate` first"):
        async with Database.open(settings, "winnow_search"):
            pass


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (lambda: f"127.0.0.1:{free_port()}/x", "Conn"),
        (lambda: "winnow.invalid:5432/x", "not known|resolution"),
        (lambda: f"{os.environ['WINNOW_DATABASE_URL'].partition('@')[2]}?sslmode=require", "SSL"),
    ],
)
async def test_no_server_is_said_so(
    deployment: Deployment, place: Callable[[], str], said: str
) -> None:
    """A database that is not there is unavailable, not misconfigured; why, and by which setting, is told."""
    url = f"postgresql://u:hunter2@{place()}"
    expected = f"WINNOW_DATABASE_URL: PostgreSQL cannot be reached: .*({said})"
    with pytest.raises(DatabaseUnavailable, match=expected) as caught:
        async with Database.open(DatabaseSettings(database_url=url), "winnow_search"):  # type: ignore[arg-type]
            pass
    assert "hun" not in str(caught.value)


async def test_a_server_that_says_nothing_is_said_so() -> None:
    """What listens and never answers is told as such, within the time that a connection may take."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"postgresql://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    async with server:
        with pytest.raises(DatabaseUnavailable, match="cannot be reached: no answer in time"):
            async with Database.open(DatabaseSettings(database_url=url), "winnow_search"):  # type: ignore[arg-type]
                pass


@pytest.mark.parametrize(
    ("postgres", "pgvector", "said"),
    [(17, "0.8.4", "PostgreSQL 17"), (18, "0.8.3", "pgvector 0.8.3"), (18, None, "not migrated")],
)
def test_old_servers_are_refused(postgres: int, pgvector: str | None, said: str) -> None:
    """A server that is too old is refused with its version."""
    with pytest.raises(InvalidSetting, match=said):
        check_versions(postgres, pgvector)


def test_new_servers_are_accepted() -> None:
    """Versions compare as numbers."""
    for pgvector in ("0.8.4", "0.8.10", "0.10.0", "1.0.0"):
        check_versions(18, pgvector)
