"""API keys: `wk_<prefix>.<secret>`; the workspace comes from the key, never from a request."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.common.cache import Cache
from services.common.database import Connection, Database
from services.common.errors import InsufficientScope, InvalidCredentials

SCOPES = ("ingest", "read", "admin", "operate")
"""What a key may do: three for its workspace, and `operate` for what all workspaces share."""
WORKSPACE_SCOPES = SCOPES[:3]
_KEY = re.compile(r"wk_([0-9a-z]{12})\.([A-Za-z0-9_-]{43})")
CACHE_SECONDS = 10.0
_CACHE_KEYS_MAX = 10_000


@dataclass(frozen=True)
class Caller:
    """Who calls: the workspace of the key, and what the key may do."""

    workspace: UUID
    key_id: UUID
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raise InsufficientScope unless the key has the scope."""
        if scope not in self.scopes:
            raise InsufficientScope(scope)


@dataclass(frozen=True)
class NewKey:
    """A key as it is shown once, and what is kept of it."""

    text: str
    prefix: str
    secret_sha256: bytes


def mint_key() -> NewKey:
    """Make a key with 256 random bits."""
    prefix = secrets.token_hex(6)
    secret = secrets.token_urlsafe(32)
    return NewKey(f"wk_{prefix}.{secret}", prefix, hashlib.sha256(secret.encode()).digest())


async def store_key(
    connection: Connection, workspace_name: str, name: str, key: NewKey, scopes: tuple[str, ...]
) -> UUID:
    """Save a key for a workspace, which is made if it is new; return the workspace's id. Needs the owner's rights."""
    workspace: UUID = await connection.fetchval(
        """insert into spine.workspace (name) values ($1)
           on conflict (name) do update set name = excluded.name returning workspace_id""",
        workspace_name,
    )
    await connection.execute("select set_config('winnow.workspace_id', $1, false)", str(workspace))
    await connection.execute(
        """insert into spine.api_key (workspace_id, prefix, secret_sha256, name, scopes)
           values ($1, $2, $3, $4, $5)""",
        workspace,
        key.prefix,
        key.secret_sha256,
        name,
        list(scopes),
    )
    return workspace


class Authenticator:
    """Knows callers by their keys; remembers each for ten seconds, so that a revoked key stops working soon."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._known = Cache[str, tuple[bytes, Caller]](_CACHE_KEYS_MAX, clock)

    async def caller(self, authorization: str) -> Caller:
        """Return the caller of an `authorization` value, or raise InvalidCredentials."""
        scheme, _, text = authorization.partition(" ")
        match = _KEY.fullmatch(text.strip())
        if scheme.lower() != "bearer" or not match:
            raise InvalidCredentials
        prefix, secret = match.groups()
        read = partial(self._read, prefix)
        expected, caller = await self._known.load(prefix, read, lambda _: CACHE_SECONDS)
        if not hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), expected):
            raise InvalidCredentials
        return caller

    async def _read(self, prefix: str) -> tuple[bytes, Caller]:
        async with self._database.connection() as connection:
            row = await connection.fetchrow("select * from spine.find_api_key($1)", prefix)
        if row is None:
            raise InvalidCredentials
        caller = Caller(row["workspace_id"], row["id"], frozenset(row["scopes"]))
        return row["secret_sha256"], caller
