"""Readies a fresh deployment: the schema, a login for each service, a workspace and its first key."""

from collections.abc import Callable, Mapping

from services.common.keys import create_key, is_known, owner_connection
from services.common.migrations import migrate, unsaid
from services.common.settings import OWNER_LOGIN

# May act as every service: for those who would rather keep one password than four.
SHARED_LOGIN = "winnow_app"


def login_of(service: str) -> str:
    """The login that may act as one service, and as the relay that it runs."""
    return f"winnow_{service}_app"


async def open_logins(
    admin_url: str, passwords: Mapping[str, str], setting: str = OWNER_LOGIN
) -> None:
    """Let logins in with their passwords."""
    async with owner_connection(admin_url, setting) as connection, connection.transaction():
        for login, password in sorted(passwords.items()):
            statement = await connection.fetchval(
                "select format('alter role %I login password %L', $1::text, $2::text)",
                login,
                password,
            )
            await connection.execute(statement)


async def close_shared_login(admin_url: str) -> None:
    """Let nobody in any more by the login that may act as every service."""
    async with owner_connection(admin_url) as connection:
        await connection.execute(f"alter role {SHARED_LOGIN} nologin password null")


async def bring_up(
    admin_url: str,
    passwords: Mapping[str, str],
    known_key: str | None,
    tell: Callable[[int, int], None] = unsaid,
) -> str:
    """Migrate, let each service in as itself, and return a key of the local workspace: the known one if it is good."""
    await migrate(admin_url, tell=tell)
    await open_logins(admin_url, passwords)
    await close_shared_login(admin_url)
    if known_key and await is_known(admin_url, known_key):
        return known_key
    return (await create_key(admin_url, "local")).text
