"""Readies a fresh deployment: the schema, the services' login, a workspace and its first key."""

from services.common.keys import create_key, list_keys, owner_connection
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
    if known_key and await _is_good(admin_url, known_key):
        return known_key
    return (await create_key(admin_url, "local")).text


async def _is_good(admin_url: str, key_text: str) -> bool:
    """Tell whether the database has the key; it may have been emptied beside the file that holds the key."""
    prefix = key_text.partition(".")[0].removeprefix("wk_")
    keys = await list_keys(admin_url)
    return any(key.prefix == prefix and key.revoked_at is None for key in keys)
