"""API keys as their owner manages them: made, listed and revoked with the owner's login to the database."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from services.common.auth import SCOPES, NewKey, mint_key, store_key
from services.common.database import explained, migrated, permitted, translated
from services.common.errors import NotFound
from services.common.pools import wanted_server
from services.common.settings import OWNER_LOGIN

WORKSPACE = "default"
PREFIX_CHARACTERS = 12


@dataclass(frozen=True)
class KeyRecord:
    """A key without its secret."""

    prefix: str
    workspace: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@asynccontextmanager
async def owner_connection(
    admin_url: str, setting: str = OWNER_LOGIN
) -> AsyncIterator[asyncpg.Connection]:
    """Connect as the owner of the schema; `setting` is where the URL was given, for errors."""
    async with translated():
        async with explained(setting):
            connection = await asyncpg.connect(
                admin_url, timeout=10, target_session_attrs=wanted_server(admin_url)
            )
        try:
            async with permitted(setting), migrated():
                yield connection
        finally:
            await connection.close()


async def create_key(
    admin_url: str,
    name: str,
    workspace: str = WORKSPACE,
    scopes: tuple[str, ...] = SCOPES,
    expires_at: datetime | None = None,
    setting: str = OWNER_LOGIN,
) -> NewKey:
    """Make a key for a workspace, which is made if it is new; only this reply holds the key's text."""
    key = mint_key()
    async with owner_connection(admin_url, setting) as connection, connection.transaction():
        workspace_id = await store_key(connection, workspace, name, key, scopes)
        await connection.execute(
            "update spine.api_key set expires_at = $3 where workspace_id = $1 and prefix = $2",
            workspace_id,
            key.prefix,
            expires_at,
        )
        asked = {"prefix": key.prefix, "scopes": list(scopes), "expires_at": str(expires_at or "")}
        await _record(connection, workspace_id, "winnow keys create", asked)
    return key


async def list_keys(admin_url: str, setting: str = OWNER_LOGIN) -> list[KeyRecord]:
    """All keys of all workspaces, oldest first."""
    async with owner_connection(admin_url, setting) as connection:
        rows = await connection.fetch(
            """select k.prefix, w.name as workspace, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at
               from spine.api_key k join spine.workspace w using (workspace_id) order by k.id"""
        )
    return [KeyRecord(*row) for row in rows]


async def is_known(admin_url: str, key_text: str) -> bool:
    """Tell whether the database has the key and it is not revoked."""
    prefix = public_part(key_text)
    keys = await list_keys(admin_url)
    return any(key.prefix == prefix and key.revoked_at is None for key in keys)


def public_part(key_text: str) -> str:
    """What of a key, or of the beginning of one, may be shown."""
    return key_text.removeprefix("wk_").partition(".")[0]


async def revoke_key(admin_url: str, prefix: str, setting: str = OWNER_LOGIN) -> UUID:
    """Revoke a key by its public part; services stop accepting it within ten seconds. Raises NotFound."""
    public = public_part(prefix)
    async with owner_connection(admin_url, setting) as connection, connection.transaction():
        row = await connection.fetchrow(
            """update spine.api_key set revoked_at = coalesce(revoked_at, now()) where prefix = $1
               returning workspace_id, id""",
            public,
        )
        if row is None:
            # Whatever was typed in place of a prefix may be a secret.
            raise NotFound("key", public[:PREFIX_CHARACTERS])
        asked = {"prefix": public}
        await _record(connection, row["workspace_id"], "winnow keys revoke", asked)
    revoked: UUID = row["id"]
    return revoked


async def _record(
    connection: asyncpg.Connection, workspace: UUID, action: str, asked: Mapping[str, object]
) -> None:
    """Note in the workspace's audit log, in the same transaction, what the owner's login does."""
    await connection.execute("select set_config('winnow.workspace_id', $1, true)", str(workspace))
    await connection.execute(
        """insert into spine.audit (workspace_id, peer, action, request, ended_at, outcome)
           values ($1, coalesce(host(inet_client_addr()), ''), $2, $3, now(), 'OK')""",
        workspace,
        action,
        json.dumps(asked),
    )
