"""Readies a fresh deployment: the schema, the services' login, a workspace and its first key."""

import asyncpg

from services.common.auth import SCOPES, NewKey, mint_key, store_key
from services.common.database import translated
from services.common.migrations import migrate

WORKSPACE = "default"


async def set_app_password(admin_url: str, password: str) -> None:
    """Let the services log in as winnow_app, the login that may act under each service's role."""
    async with translated():
        connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        statement = await connection.fetchval(
            "select format('alter role winnow_app login password %L', $1::text)", password
        )
        await connection.execute(statement)
    finally:
        await connection.close()


async def create_key(
    admin_url: str, name: str, workspace: str = WORKSPACE, scopes: tuple[str, ...] = SCOPES
) -> NewKey:
    """Make an API key for a workspace, which is made if it is new; only this reply holds the key's text."""
    key = mint_key()
    async with translated():
        connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        await store_key(connection, workspace, name, key, scopes)
    finally:
        await connection.close()
    return key


async def is_known(admin_url: str, key_text: str) -> bool:
    """Tell whether the database has the key; a data directory may have been emptied beside it."""
    prefix = key_text.partition(".")[0].removeprefix("wk_")
    async with translated():
        connection = await asyncpg.connect(admin_url, timeout=10)
    try:
        found: bool = await connection.fetchval(
            "select exists (select from spine.api_key where prefix = $1 and revoked_at is null)",
            prefix,
        )
    finally:
        await connection.close()
    return found


async def bring_up(admin_url: str, app_password: str, known_key: str | None) -> str:
    """Migrate, let the services in, and return a key of the local workspace: the known one if it is still good."""
    await migrate(admin_url)
    await set_app_password(admin_url, app_password)
    if known_key and await is_known(admin_url, known_key):
        return known_key
    return (await create_key(admin_url, "local")).text
