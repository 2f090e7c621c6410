"""Readies a fresh deployment: the schema, the services' login, a workspace and its first key."""

from services.common.keys import create_key, is_known, owner_connection
from services.common.migrations import migrate


async def set_app_password(admin_url: str, password: str) -> None:
    """Let the services log in as winnow_app, the login that may act under each service's role."""
    async with owner_connection(admin_url) as connection:
        statement = await connection.fetchval(
            "select format('alter role winnow_app login password %L', $1::text)", password
        )
        await connection.execute(statement)


async def bring_up(admin_url: str, app_password: str, known_key: str | None) -> str:
    """Migrate, let the services in, and return a key of the local workspace: the known one if it is still good."""
    await migrate(admin_url)
    await set_app_password(admin_url, app_password)
    if known_key and await is_known(admin_url, known_key):
        return known_key
    return (await create_key(admin_url, "local")).text
