"""Connections of a pool, and why there is none."""

import os
from typing import Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from services.common.errors import DatabaseUnavailable

ACQUIRE_SECONDS: Final = 10.0
# Of a login that was let in before.
_REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidParameterValueError,
)


def wanted_server(url: str) -> SessionAttribute | None:
    """Which of several servers is wanted: the one that writes, unless the URL or the environment says another."""
    is_said = "target_session_attrs" in url or "PGTARGETSESSIONATTRS" in os.environ
    return None if is_said else SessionAttribute.primary


def is_exhausted(pool: asyncpg.Pool) -> bool:
    """Whether every connection that there may be is lent."""
    return not pool.get_idle_size() and pool.get_size() >= pool.get_max_size()


async def acquire(pool: asyncpg.Pool) -> asyncpg.pool.PoolConnectionProxy:
    """Wait for a connection; DatabaseUnavailable if it is refused or all are lent, TimeoutError if none can be made."""
    try:
        return await pool.acquire(timeout=ACQUIRE_SECONDS)
    except _REFUSED as error:
        raise DatabaseUnavailable("the database refuses the login of the service") from error
    except TimeoutError as error:
        if not is_exhausted(pool):
            raise
        raise DatabaseUnavailable(
            f"every connection of the pool ({pool.get_max_size()}) was in use for {ACQUIRE_SECONDS:.0f} s: "
            "the database is slow or hangs, or the pool is too small"
        ) from error
