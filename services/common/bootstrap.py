"""Readies a fresh deployment: the schema, a login for each service, a workspace and its first key."""

from collections.abc import Mapping

from services.common.keys import create_key, is_known, owner_connection
from services.common.migrations import migrate


def login_of(service: str) -> str:
    """The login that may act as one service, and as the relay that it runs."""
    return f"winnow_{service}_app"


async def open_logins(admin_url: str, passwords: Mapping[str, str]) -> None:
    """Let services log in with their passwords, and close the login that may act as all of them."""
    async with owner_connection(admin_url) as connection, connection.transaction():
        for service, password in sorted(passwords.items()):
            statement = await connection.fetchval(
                "select format('alter role %I login password %L', $1::text, $2::text)",
                login_of(service),
                password,
            )
            await connection.execute(statement)
        await connection.execute("alter role winnow_app nologin password null")


async def bring_up(admin_url: str, passwords: Mapping[str, str], known_key: str | None) -> str:
    """Migrate, let the services in, and return a key of the local workspace: the known one if it is still good."""
    await migrate(admin_url)
    await open_logins(admin_url, passwords)
    if known_key and await is_known(admin_url, known_key):
        return known_key
    return (await create_key(admin_url, "local")).text
